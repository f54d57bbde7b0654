"""IAM at the door: with a policy set, a request that it does not allow is answered as AWS answers it.

`POST iam {"statements": [...], "agent": "tripswitch"}` enforces from now on, on requests whose User-Agent holds
`agent` (empty: on all); `{}` lifts it. `GET iam` says what was allowed and denied. What a request is about is read
from its path, query and body; the evaluation is `monitor.core.iam`'s. Sources: Service Authorization Reference; SQS
developer guide, "Amazon SQS API permissions" (what a message move task needs on both queues); IAM user guide,
"Granting a user permissions to pass a role".
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

import botocore.session
from moto.awslambda.models import lambda_backends

from monitor.core.iam import UNKNOWN, Demand, Where, actions_of, allows, arn_of, resources_of
from monitor.demo.emulator.calls import Call, Reply, refuse

#: The error's code where the protocol does not say it.
_CODES = {"dynamodb": "AccessDeniedException", "s3": "AccessDenied", "sqs": "AccessDenied", "sns": "AuthorizationError"}


@dataclass(slots=True)
class Guard:
    """The policy in force, and what it has decided."""

    statements: Sequence[Mapping[str, Any]] | None = None
    agent: str = ""
    #: Whether an identity may ask what it may do.
    simulates: bool = True
    #: Whether a statement asks for a resource's tags: looking them up takes a while.
    by_tag: bool = False
    allowed: set[tuple[str, str]] = field(default_factory=set)
    denied: list[dict[str, str]] = field(default_factory=list)

    def enforce(self, statements: Sequence[Mapping[str, Any]] | None, agent: str, *, simulates: bool = True) -> None:
        """A new policy (None: no enforcement), nothing decided yet."""
        self.statements, self.agent, self.simulates = statements, agent, simulates
        self.by_tag = "aws:resourcetag/" in str(statements).lower()
        self.allowed.clear()
        self.denied.clear()

    def refusal(self, call: Call, agent: str) -> Reply | None:
        """AWS's answer to what the policy does not allow; None where it does."""
        if self.statements is None or self.agent not in agent or call.name == "iam:SimulatePrincipalPolicy":
            return None
        for demand in demands(call, by_tag=self.by_tag):
            if allows(self.statements, demand):
                self.allowed.add((demand.action, demand.resource))
                continue
            self.denied.append({"action": demand.action, "resource": demand.resource, "operation": call.name})
            who = f"arn:aws:sts::{call.account}:assumed-role/tripswitch/tripswitch"
            text = (
                f"User: {who} is not authorized to perform: {demand.action} on resource: {demand.resource} because no"
                " identity-based policy allows the action"
            )
            return refuse(call, _code(call), text, 403 if call.protocol in ("rest-xml", "rest-json", "query") else 400)
        return None


def _code(call: Call) -> str:
    if call.service in _CODES:
        return _CODES[call.service]
    return "AccessDenied" if call.protocol in ("query", "rest-xml", "ec2") else "AccessDeniedException"


def demands(call: Call, *, by_tag: bool) -> Iterator[Demand]:
    """Everything that a request has to be allowed: its own action, and what AWS checks besides."""
    place = Where("aws", call.region, call.account)
    asked = parameters(call)
    keys = {"aws:requestedregion": call.region}
    for action in actions_of(call.service, call.operation):
        for resource in resources_of(call.service, call.operation, asked, place, action):
            tags = _tags(resource, place) if by_tag else {}
            yield Demand(action, resource, {**keys, **tags, **_mapping(call, resource)})
    yield from _besides(call, asked, place, keys)


def _besides(call: Call, asked: Mapping[str, Any], place: Where, keys: Mapping[str, str]) -> Iterator[Demand]:
    if call.name == "sqs:StartMessageMoveTask":
        source = str(asked.get("SourceArn"))
        for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"):
            yield Demand(action, source, keys)
        yield Demand("sqs:SendMessage", str(asked.get("DestinationArn") or arn_of("queue", "any-origin", place)), keys)
    passed = {
        "scheduler:UpdateSchedule": ("scheduler.amazonaws.com", (asked.get("Target") or {}).get("RoleArn")),
        "glue:UpdateJob": ("glue.amazonaws.com", (asked.get("JobUpdate") or {}).get("Role")),
        "events:PutRule": ("events.amazonaws.com", asked.get("RoleArn")),
    }
    service, role = passed.get(call.name, ("", None))
    if role:
        yield Demand("iam:PassRole", arn_of("role", str(role), place), {**keys, "iam:passedtoservice": service})


