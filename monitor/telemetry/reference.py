"""The reference page of metrics, generated from the table: `python -m monitor.telemetry.reference > FILE`."""

from __future__ import annotations

import sys

from monitor.telemetry.catalogue import METRICS, Metric

_HEAD = """# Metrics

Generated from `monitor/telemetry/catalogue.py`; edit that. `/metrics` speaks Prometheus text and OpenMetrics.
Those marked *fresh* are built at each scrape from what the engine knows, so a vanished target leaves no stale series.
The usual `process_*` and `python_info` metrics come along.

| metric | type | labels | unit | |
|---|---|---|---|---|
"""


def metrics_markdown() -> str:
    """`docs/reference/metrics.md`, whole."""
    return _HEAD + "".join(_line(metric) for metric in METRICS)


def _line(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    kind = metric.type.value + (" *(fresh)*" if metric.fresh else "")
    note = metric.help
    if metric.buckets:
        note += " Buckets: " + ", ".join(f"{bucket:g}" for bucket in metric.buckets) + "."
    return f"| `{metric.name}` | {kind} | {labels} | {metric.unit} | {note} |\n"


if __name__ == "__main__":
    sys.stdout.write(metrics_markdown())
