"""Drawing who sets off whom from live configuration: rules, targets, machines, mappings, subscriptions, buckets."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from checks.machine_outputs import Outputs, outputs_of, place_of
from monitor.plugin import Anything, Edge, ProbeContext, ProbeError, Reason, Text, could_match, target_name

#: Components followed in one run.
MOST_NODES = 1000

_UNKNOWN = Text()


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that listens for events."""

    name: str
    bus: str
    pattern: Mapping[str, Any]


@dataclass(slots=True)
class Drawing:
    """The graph so far, and what is left to follow (ARNs of components)."""

    ctx: ProbeContext
    writes: Mapping[str, Sequence[str]]
    include_disabled: bool = False
    edges: set[Edge] = field(default_factory=set)
    rules: list[Rule] = field(default_factory=list)
    #: Functions and jobs of which nobody says what they write.
    silent: set[str] = field(default_factory=set)
    #: ARN -> node, of every component met.
    nodes: dict[str, str] = field(default_factory=dict)
    queue: list[str] = field(default_factory=list)
    buckets: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def link(self, source: str, arn: str) -> None:
        """`source` sets off the component with this ARN, which is then followed too."""
        node = _node(arn)
        if node is None:
            return
        self.edges.add(Edge(source, node))
        if arn not in self.nodes:
            if len(self.nodes) >= MOST_NODES:
                raise ProbeError(Reason.INVALID, f"more than {MOST_NODES} components: give a name_prefix")
            self.nodes[arn] = node
            self.queue.append(arn)


async def draw(drawing: Drawing, buses: Sequence[str], prefix: str | None, max_rules: int) -> None:
    """Fill the drawing from the rules of `buses`. Raises ProbeError."""
    for bus in buses:
        async for rule in _rules(drawing, bus, prefix):
            drawing.rules.append(rule)
            if len(drawing.rules) > max_rules:
                raise ProbeError(Reason.INVALID, f"more than {max_rules} rules: give a name_prefix")
    for rule in drawing.rules:
        pages = drawing.ctx.aws.pages("events", "ListTargetsByRule", Rule=rule.name, EventBusName=rule.bus)
        async for page in pages:
            for target in page.get("Targets") or ():
                drawing.link(f"rule {rule.name}", target["Arn"])
    while drawing.queue:
        arn = drawing.queue.pop()
        follow = _FOLLOW.get(drawing.nodes[arn].split(maxsplit=1)[0])
        if follow is not None:
            await follow(drawing, arn)


async def _rules(drawing: Drawing, bus: str, prefix: str | None) -> AsyncIterator[Rule]:
    asked: dict[str, Any] = {"EventBusName": bus}
    if prefix:
        asked["NamePrefix"] = prefix
    async for page in drawing.ctx.aws.pages("events", "ListRules", **asked):
        for rule in page.get("Rules") or ():
            if rule.get("EventPattern") and (drawing.include_disabled or rule.get("State") != "DISABLED"):
                yield Rule(rule["Name"], bus, json.loads(rule["EventPattern"]))


# --- components -----------------------------------------------------------------------------------------------------


async def _machine(drawing: Drawing, arn: str) -> None:
    reply = await _there(drawing.ctx.aws.call("stepfunctions", "DescribeStateMachine", stateMachineArn=_bare(arn)))
    if reply is None:
        return
    node = drawing.nodes[arn]
    found: Outputs = outputs_of(json.loads(reply["definition"]))
    for target in found.calls:
        drawing.link(node, _full(target, arn))
    for queue in found.queues:
        region, account = arn.split(":")[3:5]
        drawing.link(node, f"arn:aws:sqs:{region}:{account}:{target_name(queue)}")
    for event in found.events:
        _emit(drawing, node, event)
    for bucket, key in found.writes:
        await _write(drawing, node, bucket, key)
    await _declared(drawing, node, target_name(arn))
    # Every Standard machine tells its bus how its executions fare.
    detail = {"stateMachineArn": arn, "executionArn": _UNKNOWN, "name": _UNKNOWN, "status": _UNKNOWN}
    _emit(drawing, node, {
        "source": "aws.states", "detail-type": "Step Functions Execution Status Change", "account": arn.split(":")[4],
        "region": arn.split(":")[3], "resources": [_UNKNOWN], "detail": detail,
    })  # fmt: skip


async def _function(drawing: Drawing, arn: str) -> None:
    name = _function_name(arn)
    if name not in drawing.writes:
        drawing.silent.add(name)
        return
    places = drawing.writes[name]
    if any(place.startswith("env:") for place in places):
        call = drawing.ctx.aws.call("lambda", "GetFunctionConfiguration", FunctionName=name)
        reply = await _there(call)
        known = (reply or {}).get("Environment", {}).get("Variables", {})
        for place in places:
            value = known.get(place.removeprefix("env:")) if place.startswith("env:") else None
            if value:
                await _write(drawing, drawing.nodes[arn], *place_of(value))
    await _declared(drawing, drawing.nodes[arn], name)


async def _job(drawing: Drawing, arn: str) -> None:
    name = target_name(arn)
    if name not in drawing.writes:
        drawing.silent.add(name)
    await _declared(drawing, drawing.nodes[arn], name)


