"""From what is asked to IAM policies: statements by purpose and service, resources narrowed, none above AWS's limit.

A managed policy holds 6,144 characters, white space not counted (IAM user guide, "IAM and AWS STS quotas"); a role
takes ten of them by default.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monitor.audit.needs import Asked
from monitor.core.iam import ARNS, Where, arn_of, is_account_wide, matches
from monitor.plugin import Permission

LIMIT = 6144
ATTACHED = 10
VERSION = "2012-10-17"

#: Their requests carry no region one could hold them to, or always another one.
_REGIONLESS = ("iam", "sts", "s3", "cloudfront", "budgets", "ce")
_WORDS = {
    "sqs": "Sqs", "states": "StepFunctions", "lambda": "Lambda", "cloudwatch": "CloudWatch", "dynamodb": "DynamoDB",
    "events": "EventBridge", "s3": "S3", "sns": "Sns", "ssm": "Ssm", "sts": "Sts", "iam": "Iam", "rds": "Rds",
    "tag": "Tagging", "apigateway": "ApiGateway", "appsync": "AppSync", "ce": "CostExplorer", "kafka": "Msk",
}  # fmt: skip

Statement = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Policy:
    """One document. `principal` is the role's ARN it is for, empty: whatever the daemon runs as."""

    name: str
    principal: str
    document: Mapping[str, Any]

    @property
    def size(self) -> int:
        """Characters as IAM counts them."""
        return size_of(self.document)


def policies(asked: Sequence[Asked], name: str = "tripswitch") -> list[Policy]:
    """One policy per identity, or several where one would be too large; statements are never cut in two."""
    found: list[Policy] = []
    for principal in sorted({one.principal for one in asked}):
        own = statements([one for one in asked if one.principal == principal])
        base = name if not principal else f"{name}-{principal.rsplit('/', 1)[-1]}"
        parts = _parts(own)
        for n, part in enumerate(parts):
            called = base if len(parts) == 1 else f"{base}-{n + 1}"
            found.append(Policy(called, principal, {"Version": VERSION, "Statement": part}))
    return found


def size_of(document: Mapping[str, Any]) -> int:
    """Characters without white space."""
    return len(re.sub(r"\s", "", json.dumps(document)))


def _parts(own: Sequence[Statement]) -> list[list[Statement]]:
    parts: list[list[Statement]] = []
    for statement in [one for whole in own for one in _fitting(whole)]:
        wider = [*(parts[-1] if parts else []), statement]
        if parts and size_of({"Version": VERSION, "Statement": wider}) <= LIMIT:
            parts[-1] = wider
        else:
            parts.append([statement])
    return parts


def _fitting(statement: Statement) -> list[Statement]:
    """A statement whose resources alone are too many for one policy, in pieces."""
    resources = statement["Resource"]
    if size_of({"Version": VERSION, "Statement": [statement]}) <= LIMIT or not isinstance(resources, list):
        return [statement]
    half = len(resources) // 2
    halves = [{**statement, "Resource": part} for part in (resources[:half], resources[half:])]
    pieces = [piece for one in halves for piece in _fitting(one)]
    sid = re.sub(r"Part\d+$", "", str(statement["Sid"]))
    return [{**piece, "Sid": f"{sid}Part{n + 1}"} for n, piece in enumerate(pieces)]


# --- statements -------------------------------------------------------------------------------------------------------


def statements(asked: Sequence[Asked]) -> list[Statement]:
    """Actions with the same resources and conditions share a statement; every Sid says what it is for.

    Nothing is allowed twice: what two purposes need stands where it was needed first.
    """
    first: dict[tuple[str, str, str], str] = {}  # (action, condition, resource) -> the purpose that asked first
    for one in asked:
        for action in one.permission.actions:
            for resource in resources(action, one.permission, one.place):
                key = (action, _frozen(conditions(action, resource, one)), resource)
                first.setdefault(key, one.purpose)
    by_action: dict[tuple[str, str, str], list[str]] = {}
    for (action, condition, resource), purpose in first.items():
        if not _is_covered(action, condition, resource, first):
            by_action.setdefault((purpose, action, condition), []).append(resource)
    grouped: dict[tuple[str, str, tuple[str, ...], str], list[str]] = {}
    for (purpose, action, condition), found in by_action.items():
        group = (purpose, action.split(":")[0], tuple(sorted(found)), condition)
        grouped.setdefault(group, []).append(action)
    return _named(_joined(grouped))