# --- what the request says --------------------------------------------------------------------------------------------


def parameters(call: Call) -> dict[str, Any]:
    """Its parameters as the API names them, from wherever the protocol puts them."""
    asked: dict[str, Any] = {}
    if call.protocol in ("rest-json", "rest-xml"):
        asked.update(call.query)
        asked.update(_in_path(call.service, call.operation, call.path))
    if call.protocol == "query" or (call.body[:1] not in (b"{", b"") and b"Action=" in call.body):
        asked.update(parse_qsl(call.body.decode(errors="replace")))
    elif call.body[:1] == b"{":
        asked.update(call.json())
    if call.service == "s3":  # the emulator is addressed by path
        bucket, _, key = unquote(call.path).lstrip("/").partition("/")
        asked.update({"Bucket": bucket} if bucket else {}, **({"Key": key} if key else {}))
    return asked


@functools.lru_cache(maxsize=512)
def _template(service: str, operation: str) -> tuple[re.Pattern[str], tuple[str, ...]] | None:
    model = botocore.session.get_session().get_service_model(service)
    if operation not in model.operation_names:
        return None
    path = model.operation_model(operation).http["requestUri"].partition("?")[0]
    names = tuple(name.rstrip("+") for name in re.findall(r"\{([^}]+)\}", path))
    loose = any("arn" in name.lower() for name in names)
    parts = [re.escape(part) if not part.startswith("{") else "(.+)" if part.endswith("+}") or loose else "([^/]+)"
             for part in re.split(r"(\{[^}]+\})", path)]  # fmt: skip
    return re.compile("".join(parts) + "/?"), names


def _in_path(service: str, operation: str, path: str) -> dict[str, str]:
    found = _template(service, operation)
    if found is None or service == "s3":
        return {}
    pattern, names = found
    match = pattern.fullmatch(unquote(path))
    values = dict(zip(names, match.groups(), strict=True)) if match else {}
    # API Gateway's wire names are not those of its API reference.
    return {{"restapi_id": "restApiId", "stage_name": "stageName"}.get(name, name): one for name, one in values.items()}


# --- condition keys ---------------------------------------------------------------------------------------------------


def _tags(resource: str, place: Where) -> dict[str, str]:
    """`aws:ResourceTag/KEY` of the resource, as the tagging API knows it."""
    if resource in ("*", UNKNOWN):
        return {}
    from moto.resourcegroupstaggingapi.models import (  # noqa: PLC0415 - brings every service with it; rarely needed
        resourcegroupstaggingapi_backends,
    )

    kinds = {"sqs": "sqs", "lambda": "lambda", "states": "states:stateMachine", "dynamodb": "dynamodb"}
    kind = kinds.get(resource.split(":")[2])
    if kind is None:
        return {}
    arn = resource.replace(":execution:", ":stateMachine:").rsplit(":", 1)[0] if ":execution:" in resource else resource
    backend = resourcegroupstaggingapi_backends[place.account][place.region]
    _, rows = backend.get_resources(resource_type_filters=[kind])
    tags = next((row.tags for row in rows if row.arn == arn), {})
    return {f"aws:resourcetag/{key.lower()}": value for key, value in tags.items()}


def _mapping(call: Call, resource: str) -> dict[str, str]:
    """`lambda:FunctionArn` of an event source mapping."""
    if ":event-source-mapping:" not in resource:
        return {}
    backend = lambda_backends[call.account][call.region]
    mapping = backend.get_event_source_mapping(resource.rsplit(":", 1)[-1])
    return {"lambda:functionarn": str(mapping.function_arn)} if mapping is not None else {}
