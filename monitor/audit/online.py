"""Dead checks and dead steps, found by asking AWS: reads only.

A check is dead when its run finds nothing: what it names does not exist, may not be read, or is a metric that nobody
ever published under these dimensions. A step is dead when what it would change can't be read, or when the identity may
not make its calls. What can't be told is said as a note.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from monitor.audit.findings import Finding, Gravity
from monitor.audit.steps import STAND_IN, Doing, doings
from monitor.core.model import Json, Reason, Row
from monitor.core.ports import Clock
from monitor.core.spec import Pipeline
from monitor.core.view import CheckView
from monitor.plugin import ActionError, Change, Held, ProbeError, Reads, Registry, TripInfo

_TODO = {
    Reason.NOT_FOUND: "correct the name (or the region), or create it; a check of what does not exist never trips",
    Reason.DENIED: "allow it: `tripswitch iam-policy` prints what this configuration needs",
    Reason.INVALID: "correct the parameters",
    Reason.THROTTLED: "try again; if it stays, raise the interval",
    Reason.TIMEOUT: "try again; if it stays, raise the check's timeout",
    Reason.UNAVAILABLE: "look at the network and the endpoint, and try again",
    Reason.BUG: "report it",
}
#: What may pass by itself is not a fault of the file.
_PASSING = frozenset({Reason.THROTTLED, Reason.TIMEOUT, Reason.UNAVAILABLE, Reason.BUG})
_MOST = 12


# --- checks -----------------------------------------------------------------------------------------------------------


def dead_checks(rows: Iterable[Row], views: Iterable[CheckView]) -> list[Finding]:
    """From one round of the real checks: what could not be read, and what found no target at all."""
    found: dict[tuple[str, str, str, str], Finding] = {}
    for row in rows:
        if row.reason is not None:
            finding = _unread(row.pipeline, row.check, row.reason, f"{row.target}: {row.detail or row.reason}")
            found.setdefault((row.pipeline, row.check, row.target, row.detail), finding)
    told = {(row.pipeline, row.check) for row in rows}
    for view in views:
        key = (view.pipeline, view.name)
        if view.reason is not None and not any(one[:2] == key for one in found):
            found[(*key, "", view.detail)] = _unread(*key, view.reason, view.detail or str(view.reason))
        elif view.reason is None and key not in told:
            message = "its selection (globs, tags) finds nothing: the check watches no target"
            path = ("checks", view.name)
            todo = "correct the glob or the tags, or remove the check"
            found[(*key, "", "")] = Finding(view.pipeline, path, Gravity.ERROR, message, todo)
    return list(found.values())


def _unread(pipeline: str, check: str, reason: Reason, text: str) -> Finding:
    gravity = Gravity.NOTE if reason in _PASSING else Gravity.ERROR
    return Finding(pipeline, ("checks", check), gravity, text, _TODO[reason])


async def dead_metrics(pipeline: Pipeline, reads: Reads) -> list[Finding]:
    """Metrics (kind `metric`) that have no series under exactly these dimensions; the hint says which there are."""
    found = []
    for check in pipeline.checks.values():
        for name, source in (check.params.metrics if check.kind == "metric" else {}).items():
            split = check.params.split_by
            wanted = {**source.dimensions, **({split: None} if split and source.split else {})}
            try:
                said = await _silent(source.namespace, source.metric, wanted, check.params.region, reads)
            except ProbeError as error:
                gravity = Gravity.NOTE
                said = (f"whether {source.metric} exists could not be asked: {error.detail}", _TODO[error.reason])
            else:
                gravity = Gravity.ERROR
            if said is not None:
                found.append(Finding(pipeline.name, ("checks", check.name, "metrics", name), gravity, *said))
    return found


async def _silent(
    namespace: str, metric: str, wanted: Mapping[str, str | None], region: str | None, reads: Reads
) -> tuple[str, str] | None:
    """(what is wrong, what to do) of a metric without such a series in the last two weeks; None if there is one."""
    series: list[dict[str, str]] = []
    pages = reads.pages("cloudwatch", "ListMetrics", region=region, Namespace=namespace, MetricName=metric)
    async for page in pages:
        series += [{d["Name"]: d["Value"] for d in one.get("Dimensions", ())} for one in page.get("Metrics", ())]
    if any(_is(one, wanted) for one in series):
        return None
    shown = ", ".join(f"{key}={value or '*'}" for key, value in wanted.items()) or "no dimension"
    if not series:
        return (
            f"{namespace} has no metric {metric} in the last two weeks",
            "correct namespace, name or region; one that is published only at failures may be right all the same",
        )
    alike = [one for one in series if set(one) == set(wanted)]
    if alike:
        values = sorted({", ".join(f"{key}={value}" for key, value in one.items()) for one in alike})
        return (f"{metric} has no series with {shown}", f"there are: {'; '.join(values[:3])}")
    sets = sorted({"+".join(sorted(one)) or "none" for one in series})
    return (f"{metric} has no series with exactly {shown}", f"it exists by: {', '.join(sets[:_MOST])}")


def _is(series: Mapping[str, str], wanted: Mapping[str, str | None]) -> bool:
    return set(series) == set(wanted) and all(value in (None, series[key]) for key, value in wanted.items())


# --- steps ------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Looking:
    """ActionContext that reads, remembers nothing and changes nothing."""

    aws: Any
    trip: TripInfo
    clock: Clock
    memory: Mapping[str, Json] = field(default_factory=dict)

    def now(self) -> datetime:
        """Wall time."""
        return self.clock.now()

    async def sleep(self, seconds: float) -> None:
        """Nothing is waited for: what takes time is taken as it is now."""
        raise Held("lint", "not settled yet")

    async def remember(self, **values: Json) -> None:
        """Not here."""

    async def healthy(self) -> Sequence[Json]:
        """Nothing is known."""
        return []

    async def progress(self, *args: Any, **more: Any) -> None:
        """Not here."""

    async def permit(self, *args: Any, **more: Any) -> None:
        """Nothing may be changed."""
        raise Held("lint", "the linter changes nothing")

    async def secret(self, reference: str) -> str:
        """None is resolved."""
        raise Held("lint", "the linter resolves no secrets")

    async def notify(self, urls: Sequence[str], title: str, body: str) -> list[str]:
        """Nobody is told."""
        return []


class OnlyReads:
    """Writes whose `mutate` is refused."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reads, name)

    async def mutate(self, *args: Any, **more: Any) -> Mapping[str, Any]:
        """Never."""
        raise Held("lint", "the linter changes nothing")

    def rate(self, aws_service: str, operation: str) -> float:
        """Some."""
        return 1.0


