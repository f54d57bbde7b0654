"""Refused permissions as AWS words them, and the smallest policy statement that would grant what was missing.

Sources: the "access denied error messages" page of the IAM user guide (`User: ARN is not authorized to perform: ACTION
on resource: ARN because no identity-based policy allows the ACTION action`, `... with an explicit deny in a
resource-based policy`), and botocore's own wording where a service says no more (`An error occurred (AccessDenied)
when calling the PutObject operation: Access Denied`). A proposal is a proposal: nothing here applies it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from monitor.core.model import Json

_FULL = re.compile(
    r"(?:User: (?P<principal>arn:[^\s\"\\]+) )?is not authorized to perform:? (?P<action>[a-z0-9-]+:[A-Za-z0-9*]+)"
    r"(?: on resource: \\*[\"']?(?P<resource>[^\s\"'\\,]+))?"
    r"(?P<why>[^.\n]{0,200})",
    re.I,
)
_BOTO = re.compile(
    r"\((?P<code>AccessDenied\w*|Forbidden|403|UnauthorizedOperation)\) when calling the (?P<operation>\w+) operation"
    r"(?P<rest>[^\n]{0,400})"
)
_DENY_IN = re.compile(r"with an explicit deny in (?:an? )?([a-z -]+? policy|[a-z -]+?boundary)", re.I)
_NO_POLICY = re.compile(r"because no ([a-z -]+? policy|[a-z -]+?boundary) allows", re.I)

#: S3's operations that only say `Access Denied`, and the permission each of them needs.
_S3 = {
    "HeadObject": "GetObject", "GetObject": "GetObject", "PutObject": "PutObject", "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject", "UploadPart": "PutObject", "CompleteMultipartUpload": "PutObject",
    "DeleteObject": "DeleteObject", "DeleteObjects": "DeleteObject", "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket", "HeadBucket": "ListBucket", "GetObjectTagging": "GetObjectTagging",
    "PutObjectTagging": "PutObjectTagging", "GetBucketLocation": "GetBucketLocation",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Denial:
    """One refused call. `resource` is an ARN as general as a policy would name it, or `*` where AWS named none."""

    action: str
    resource: str
    principal: str | None = None
    #: The kind of policy that denies explicitly (`resource-based policy`); then no allow statement helps.
    denied_by: str | None = None
    #: The kind of policy that does not allow it (`identity-based policy`).
    lacking_in: str | None = None

    @property
    def target(self) -> str:
        """`s3:PutObject on processed-bucket/out/*`: a short name, the same for every key of a folder."""
        if self.resource == "*":
            return self.action
        return (
            f"{self.action} on {self.resource.split(':', 5)[-1] if self.resource.startswith('arn:') else self.resource}"
        )

    @property
    def advice(self) -> str:
        """In words, what would have to change and where."""
        who = f" of {_role(self.principal)}" if self.principal else ""
        if self.denied_by:
            return f"{self.action} is explicitly denied in a {self.denied_by}: narrow that deny; no allow overrides it"
        return f"missing in the {self.lacking_in or 'identity-based policy'}{who}"


def denials_in(text: str) -> list[Denial]:
    """Every denial a text words, once each, in order. Quotes and backslashes of JSON around it are understood."""
    found: dict[Denial, None] = {}
    for match in _FULL.finditer(text):
        why = match["why"] or ""
        deny, lack = _DENY_IN.search(why), _NO_POLICY.search(why)
        found[
            Denial(
                match["action"],
                _general(match["action"], (match["resource"] or "*").rstrip(".;)")),
                match["principal"],
                deny[1].lower() if deny else None,
                lack[1].lower() if lack else None,
            )
        ] = None
    for match in _BOTO.finditer(text):
        permission = _S3.get(match["operation"])
        if permission is not None and not _FULL.search(match["rest"]):
            found[Denial(f"s3:{permission}", "*")] = None
    return list(found)


def statement(denial: Denial) -> Mapping[str, Json]:
    """The smallest statement that would allow it, for a person to review; `Effect` is always Allow."""
    return {"Effect": "Allow", "Action": denial.action, "Resource": denial.resource}


def _general(action: str, resource: str) -> str:
    """S3 object ARNs by folder, log streams by group, executions by machine: what a policy names, and few of them."""
    if action.startswith("s3:") and "/" in resource:
        return resource.rsplit("/", 1)[0] + "/*"
    if action.startswith("logs:") and ":log-stream:" in resource:
        return resource.split(":log-stream:", maxsplit=1)[0] + ":*"
    return resource


def _role(principal: str) -> str:
    tail = principal.split(":", 5)[-1]
    if tail.startswith("assumed-role/"):
        return f"role {tail.split('/')[1]}"
    return tail.replace("/", " ", 1)
