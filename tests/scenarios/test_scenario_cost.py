"""What `tripswitch cost` says beforehand, held against what the daemon's own counters say afterwards."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import test_scenario_etl as etl
from scene import Scene

from monitor.app import registry
from monitor.audit.cost import Bill, bill, groups_of
from monitor.aws.operations import Operations
from monitor.cli.cost import rehearse, tariff
from monitor.demo.world import INGEST

MINUTES = 60
#: Of one operation's calls; the sum is held to half of that. Runs at both ends of the hour fall in or out.
TOLERANCE = 0.10
#: Asked once, or by the emulator's caller rather than by a check.
BATCHED = ("cloudwatch", "GetMetricData")
ASIDE = {("sts", "GetCallerIdentity"), BATCHED}
CHECKS = ["execution-rate", "execution-surge", "stuck-executions", "ingest-throttles", "ingest-dead-letters"]


def counted(scene: Scene, name: str) -> Counter[tuple[str, str]]:
    """The daemon's own counter, by (service, operation)."""
    found: Counter[tuple[str, str]] = Counter()
    meter: Any = scene.running.engine.services.meter
    for family in meter.registry.collect():
        for sample in family.samples:
            if sample.name == name:
                key = sample.labels.get("aws_service", ""), sample.labels.get("operation", "")
                found[key] += int(sample.value)
    return found


async def estimated(scene: Scene) -> Bill:
    """What the command would say."""
    pipelines, operations = scene.stage.loaded.pipelines, Operations()
    now = scene.clock.now()
    used = [(one, await rehearse(one, registry(), operations, now, 5, None)) for one in groups_of(pipelines)]
    return bill(used, pipelines, tariff(), "us-east-1")


async def test_the_estimate_is_what_an_hour_of_the_daemon_asks(stage):
    """A healthy world in use: a queue holds something, functions are called, nothing is stuck."""
    scene = await stage("etl", checks=CHECKS, step=10, RATE_INTERVAL="30s")
    await etl.etl(scene)
    await etl.throttles(scene, 0, since="10m")
    await scene.side.post("sqs/fill", queue="etl-ingest-dlq", count=3, body="{}")
    # A function that shares the account's concurrency is asked for one metric more; the estimate takes the larger.
    await (await scene.aws("lambda")).delete_function_concurrency(FunctionName=INGEST)
    told = await estimated(scene)
    await scene.begin()
    await scene.advance("10m")  # what is asked once has been asked

    before, metrics_before = counted(scene, "tripswitch_aws_requests_total"), requested(scene)
    await scene.advance(timedelta(minutes=MINUTES))
    asked = counted(scene, "tripswitch_aws_requests_total") - before
    lines = {(line.aws_service, line.operation): line.per_minute * MINUTES for line in told.lines}

    # Groups that are seconds apart fall into one step of the scene and share a call: no more of them than was said.
    assert 0 < asked[BATCHED] <= lines[BATCHED]
    for key in ({*asked, *lines}) - ASIDE:
        assert abs(asked[key] - lines.get(key, 0.0)) <= max(2.0, TOLERANCE * asked[key]), (
            key,
            asked[key],
            lines.get(key),
        )
    total = sum(count for key, count in asked.items() if key not in ASIDE)
    assert abs(total - sum(lines[key] for key in lines.keys() - ASIDE)) <= TOLERANCE / 2 * total
    month = timedelta(days=30) / timedelta(minutes=MINUTES)
    wanted = told.metrics / month
    assert abs(requested(scene) - metrics_before - wanted) <= TOLERANCE * wanted


def requested(scene: Scene) -> int:
    """Metrics asked of GetMetricData so far."""
    return sum(counted(scene, "tripswitch_cloudwatch_metrics_requested_total").values())