def _joined(
    grouped: Mapping[tuple[str, str, tuple[str, ...], str], list[str]],
) -> list[tuple[str, str, Statement]]:
    """Account-wide actions of a purpose share one statement whatever their service."""
    merged: dict[tuple[str, str, tuple[str, ...], str], list[str]] = {}
    for (purpose, service, found, condition), actions in grouped.items():
        word = "" if found == ("*",) else service
        merged.setdefault((purpose, word, found, condition), []).extend(actions)
    return [
        (purpose, service, _statement(sorted(set(actions)), found, json.loads(condition)))
        for (purpose, service, found, condition), actions in merged.items()
    ]


def _statement(actions: Sequence[str], found: Sequence[str], condition: Mapping[str, Any]) -> Statement:
    statement: Statement = {"Sid": "", "Effect": "Allow", "Action": list(actions), "Resource": list(found)}
    if len(found) == 1:
        statement["Resource"] = found[0]
    if condition:
        statement["Condition"] = condition
    return statement


def _named(found: Sequence[tuple[str, str, Statement]]) -> list[Statement]:
    used: dict[str, int] = {}
    named = []
    for purpose, service, statement in found:
        word = _WORDS.get(service, "".join(part.capitalize() for part in service.split("-"))) if service else "Account"
        sid = f"{purpose}{word}" if purpose in ("Watch", "Act", "Plan") else purpose
        used[sid] = used.get(sid, 0) + 1
        named.append({**statement, "Sid": sid if used[sid] == 1 else f"{sid}{used[sid]}"})
    return named


def resources(action: str, permission: Permission, place: Where) -> list[str]:
    """The ARNs of a permission's resources; `*` where IAM takes none for this action."""
    if is_account_wide(action) or not permission.kind:
        return ["*"]
    if permission.region:
        place = Where(place.partition, permission.region, place.account)
    if permission.kind == "arn":
        return [wild(name) for name in permission.names]
    assert permission.kind in ARNS, f"{action}: no kind of resource is called {permission.kind}"
    return [wild(arn_of(permission.kind, name, place)) for name in permission.names]


def wild(pattern: str) -> str:
    """A glob as IAM writes it: `[abc]` becomes `?`; what is filled in at a trip becomes `*`."""
    pattern = re.sub(r"\$\{[^}]*\}|\{[a-z]+\}", "*", pattern)
    return re.sub(r"\*+", "*", re.sub(r"\[[^\]]*\]", "?", pattern))


def conditions(action: str, resource: str, one: Asked) -> dict[str, dict[str, Any]]:
    """Tags where selection is by tag, the function of a mapping, the region where nothing else narrows."""
    permission, found = one.permission, dict[str, dict[str, Any]]()
    if permission.tags and resource != "*":
        for key, value in sorted(permission.tags.items()):
            operator = "StringEquals" if value else "StringLike"
            found.setdefault(operator, {})[f"aws:ResourceTag/{key}"] = value or "*"
    if permission.of_function and permission.kind == "event_source" and not is_account_wide(action):
        arns = [wild(arn_of("function", name, one.place)) for name in permission.of_function]
        found["ArnLike"] = {"lambda:FunctionArn": sorted({end for arn in arns for end in (arn, f"{arn}:*")})}
    region = permission.region or one.place.region
    if resource == "*" and action.split(":", maxsplit=1)[0] not in _REGIONLESS and region != "*":
        found["StringEquals"] = {**found.get("StringEquals", {}), "aws:RequestedRegion": region}
    if action == "iam:PassRole":
        to = ["scheduler.amazonaws.com", "glue.amazonaws.com", "events.amazonaws.com"]
        found["StringEquals"] = {"iam:PassedToService": to}
    return found


def _is_covered(action: str, condition: str, resource: str, asked: Iterable[tuple[str, str, str]]) -> bool:
    """Whether another one that is asked anyway allows it too: nothing is allowed twice."""
    return any(
        other == action
        and limit in (condition, "{}")
        and (place, limit) != (resource, condition)
        and matches(place, resource)
        for other, limit, place in asked
    )


def _frozen(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True)
