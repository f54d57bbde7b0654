"""A rule over policies: what IAM Access Analyzer finds wrong with them, before they hurt."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import unquote

from pydantic import Field, model_validator

from checks.drift_rest import Names
from checks.drift_rule import Finding, Rule, look_at
from checks.reading import Bare
from monitor.plugin import Permission, ProbeContext, ProbeError, Reason, need

#: ValidatePolicy's findings, worst first; SUGGESTION is taste.
_ORDER = ("ERROR", "SECURITY_WARNING", "WARNING")
#: Longer texts are cut; the issue code is what one looks up.
_LONGEST = 160


class Policies(Rule):
    """Inline policies of roles and policies of buckets pass IAM Access Analyzer's checks."""

    roles: Names = Field((), description="Names of IAM roles; each inline policy is checked.")
    buckets: Names = Field((), description="Names of buckets; one without a policy is fine.")
    least: Literal["ERROR", "SECURITY_WARNING", "WARNING"] = Field(
        "WARNING", description="The mildest kind of finding that counts."
    )

    @model_validator(mode="after")
    def _some(self) -> Policies:
        if not self.roles and not self.buckets:
            raise ValueError("name roles or buckets")
        return self

    @property
    def targets(self) -> tuple[str, ...]:
        """Roles, then buckets."""
        return (*self.roles, *self.buckets)

    def needs(self) -> list[Permission]:
        """For IAM."""
        found = [need("access-analyzer:ValidatePolicy")]
        if self.roles:
            found.append(need("iam:ListRolePolicies", "iam:GetRolePolicy", role=self.roles))
        if self.buckets:
            found.append(need("s3:GetBucketPolicy", bucket=self.buckets))
        return found

    async def inspect(self, ctx: ProbeContext) -> list[Finding]:
        """By role and by bucket."""

        async def look(one: Bare) -> Sequence[str]:
            is_role = one.name in self.roles
            kind = "IDENTITY_POLICY" if is_role else "RESOURCE_POLICY"
            documents = await (_of_role if is_role else _of_bucket)(one.name, ctx)
            return [
                text
                for name, document in documents.items()
                for text in await self._wrong(name, kind, document, bucket=not is_role, ctx=ctx)
            ]

        return await look_at([Bare(name) for name in dict.fromkeys(self.targets)], look)

    async def _wrong(self, name: str, kind: str, document: str, *, bucket: bool, ctx: ProbeContext) -> list[str]:
        more: dict[str, Any] = {"validatePolicyResourceType": "AWS::S3::Bucket"} if bucket else {}
        counted, found = _ORDER[: _ORDER.index(self.least) + 1], []
        pages = ctx.aws.pages("accessanalyzer", "ValidatePolicy", policyDocument=document, policyType=kind, **more)
        async for page in pages:
            for one in page.get("findings") or ():
                if one.get("findingType") in counted:
                    text = " ".join(str(one.get("findingDetails", "")).split())[:_LONGEST]
                    found.append((counted.index(one["findingType"]), f"{name} has {one.get('issueCode')}: {text}"))
        return [text for _, text in sorted(found)]


async def _of_role(role: str, ctx: ProbeContext) -> dict[str, str]:
    """Its inline policies by name, as JSON texts."""
    names: list[str] = []
    async for page in ctx.aws.pages("iam", "ListRolePolicies", RoleName=role):
        names += page.get("PolicyNames") or ()
    found = {}
    for name in names:
        reply = await ctx.aws.call("iam", "GetRolePolicy", RoleName=role, PolicyName=name)
        found[f"the policy {name}"] = _text(reply["PolicyDocument"])
    return found


async def _of_bucket(bucket: str, ctx: ProbeContext) -> dict[str, str]:
    try:
        reply = await ctx.aws.call("s3", "GetBucketPolicy", Bucket=bucket)
    except ProbeError as error:
        if error.reason is Reason.NOT_FOUND and "policy does not exist" in error.detail:
            return {}
        raise
    return {"its policy": _text(reply["Policy"])}


def _text(document: Any) -> str:
    """IAM's is URL-encoded where the SDK has not decoded it."""
    if isinstance(document, Mapping):
        return json.dumps(document)
    text = str(document)
    return text if text.lstrip().startswith("{") else unquote(text)
