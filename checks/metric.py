"""A number from CloudWatch metrics of any namespace: one of them, or arithmetic over several (see checks.expression).

    metrics:
      errors: {namespace: JauntDataScout, metric: Errors, dimensions: {}}
      calls: {namespace: JauntDataScout, metric: Calls, dimensions: {}}
    expression: errors / calls
    split_by: Connector
    minimum: {calls: 20}

The arithmetic is done here on plain statistics of the complete periods of `window`; CloudWatch's own metric math,
SEARCH and Insights are never asked. With `split_by` every value that dimension had in the last two weeks (ListMetrics)
is a target; a metric with `split: false` is the same for all of them.

No data: a Sum or SampleCount without a datapoint is zero as long as another metric of the expression has some, so a
connector with calls and no errors has a ratio of 0. Without any datapoint at all, after a division by zero, or where a
metric is below its `minimum`, the point is absent. An absent point means zero if every metric is a count of events
(and the metric exists), else unknown; `missing:` under the threshold says otherwise.

The default threshold takes the number for a count of bad events: critical above 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import cached_property

from pydantic import Field, field_validator, model_validator

from checks.expression import RESERVED, Expression, parse
from checks.metric_source import Source
from checks.reading import MINUTE, absent, attempt, each, observe
from monitor.plugin import (
    Bound,
    Check,
    Duration,
    MetricSeries,
    Missing,
    Observation,
    Params,
    Permission,
    ProbeContext,
    ProbeError,
    Reason,
    Signal,
    SignalSpec,
    need,
    target_name,
)

VALUE = Signal("value", "value", "What the expression yields over `window`.", window="window")

#: More values than this of one dimension are refused: each is a target of its own.
MAX_TARGETS = 200


class Metric(Params):
    """Named metrics and what to compute of them."""

    metrics: Mapping[str, Source] = Field(min_length=1, max_length=10, description="Metrics by the names used below.")
    expression: str | None = Field(None, description="Arithmetic over the names; may be left out for a single metric.")
    window: Duration = Field(timedelta(minutes=5), description="How far back; whole minutes.")
    minimum: Mapping[str, float] = Field(
        default_factory=dict, description="Least value of a metric in the window; below it the point is absent."
    )
    split_by: str | None = Field(None, description="A dimension: every value of it is a target.")
    only: tuple[str, ...] = Field((), description="Globs over the values of `split_by`; none: all values.")
    target: str | None = Field(
        None, description="Name of the target; default: the dimensions' values, else the metric."
    )
    region: str | None = Field(None, description="Another region than the pipeline's (CloudFront: us-east-1).")

    @field_validator("metrics")
    @classmethod
    def _names(cls, metrics: Mapping[str, Source]) -> Mapping[str, Source]:
        for name in metrics:
            if not name.isidentifier() or name in RESERVED:
                raise ValueError(f"{name!r} can't be the name of a metric: letters, digits, _ and no function's name")
        return metrics

    @model_validator(mode="after")
    def _consistent(self) -> Metric:
        if self.window < MINUTE or self.window % MINUTE:
            raise ValueError("window is a whole number of minutes")
        if self.expression is None and len(self.metrics) > 1:
            raise ValueError("several metrics need an expression, e.g. errors / calls")
        parsed = self.parsed
        for name in sorted(parsed.names | set(self.minimum)):
            if name not in self.metrics:
                raise ValueError(f"{name!r} is no metric here; there are {', '.join(self.metrics)}")
        for name in sorted(parsed.rated):
            if not self.metrics[name].counts:
                raise ValueError(f"a rate of {name} makes no sense: its statistic is not Sum or SampleCount")
        for name, source in self.metrics.items():
            if source.grain(self.window) > self.window or self.window % source.grain(self.window):
                raise ValueError(f"window is not a multiple of the period of {name}")
            impossible = source.impossible(self.split_by)
            if impossible:
                raise ValueError(f"{name}: {impossible}")
        if self.only and self.split_by is None:
            raise ValueError("only chooses among the values of split_by: give split_by")
        if self.split_by and not any(source.split for source in self.metrics.values()):
            raise ValueError("split_by splits nothing: every metric says split: false")
        return self

    @cached_property
    def parsed(self) -> Expression:
        """The expression, or the name of the only metric."""
        return parse(self.expression or next(iter(self.metrics)))

    @property
    def is_count(self) -> bool:
        """Whether silence of every metric means that nothing happened."""
        return all(source.silence_is_zero for source in self.metrics.values())

    @property
    def default_target(self) -> str:
        """What the one target is called without `split_by`."""
        first = next(iter(self.metrics.values()))
        values = "/".join(target_name(value) for value in first.dimensions.values())
        return self.target or values or first.metric


@dataclass(frozen=True, slots=True)
class _Target:
    """`more` is the dimension of `split_by`; a listed one is known to exist."""

    name: str
    more: Mapping[str, str]
    listed: bool


async def probe(params: Metric, ctx: ProbeContext) -> Sequence[Observation]:
    """The one target, or each value of `split_by`."""
    if params.split_by is None:
        targets = [_Target(params.default_target, {}, listed=False)]
    else:
        targets = await _split(params, params.split_by, ctx)

    async def read(target: _Target) -> list[Observation]:
        return [await _observe(params, target, ctx)]

    return await each(targets, read, [VALUE])


async def _split(params: Metric, name: str, ctx: ProbeContext) -> list[_Target]:
    values: set[str] = set()
    for source in params.metrics.values():
        if source.split:
            wanted = {**source.dimensions, name: None}
            values.update(found[name] for found in await _listed(source, wanted, params.region, ctx))
    chosen = sorted(one for one in values if not params.only or any(fnmatchcase(one, glob) for glob in params.only))
    if not chosen:
        raise ProbeError(Reason.NOT_FOUND, f"no metric here had a dimension {name} in the last two weeks")
    if len(chosen) > MAX_TARGETS:
        raise ProbeError(
            Reason.INVALID, f"{name} has {len(chosen)} values; at most {MAX_TARGETS} are targets: use only"
        )
    targets = {target_name(value): _Target(target_name(value), {name: value}, listed=True) for value in chosen}
    if len(targets) < len(chosen):
        raise ProbeError(Reason.INVALID, f"two values of {name} have the same short name")
    return list(targets.values())


async def _listed(
    source: Source, wanted: Mapping[str, str | None], region: str | None, ctx: ProbeContext
) -> list[Mapping[str, str]]:
    """Dimensions of the metric's series with exactly the wanted ones (None: any value). AWS also lists more specific
    series, and those are other metrics."""
    filters = [{"Name": name} if value is None else {"Name": name, "Value": value} for name, value in wanted.items()]
    found: list[Mapping[str, str]] = []
    pages = ctx.aws.pages(
        "cloudwatch",
        "ListMetrics",
        region=region,
        Namespace=source.namespace,
        MetricName=source.metric,
        Dimensions=filters,
    )
    async for page in pages:
        for metric in page.get("Metrics", ()):
            dimensions = {one["Name"]: one["Value"] for one in metric.get("Dimensions", ())}
            if set(dimensions) == set(wanted):
                found.append(dimensions)
    return found


async def _observe(params: Metric, target: _Target, ctx: ProbeContext) -> Observation:
    spans = 2 if params.parsed.looks_back else 1
    asked = {
        name: source.queries(target.more, params.window, spans, params.region)
        for name, source in params.metrics.items()
    }
    replies = iter(await ctx.aws.metrics([query for queries in asked.values() for query in queries]))
    series = {name: [next(replies) for _ in queries] for name, queries in asked.items()}
    ends = [one.last[0] for many in series.values() for one in many if one.last]
    if not ends:
        return absent(VALUE, target.name, _silence(params), exists=await _exists(params, target, ctx))
    now, before = _windows(params, series, ctx.now) if spans == 2 else (_values(params, series, None, None), {})
    return _result(params, target.name, now, before, max(ends))


def _result(
    params: Metric, target: str, now: Mapping[str, float | None], before: Mapping[str, float | None], at: datetime
) -> Observation:
    told = ", ".join(f"{name} {'absent' if value is None else f'{value:g}'}" for name, value in now.items())
    for name, least in params.minimum.items():
        value = now[name]
        if value is None or value < least:
            return absent(VALUE, target, f"{told}: {name} is below its minimum of {least:g}", exists=True)
    result = params.parsed.evaluate(now, before, params.window.total_seconds())
    if result is None:
        return absent(VALUE, target, f"{told}: {params.parsed.text} has no value", exists=True)
    return observe(VALUE, target, result, at, detail=told)


def _windows(
    params: Metric, series: Mapping[str, Sequence[MetricSeries]], now: datetime
) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """The values of this window and of the one before. Where this one ends depends on how long the reader lets
    periods settle: at the newest boundary if anything has a point there, else one period earlier."""
    current: dict[str, float | None] = {}
    before: dict[str, float | None] = {}
    for name, source in params.metrics.items():
        period = source.grain(params.window)
        same = [query for other, query in series.items() if params.metrics[other].grain(params.window) == period]
        boundary = datetime.fromtimestamp(now.timestamp() // period.total_seconds() * period.total_seconds(), UTC)
        newest = max((one.last[0] for many in same for one in many if one.last), default=boundary)
        end = boundary if newest >= boundary else boundary - period
        begin = end - params.window
        current.update(_values(params, {name: series[name]}, begin, None))
        before.update(_values(params, {name: series[name]}, begin - params.window, begin))
    return current, before


def _values(
    params: Metric,
    series: Mapping[str, Sequence[MetricSeries]],
    after: datetime | None,
    until: datetime | None,
) -> dict[str, float | None]:
    """Each metric's number over the periods that end in (after, until]."""

    def within(end: datetime) -> bool:
        return (after is None or end > after) and (until is None or end <= until)

    values = {name: params.metrics[name].combine(many, within) for name, many in series.items()}
    return {
        name: 0.0 if value is None and params.metrics[name].silence_is_zero else value for name, value in values.items()
    }


