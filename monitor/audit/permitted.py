"""Whether the identity may do what the configuration has enabled, as far as IAM tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monitor.audit.findings import Finding, Gravity
from monitor.core.condition import checks_of
from monitor.core.model import Mode
from monitor.core.spec import CheckSpec, Pipeline
from monitor.plugin import ProbeError, Reads

_ALLOW = "allow it: `tripswitch iam-policy` prints what this configuration needs"


async def denied(
    statements: Sequence[Mapping[str, Any]], caller: str, region: str, reads: Reads
) -> tuple[list[tuple[str, str]], str]:
    """((action, resource) pairs that IAM would refuse the caller, why it can't be told or empty).

    Asks SimulatePrincipalPolicy, which also knows boundaries and SCPs. `caller` is the ARN that STS gives.
    """
    source = _source_of(caller)
    if source is None:
        return [], f"{caller} is the root user or federated: IAM simulates users and roles only"
    refused: list[tuple[str, str]] = []
    keys = [{"ContextKeyName": "aws:RequestedRegion", "ContextKeyValues": [region], "ContextKeyType": "string"}]
    for statement in statements:
        resources = statement["Resource"]
        resources = [resources] if isinstance(resources, str) else list(resources)
        asked: dict[str, Any] = {"PolicySourceArn": source, "ActionNames": list(statement["Action"])}
        asked.update(ResourceArns=resources, ContextEntries=[*keys, *_keys(statement)])
        try:
            async for page in reads.pages("iam", "SimulatePrincipalPolicy", **asked):
                refused += [
                    (str(one["EvalActionName"]), str(one.get("EvalResourceName", "*")))
                    for one in page.get("EvaluationResults", ())
                    if one.get("EvalDecision") != "allowed"
                ]
        except ProbeError as error:
            return refused, f"SimulatePrincipalPolicy for {source}: {error.detail}"
    return refused, ""


def _keys(statement: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The condition keys of our own statement, so that a tagged or owned resource is what is simulated."""
    found = []
    for wanted in (statement.get("Condition") or {}).values():
        for key, value in wanted.items():
            if key != "aws:RequestedRegion":
                values = [value] if isinstance(value, str) else list(value)
                found.append({"ContextKeyName": key, "ContextKeyValues": values[:1], "ContextKeyType": "string"})
    return found


def _source_of(caller: str) -> str | None:
    """`arn:aws:sts::1:assumed-role/NAME/session` is the role NAME; a user is itself."""
    if ":assumed-role/" in caller:
        head, _, rest = caller.partition(":assumed-role/")
        partition, account = head.split(":")[1], head.split(":")[4]
        return f"arn:{partition}:iam::{account}:role/{rest.split('/')[0]}"
    return caller if ":user/" in caller or ":role/" in caller else None


def unpermitted(pipeline: Pipeline, refused: Sequence[tuple[str, str]], why: str) -> list[Finding]:
    """As findings of the pipeline: which enabled breakers could not act."""
    armed = [spec.name for spec in pipeline.breakers.values() if spec.mode is not Mode.OBSERVE]
    path: tuple[str | int, ...] = ("breakers", armed[0]) if len(armed) == 1 else ("breakers",)
    found = [
        Finding(pipeline.name, path, Gravity.ERROR, f"not permitted: {action} on {resource}", _ALLOW)
        for action, resource in refused
    ]
    if why:
        message = f"whether the enabled calls are permitted could not be told: {why}"
        todo = "allow iam:SimulatePrincipalPolicy on the daemon's own role, or rely on `check` and a trip by hand"
        found.append(Finding(pipeline.name, ("pipeline",), Gravity.NOTE, message, todo))
    return found


def blind(pipeline: Pipeline, checks: Sequence[CheckSpec]) -> list[Finding]:
    """Breakers that can never trip, because every check they look at is dead."""
    dead = {check.name for check in checks}
    return [
        Finding(
            pipeline.name,
            ("breakers", spec.name, "trip_when"),
            Gravity.ERROR,
            "can never trip: none of its checks sees anything",
            "repair its checks first",
        )
        for spec in pipeline.breakers.values()
        if set(checks_of(spec.condition)) <= dead
    ]
