"""One named CloudWatch metric of the kind `metric`: which one, how its periods become one number, which never speak.

Periods are combined so that the number is what the whole window's would be: sums and sample counts are added, maxima
and minima compared, and an average is the sum over the sample count, both read. Percentiles and trimmed means cannot
be combined: their period is the whole window unless `period` is given, and then the worst (highest) period counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field, field_validator, model_validator

from checks.reading import MINUTE
from monitor.plugin import Duration, MetricQuery, MetricSeries, Params

Points = Sequence[tuple[datetime, float]]

#: Statistics whose periods add up, so that silence may mean zero and a rate makes sense.
COUNTS = frozenset({"Sum", "SampleCount"})
_PLAIN = {"Sum", "SampleCount", "Average", "Minimum", "Maximum"}
_EXTENDED = re.compile(r"p\d{1,2}(\.\d+)?|p100|IQM|(TM|TC|TS|WM|PR)(\d{1,2}|\([\d.:%]+\))")

#: The dimension without which a metric of this namespace does not exist (its own page in AWS's documentation).
_NEEDED: Mapping[str, tuple[str, re.Pattern[str]]] = {
    "AWS/States": ("StateMachineArn", re.compile("Execution(s|T)")),
    "AWS/SQS": ("QueueName", re.compile("")),
    "AWS/AppSync": ("GraphQLAPIId", re.compile("")),
    "AWS/ApplicationELB": ("LoadBalancer", re.compile("")),
    "AWS/CloudFront": ("DistributionId", re.compile("")),
}


def never_speaks(namespace: str, metric: str, dimensions: Mapping[str, str | None]) -> str | None:
    """Why no such series can exist, and what to write instead; None if it may. A dimension of None has any value."""
    names = set(dimensions)
    if (namespace, metric) == ("AWS/DynamoDB", "ThrottledRequests") and "Operation" not in names:
        return "ThrottledRequests exists per Operation only: use ReadThrottleEvents and WriteThrottleEvents"
    balancer = dimensions.get("LoadBalancer")
    if namespace == "AWS/ApplicationELB" and balancer and not balancer.startswith("app/"):
        return "the dimension LoadBalancer is `app/NAME/ID`, the end of the ARN, not the name"
    needed, metrics = _NEEDED.get(namespace, ("", re.compile("")))
    if needed and metrics.match(metric) and needed not in names:
        return f"{namespace} {metric} exists per {needed} only: give it"
    return None


class Source(Params):
    """A metric and its statistic."""

    namespace: str = Field(min_length=1, description="CloudWatch namespace, `AWS/Lambda` or a custom one.")
    metric: str = Field(min_length=1, description="Name of the metric.")
    dimensions: Mapping[str, str] = Field(
        description="All its dimensions except the one of `split_by`; `{}` is a metric without any, which is another."
    )
    stat: str = Field("Sum", description="Sum, SampleCount, Average, Minimum, Maximum, p95, TM(10%:90%), ...")
    period: Duration | None = Field(None, description="Granularity; default: 1m, for percentiles the whole window.")
    absent: Literal["zero", "unknown"] | None = Field(
        None,
        description="What this metric counts as while others have data: by default zero for Sum and SampleCount.",
    )
    split: bool = Field(True, description="False: without the dimension of `split_by`, the same for every target.")

    @field_validator("stat")
    @classmethod
    def _known(cls, stat: str) -> str:
        if stat not in _PLAIN and not _EXTENDED.fullmatch(stat):
            raise ValueError(f"{stat!r} is no statistic: Sum, SampleCount, Average, Minimum, Maximum or p95")
        return stat

    @model_validator(mode="after")
    def _whole_minutes(self) -> Source:
        if self.period is not None and self.period % MINUTE:
            raise ValueError("period is a multiple of 1m")
        return self

    def impossible(self, split_by: str | None) -> str | None:
        """Why no such series can exist."""
        split: Mapping[str, str | None] = {split_by: None} if split_by and self.split else {}
        return never_speaks(self.namespace, self.metric, {**self.dimensions, **split})

    @property
    def counts(self) -> bool:
        """Whether its periods add up."""
        return self.stat in COUNTS

    @property
    def silence_is_zero(self) -> bool:
        """What no datapoint counts as."""
        return self.absent == "zero" if self.absent else self.counts

    def grain(self, window: timedelta) -> timedelta:
        """The period that is asked for."""
        return self.period or (MINUTE if self.stat in _PLAIN else window)

    def queries(
        self, more: Mapping[str, str], window: timedelta, spans: int, region: str | None
    ) -> tuple[MetricQuery, ...]:
        """What to ask for `spans` windows back; `more` is the dimension of `split_by` and its value."""
        dimensions = tuple({**self.dimensions, **(more if self.split else {})}.items())
        period = self.grain(window)
        points = spans * int(window / period)
        stats = ("Sum", "SampleCount") if self.stat == "Average" else (self.stat,)
        return tuple(
            MetricQuery(self.namespace, self.metric, dimensions, stat, period, points, region) for stat in stats
        )

    def combine(self, series: Sequence[MetricSeries], within: Callable[[datetime], bool]) -> float | None:
        """One number of the periods whose end is `within`; None if there is none."""
        parts = [[value for end, value in one.points if within(end)] for one in series]
        if not parts[0]:
            return None
        if self.stat == "Average":
            samples = sum(parts[1])
            return sum(parts[0]) / samples if samples else None
        if self.counts:
            return sum(parts[0])
        return min(parts[0]) if self.stat == "Minimum" else max(parts[0])
