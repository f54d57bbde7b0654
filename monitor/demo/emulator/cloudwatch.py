"""CloudWatch: exact dimensions, periods on the clock, percentiles; what is missing is refused, not answered empty.

Sources: API_GetMetricData and cloudwatch_concepts (a metric is its name, namespace and exact set of dimensions; at
most 500 queries; periods align to their own length; newest first), Statistics-definitions (pNN interpolates between
values). Metric math, SEARCH and Insights are refused with ValidationError.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.cloudwatch.exceptions import ValidationError
from moto.cloudwatch.models import CloudWatchBackend, MetricDatum, Statistics, cloudwatch_backends

from monitor.demo.emulator.state import Answerer, Emulator, patch

_QUERIES = 500


def install(emulator: Emulator) -> Mapping[str, Answerer]:
    """Mend moto's metric reads; nothing is answered at the door."""
    patch(CloudWatchBackend, "get_metric_data", lambda _: _metric_data)
    patch(CloudWatchBackend, "get_metric_statistics", _statistics)
    return {}


def put(account: str, region: str, points: Sequence[Mapping[str, Any]]) -> int:
    """Points {namespace, metric, value, dimensions?: {name: value}, ago?: seconds} into any namespace, AWS/... too."""
    backend: CloudWatchBackend = cloudwatch_backends[account][region]
    now = datetime.now(UTC)
    for point in points:
        dimensions = [{"Name": name, "Value": value} for name, value in (point.get("dimensions") or {}).items()]
        at = now - timedelta(seconds=float(point.get("ago", 0)))
        datum = MetricDatum(point["namespace"], point["metric"], float(point["value"]), dimensions, at)
        backend.metric_data.append(datum)
    return len(points)


def _metric_data(
    backend: Any,
    queries: Sequence[Mapping[str, Any]],
    start_time: datetime,
    end_time: datetime,
    scan_by: str = "TimestampDescending",
) -> list[dict[str, Any]]:
    if start_time >= end_time:
        raise ValidationError("The parameter EndTime must be greater than StartTime.")
    if len(queries) > _QUERIES:
        raise ValidationError("The collection MetricDataQueries must not have a size greater than 500.")
    if len({query["Id"] for query in queries}) < len(queries):
        raise ValidationError("The values for parameter id in the parameter MetricDataQueries must be unique.")
    for query in queries:
        if "Expression" in query:
            raise ValidationError(f"the emulator does not evaluate expressions: {query['Expression']}")
    series = _index(backend.get_all_metrics())
    results = []
    for query in queries:
        stat = query["MetricStat"]
        period = int(stat["Period"])
        values = _periods(series.get(_key(stat["Metric"]), []), stat, period, (start_time, end_time))
        ordered = sorted(values.items(), reverse=scan_by != "TimestampAscending")
        if query.get("ReturnData", True):
            results.append(
                {
                    "id": query["Id"],
                    "label": query.get("Label") or stat["Metric"]["MetricName"],
                    "timestamps": [datetime.fromtimestamp(at, UTC).replace(tzinfo=None) for at, _ in ordered],
                    "values": [value for _, value in ordered],
                    "status_code": "Complete",
                }
            )
    return results


Series = tuple[str, str, frozenset[tuple[str, str]]]


def _key(metric: Mapping[str, Any]) -> Series:
    dimensions = frozenset((d["Name"], d["Value"]) for d in metric.get("Dimensions", []))
    return metric["Namespace"], metric["MetricName"], dimensions


def _index(metrics: Sequence[Any]) -> dict[Series, list[Any]]:
    series: dict[Series, list[Any]] = {}
    for datum in metrics:
        key = datum.namespace, datum.name, frozenset((d.name, d.value) for d in datum.dimensions)
        series.setdefault(key, []).append(datum)
    return series


def _periods(
    data: Sequence[Any], stat: Mapping[str, Any], period: int, window: tuple[datetime, datetime]
) -> dict[float, float]:
    """{start of period: value}; the window's start is rounded down to a whole period."""
    low, high = _epoch(window[0]) // period * period, _epoch(window[1])
    grouped: dict[float, list[Any]] = {}
    for datum in data:
        at = _epoch(datum.timestamp)
        if low <= at < high and stat.get("Unit") in (None, datum.unit):
            grouped.setdefault(at // period * period, []).append(datum)
    reduce = _reducer(str(stat["Stat"]))
    return {at: reduce(found, _epoch(window[0])) for at, found in grouped.items()}


def _reducer(stat: str) -> Callable[[list[Any], float], float]:
    if stat in ("Sum", "Average", "Minimum", "Maximum", "SampleCount"):

        def plain(data: list[Any], at: float) -> float:
            statistics = Statistics([stat], datetime.fromtimestamp(at, UTC))
            statistics.metric_data = data
            return float(statistics.get_statistics_for_type(stat) or 0)

        return plain
    if stat.startswith("p"):
        try:
            share = float(stat[1:]) / 100
        except ValueError:
            share = -1.0
        if 0 <= share <= 1:
            return lambda data, at: percentile(_values(data), share)
    raise ValidationError(f"the emulator does not compute the statistic {stat}")


def _values(data: list[Any]) -> list[float]:
    return [float(d.value) for d in data if isinstance(d, MetricDatum)]


def percentile(values: Sequence[float], share: float) -> float:
    """Linear interpolation between the neighbours; `share` 0 to 1."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    place = share * (len(ordered) - 1)
    low, high = math.floor(place), math.ceil(place)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _statistics(original: Any) -> Any:
    """GetMetricStatistics with exact dimensions: moto sees only the data of that very metric."""
    names = ("namespace", "metric_name", "start_time", "end_time", "period", "stats", "dimensions", "unit")

    def read(backend: Any, *args: Any, **more: Any) -> Any:
        given = {**dict(zip(names, args, strict=False)), **more}
        dimensions = given.get("dimensions") or []
        wanted = {"Namespace": given["namespace"], "MetricName": given["metric_name"], "Dimensions": dimensions}
        data = _index(backend.get_all_metrics()).get(_key(wanted), [])
        return original(_OneMetric(data), **{**given, "dimensions": []})

    return read


class _OneMetric:
    """What moto's GetMetricStatistics needs of a backend, holding one metric."""

    def __init__(self, data: Sequence[Any]) -> None:
        self._data = list(data)

    def get_all_metrics(self) -> list[Any]:
        return self._data


def _epoch(at: datetime) -> float:
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