async def dead_steps(pipeline: Pipeline, registry: Registry, reads: Reads, clock: Clock) -> list[Finding]:
    """Steps whose resource does not exist or can't be read, and those that AWS would refuse as the resource stands."""
    found = []
    for spec in pipeline.breakers.values():
        for doing in doings(pipeline, spec, registry):
            if doing.params is None or STAND_IN in str(doing.params):
                continue  # its targets are the check's, and the check was looked at
            said = await _look(doing, pipeline, reads, clock)
            said = said or await _refused(doing, reads)
            if said is not None:
                found.append(Finding(pipeline.name, doing.where, *said))
    return found


Said = tuple[Gravity, str, str]


async def _look(doing: Doing, pipeline: Pipeline, reads: Reads, clock: Clock) -> Said | None:
    action, params, now = doing.action, doing.params, clock.now()
    breaker = doing.breaker
    trip = TripInfo("lint", pipeline.name, breaker.name, breaker.severity.value, "", now, ("nothing",))
    ctx: Any = Looking(OnlyReads(reads), trip, clock)
    try:
        changes: Sequence[Change]
        if action.expand is not None:
            changes = await action.expand(params, now, reads)
            if not changes:
                return Gravity.WARNING, f"{action.name} finds nothing to change", "correct what it selects"
            return None
        await action.capture(action.plan(params, now), ctx)
    except Held:
        return None
    except (ProbeError, ActionError) as error:
        gravity = Gravity.NOTE if error.reason in _PASSING else Gravity.ERROR
        return gravity, f"{action.name}: {error.detail}", _TODO[error.reason]
    return None