async def _queue(drawing: Drawing, arn: str) -> None:
    async for page in drawing.ctx.aws.pages("lambda", "ListEventSourceMappings", EventSourceArn=arn):
        for mapping in page.get("EventSourceMappings") or ():
            if mapping.get("State") not in ("Disabled", "Disabling", "Deleting"):
                drawing.link(drawing.nodes[arn], mapping["FunctionArn"])


async def _topic(drawing: Drawing, arn: str) -> None:
    async for page in drawing.ctx.aws.pages("sns", "ListSubscriptionsByTopic", TopicArn=arn):
        for one in page.get("Subscriptions") or ():
            if one.get("Protocol") in ("lambda", "sqs", "firehose"):
                drawing.link(drawing.nodes[arn], one["Endpoint"])


_FOLLOW: Mapping[str, Callable[[Drawing, str], Awaitable[None]]] = {
    "machine": _machine,
    "function": _function,
    "job": _job,
    "queue": _queue,
    "topic": _topic,
}


# --- what they give off ---------------------------------------------------------------------------------------------


async def _declared(drawing: Drawing, node: str, name: str) -> None:
    for place in drawing.writes.get(name, ()):
        if place.startswith("s3://"):
            await _write(drawing, node, *place_of(place))


async def _write(drawing: Drawing, node: str, bucket: str, key: Text) -> None:
    """An object appears: every rule and notification that it could match is set off."""
    shown = key.start if key.exact else f"{key.start}*{key.end}"
    place = f"s3://{bucket}/{shown}"
    drawing.edges.add(Edge(node, place))
    if bucket not in drawing.buckets:
        reply = await _there(drawing.ctx.aws.call("s3", "GetBucketNotificationConfiguration", Bucket=bucket))
        drawing.buckets[bucket] = reply or {}
    notices = drawing.buckets[bucket]
    if "EventBridgeConfiguration" in notices:
        _emit(drawing, place, _created(bucket, key))
    for kind, field_name in (("Lambda", "LambdaFunctionArn"), ("Queue", "QueueArn"), ("Topic", "TopicArn")):
        configurations = "LambdaFunctionConfigurations" if kind == "Lambda" else f"{kind}Configurations"
        for notice in notices.get(configurations) or ():
            if any(event.startswith("s3:ObjectCreated:") for event in notice["Events"]) and _passes(notice, key):
                drawing.link(place, notice[field_name])


def _created(bucket: str, key: Text) -> Mapping[str, Any]:
    """S3's `Object Created` event as EventBridge gets it (S3 user guide, "EventBridge event structure")."""
    written = {"key": key.start if key.exact else key, "size": Anything(), "etag": _UNKNOWN, "version-id": _UNKNOWN,
               "sequencer": _UNKNOWN}  # fmt: skip
    detail = {
        "version": "0", "bucket": {"name": bucket}, "object": written, "request-id": _UNKNOWN, "requester": _UNKNOWN,
        "source-ip-address": _UNKNOWN, "reason": _UNKNOWN,
    }  # fmt: skip
    return {
        "version": "0", "source": "aws.s3", "detail-type": "Object Created", "resources": [f"arn:aws:s3:::{bucket}"],
        "account": _UNKNOWN, "region": _UNKNOWN, "time": _UNKNOWN, "id": _UNKNOWN, "detail": detail,
    }  # fmt: skip


def _passes(notice: Mapping[str, Any], key: Text) -> bool:
    """The prefix and suffix of a bucket notification."""
    rules = notice.get("Filter", {}).get("Key", {}).get("FilterRules") or ()
    pattern = [{str(rule["Name"]).lower(): rule["Value"]} for rule in rules]
    return all(could_match({"key": [one]}, {"key": key}) for one in pattern)


def _emit(drawing: Drawing, node: str, event: Mapping[str, Any]) -> None:
    bus = target_name(str(event.get("bus", "default")))
    for rule in drawing.rules:
        if target_name(rule.bus) == bus and could_match(rule.pattern, event):
            drawing.edges.add(Edge(node, f"rule {rule.name}"))


# --- names ----------------------------------------------------------------------------------------------------------


def _node(arn: str) -> str | None:
    """What the component is called in the graph; None for what sets off nothing we can see."""
    parts = arn.split(":")
    service = parts[2] if len(parts) > 5 else ""
    if service == "lambda":
        return f"function {_function_name(arn)}"
    if service == "states" and ":stateMachine:" in arn:
        return f"machine {parts[6]}"
    names = {"sqs": "queue", "sns": "topic", "glue": "job"}
    return f"{names[service]} {target_name(arn)}" if service in names else None


def _function_name(arn: str) -> str:
    return arn.split(":")[6]


def _bare(arn: str) -> str:
    """A machine's ARN without version or alias."""
    return ":".join(arn.split(":")[:7])


def _full(target: str, beside: str) -> str:
    """An ARN from `function NAME` or `job NAME` in the account and region of `beside`; an ARN as it is."""
    if target.startswith("arn:"):
        return target
    kind, _, name = target.partition(" ")
    partition, region, account = beside.split(":")[1], *beside.split(":")[3:5]
    service, path = {"function": ("lambda", "function:"), "job": ("glue", "job/")}[kind]
    return f"arn:{partition}:{service}:{region}:{account}:{path}{name}"


async def _there(call: Awaitable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The reply; None for what was deleted: a dangling target sets off nothing."""
    try:
        return await call
    except ProbeError as error:
        if error.reason is Reason.NOT_FOUND:
            return None
        raise
