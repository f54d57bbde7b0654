"""A breaker trips, and a person hears of it by Prometheus and Alertmanager; all of them real, on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from observed import START, Alertmanager, Prometheus, Receiver, Served, binary, post, quick_rules, start_daemon, until

from monitor.demo.emulator import child
from monitor.demo.emulator.child import Child
from monitor.demo.world import DEAD, World

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("observed")]

FILE = """\
pipeline: drill
aws: {region: us-east-1}
checks:
  letters:
    kind: queue_depth
    interval: 1s
    queues: [etl-ingest-dlq]
    thresholds: {visible: {critical: {above: 0}}, oldest_age: off}
breakers:
  cut:
    severity: SEV2
    mode: auto
    trip_when: letters.visible
    on_trip:
      - disable_rule: {rule: etl-s3-events}
  shadow:
    mode: observe
    trip_when: letters.visible
    on_trip:
      - disable_rule: {rule: etl-s3-events}
"""
OPEN, WOULD = "TripswitchBreakerOpen", "TripswitchBreakerWouldTrip"


@pytest.fixture
def emulator() -> Iterator[Child]:
    """An emulated AWS."""
    for name in ("prometheus", "prometheus-alertmanager"):
        binary(name)
    with child.start(seconds=START) as running:
        yield running


@pytest.fixture
async def world(emulator: Child) -> AsyncIterator[World]:
    """The ETL pipeline's resources, quiet."""
    async with World(emulator.url) as built:
        await built.build()
        yield built


@pytest.fixture
def daemon(emulator: Child, world: World, tmp_path: Path) -> Iterator[Served]:
    """It watches one queue."""
    file = tmp_path / "drill.yaml"
    file.write_text(FILE)
    running = start_daemon(file, tmp_path / "daemon", emulator.environment())
    yield running
    running.stop()


@pytest.fixture
def hooks() -> Iterator[Receiver]:
    """Where the alerts arrive."""
    running = Receiver()
    yield running
    running.close()


@pytest.fixture
def prometheus(daemon: Served, hooks: Receiver, tmp_path: Path) -> Iterator[Prometheus]:
    """With the shipped rules, its alerts routed by an Alertmanager with the shipped routes."""
    manager = Alertmanager(tmp_path / "alertmanager", hooks.url)
    try:
        running = Prometheus(tmp_path / "prometheus", daemon.url, quick_rules(), manager.url)
    except BaseException:
        manager.stop()
        raise
    yield running
    running.stop()
    manager.stop()


async def test_an_open_breaker_reaches_a_person_and_its_reset_too(
    world: World, daemon: Served, prometheus: Prometheus, hooks: Receiver
) -> None:
    """A dead letter trips the breaker: the pager hears it with words and a page to read, and hears when it is over."""
    until(lambda: prometheus.query('tripswitch_breaker_state{state="closed"} == 1'), 20, "the breakers are scraped")
    assert not hooks.alerts(OPEN, "firing")
    sqs = await world.aws("sqs")
    dead = await world.queue_url(DEAD)
    await sqs.send_message(QueueUrl=dead, MessageBody="{}")

    found = until(lambda: hooks.alerts(OPEN, "firing", breaker="cut"), 40, "the alert arrives")
    assert await world.rule_state() == "DISABLED"
    [to, alert] = found[0]
    assert to == "pager"
    assert alert["labels"]["severity"] == "critical"
    assert alert["labels"]["pipeline"] == "drill"
    assert alert["annotations"]["summary"] == "Breaker drill/cut tripped."
    assert alert["annotations"]["runbook_url"].endswith("docs/alerts.md#tripswitchbreakeropen")
    shadow = until(lambda: hooks.alerts(WOULD, "firing", breaker="shadow"), 40, "the other breaker would have tripped")
    assert {to for to, _ in shadow} == {"digest"}

    await sqs.purge_queue(QueueUrl=dead)
    until(lambda: not prometheus.query('tripswitch_level{level="critical"}'), 20, "the queue is empty")
    assert post(f"{daemon.url}/api/v1/breakers/drill/cut/reset", {"by": "drill"})["ok"]
    until(lambda: hooks.alerts(OPEN, "resolved", breaker="cut"), 40, "the end arrives")
    assert await world.rule_state() == "ENABLED"


def test_a_daemon_that_is_gone_is_missed(daemon: Served, prometheus: Prometheus, hooks: Receiver) -> None:
    """Nobody scraped: the pager hears it."""
    until(lambda: prometheus.query("tripswitch_build_info"), 20, "the daemon is scraped")
    assert not hooks.alerts("TripswitchAbsent", "firing")
    daemon.stop()
    [to, alert] = until(lambda: hooks.alerts("TripswitchAbsent", "firing"), 40, "the alert arrives")[0]
    assert (to, alert["labels"]["severity"]) == ("pager", "critical")