async def _refused(doing: Doing, reads: Reads) -> Said | None:
    """What AWS refuses, or what reaches nobody, because of how the resource stands."""
    judge = {
        "scale_table": _on_demand,
        "set_memory": _served_by_alias,
        "set_environment": _served_by_alias,
        "redrive_queue": _without_origin,
    }.get(doing.action.name)
    try:
        return await judge(doing.params, reads) if judge is not None else await _called(doing, reads)
    except ProbeError:
        return None  # whether it exists was asked before


async def _called(doing: Doing, reads: Reads) -> Said | None:
    params: Any = doing.params
    if doing.action.name != "aws_call":
        return None
    operation = str(params.operation).replace("-", "").lower()
    if operation == "updatetable" and "ProvisionedThroughput" in params.parameters:
        if params.parameters.get("BillingMode") == "PROVISIONED":
            return None
        return await _on_demand_table(str(params.parameters.get("TableName")), reads)
    if operation == "updatefunctionconfiguration":
        return await _aliases(str(params.parameters.get("FunctionName")), reads)
    if operation == "startmessagemovetask":
        return await _origin(str(params.parameters.get("SourceArn")).rsplit(":", 1)[-1], reads)
    return None


async def _on_demand(params: Any, reads: Reads) -> Said | None:
    if params.on_demand is not None or (params.read is None and params.write is None):
        return None
    return await _on_demand_table(str(params.table), reads)


async def _on_demand_table(name: str, reads: Reads) -> Said | None:
    table = (await reads.call("dynamodb", "DescribeTable", TableName=name))["Table"]
    if (table.get("BillingModeSummary") or {}).get("BillingMode") != "PAY_PER_REQUEST":
        return None
    return (
        Gravity.ERROR,
        f"{name} is on demand: AWS refuses capacity units for it",
        "use scale_table with `on_demand: {read: N, write: N}`, or set_billing_mode first",
    )


async def _served_by_alias(params: Any, reads: Reads) -> Said | None:
    return None if params.alias else await _aliases(str(params.function), reads)


async def _aliases(function: str, reads: Reads) -> Said | None:
    names = [
        one["Name"]
        async for page in reads.pages("lambda", "ListAliases", FunctionName=function)
        for one in page.get("Aliases", ())
        if one.get("FunctionVersion") != "$LATEST"
    ]
    if not names:
        return None
    return (
        Gravity.ERROR,
        f"{function} is served through the alias {', '.join(names[:3])}: only the unpublished version would change",
        f"give `alias: {names[0]}` to set_memory or set_environment",
    )


async def _without_origin(params: Any, reads: Reads) -> Said | None:
    return None if params.to else await _origin(str(params.queue), reads)


async def _origin(queue: str, reads: Reads) -> Said | None:
    name = queue.rsplit("/", 1)[-1].rsplit(":", 1)[-1]
    url = (await reads.call("sqs", "GetQueueUrl", QueueName=name))["QueueUrl"]
    async for page in reads.pages("sqs", "ListDeadLetterSourceQueues", QueueUrl=url):
        if page.get("queueUrls"):
            return None
    return (
        Gravity.ERROR,
        f"no SQS queue has {name} as its dead-letter queue (a function's, a topic's?): there is nowhere to move to",
        "use redrive_queue and say where with `to`, or give the messages to the function with invoke",
    )