def _silence(params: Metric) -> str:
    return f"no datapoint in the last {int(params.window / MINUTE)} min"


async def _exists(params: Metric, target: _Target, ctx: ProbeContext) -> bool:
    """Whether the silent metric exists at all: a name that never had data is a mistake, not a zero."""
    if target.listed or not params.is_count:
        return target.listed
    for source in params.metrics.values():
        found = await attempt(_listed(source, source.dimensions, params.region, ctx))
        if not isinstance(found, ProbeError) and found:
            return True
    return False


class _Kind(Check[Metric]):
    """What depends on the parameters."""

    def targets(self, params: Metric) -> tuple[str, ...]:
        """The one that is known."""
        return () if params.split_by else (params.default_target,)

    def absences(self, params: Metric) -> Mapping[str, Missing]:
        """Silence of counts is zero, silence of gauges is nothing."""
        return {VALUE.name: Missing.ZERO if params.is_count else Missing.UNKNOWN}


def needs(params: Metric) -> list[Permission]:
    """For IAM: what one configuration asks."""
    # What is silent is looked for in the list: whether it ever spoke.
    return [need("cloudwatch:GetMetricData", "cloudwatch:ListMetrics", region=params.region)]


CHECK: Check[Metric] = _Kind(
    kind="metric",
    summary="A number from CloudWatch metrics of any namespace, or arithmetic over several of them.",
    params=Metric,
    probe=probe,
    signals=(VALUE,),
    defaults={"value": SignalSpec(critical=Bound(above=0))},
    permissions=("cloudwatch:GetMetricData", "cloudwatch:ListMetrics"),
    cost="Per target one metric each ($0.01 per 1,000); with split_by or while silent also one ListMetrics per metric.",
    example="""\
connector-errors:
  kind: metric
  metrics:
    errors: {namespace: JauntDataScout, metric: Errors, dimensions: {}}
    calls: {namespace: JauntDataScout, metric: Calls, dimensions: {}}
  expression: errors / calls
  split_by: Connector
  minimum: {calls: 20}
  thresholds:
    value: {warning: {above: 0.02}, critical: {above: 0.1, for: 10m}}
""",
    roaming=lambda params: params.split_by is not None,
    needs=needs,
)
