"""What a configuration will ask of AWS while nothing is wrong: calls a minute, share of quotas, dollars a month.

Checks of one kind, pipeline and interval run together, as in the daemon, so that equal reads are one call and metrics
share GetMetricData calls. Not counted: what breakers do once they trip, and pages beyond the first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from monitor.core.spec import CheckSpec, Pipeline

#: A month of 30 days, as AWS's own calculator has it (730 hours is 30.4).
MONTH = timedelta(days=30)
#: How long what a glob or tag finds is kept.
DISCOVERY = timedelta(minutes=5)
#: The kill switch's parameter is read so often.
POLL = timedelta(seconds=5)

Operation = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Group:
    """Checks that run at the same moments."""

    pipeline: Pipeline
    kind: str
    interval: timedelta
    checks: tuple[CheckSpec, ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """What one run of a group asks. `discoveries` are calls made once per discovery window."""

    calls: Mapping[Operation, int]
    metrics: int
    discoveries: Mapping[Operation, int]
    assumed: tuple[str, ...] = ()  # checks whose number of targets is a guess


@dataclass(frozen=True, slots=True)
class Line:
    """One operation. `share` is of its quota in one account and region, 0 to 1; `dollars` a month."""

    aws_service: str
    operation: str
    per_minute: float
    share: float
    dollars: float


@dataclass(frozen=True, slots=True)
class Bill:
    """The whole. `metrics` are those asked of GetMetricData in a month."""

    lines: tuple[Line, ...]
    metrics: float
    assumed: tuple[str, ...]

    @property
    def per_minute(self) -> float:
        """Calls of all kinds."""
        return sum(line.per_minute for line in self.lines)

    @property
    def dollars(self) -> float:
        """A month."""
        return sum(line.dollars for line in self.lines)

    @property
    def by_service(self) -> dict[str, float]:
        """Dollars a month, the dearest first."""
        found: dict[str, float] = defaultdict(float)
        for line in self.lines:
            found[line.aws_service] += line.dollars
        return dict(sorted(found.items(), key=lambda item: -item[1]))


@dataclass(frozen=True, slots=True)
class Tariff:
    """Dollars of a request (service, operation) and of a metric; calls a second (service, operation, region)."""

    request: Callable[[str, str], float]
    metric: float
    quota: Callable[[str, str, str], float]


def groups_of(pipelines: Sequence[Pipeline]) -> list[Group]:
    """Checks by pipeline, kind and interval: those that share a phase of the grid."""
    found: dict[tuple[str, str, timedelta], list[CheckSpec]] = {}
    for pipeline in pipelines:
        for check in pipeline.checks.values():
            found.setdefault((pipeline.name, check.kind, check.interval), []).append(check)
    by_name = {pipeline.name: pipeline for pipeline in pipelines}
    return [Group(by_name[name], kind, interval, tuple(checks)) for (name, kind, interval), checks in found.items()]


def bill(used: Sequence[tuple[Group, Usage]], pipelines: Sequence[Pipeline], tariff: Tariff, home: str) -> Bill:
    """Rates and dollars. `home` is the region of pipelines that name none."""
    rates: dict[tuple[str, str, str], float] = defaultdict(float)  # calls a minute by service, operation, region
    metrics = 0.0
    for group, usage in used:
        region = group.pipeline.aws.region or home
        runs = timedelta(minutes=1) / group.interval
        for (service, operation), count in usage.calls.items():
            rates[service, operation, region] += count * runs
        for (service, operation), count in usage.discoveries.items():
            rates[service, operation, region] += count * (timedelta(minutes=1) / max(group.interval, DISCOVERY))
        metrics += usage.metrics * runs
    for pipeline in pipelines:
        if pipeline.kill_switch_parameter:
            rates["ssm", "GetParameter", pipeline.aws.region or home] += timedelta(minutes=1) / POLL
    return Bill(_lines(rates, metrics, tariff), metrics * _MINUTES, _assumed(used))


_MINUTES = MONTH / timedelta(minutes=1)


def _lines(rates: Mapping[tuple[str, str, str], float], metrics: float, tariff: Tariff) -> tuple[Line, ...]:
    """One per operation; its share is that of the busiest region."""
    total: dict[Operation, float] = defaultdict(float)
    shares: dict[Operation, float] = defaultdict(float)
    for (service, operation, region), rate in rates.items():
        name = (service, operation)
        total[name] += rate
        allowed = tariff.quota(service, operation, region)
        shares[name] = max(shares[name], rate / 60 / allowed if allowed else 0.0)
    lines = []
    for (service, operation), rate in total.items():
        dollars = rate * _MINUTES * tariff.request(service, operation)
        if operation == "GetMetricData":
            dollars += metrics * _MINUTES * tariff.metric
        lines.append(Line(service, operation, rate, shares[service, operation], dollars))
    return tuple(sorted(lines, key=lambda line: (-line.dollars, -line.per_minute, line.aws_service, line.operation)))


def _assumed(used: Sequence[tuple[Group, Usage]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for _, usage in used for name in usage.assumed))
