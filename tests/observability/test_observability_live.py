"""What a real Prometheus gets from a real daemon: lint, ages, vanished targets, rules, the dashboards' queries."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from observed import ROOT, START, Prometheus, Served, binary, get, post, quick_rules, start_daemon, until
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from monitor.demo.emulator import child
from monitor.demo.emulator.child import ACCOUNT, Child
from monitor.demo.world import World
from monitor.telemetry.catalogue import METRICS
from tools.dashboards import DASHBOARDS
from tools.grafana import Dashboard, Query

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("observed")]

OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0"}
#: One check that discovers, one that fails, breakers that trip by hand, in either mode.
DRILL = """\
pipeline: drill
aws: {region: us-east-1}
checks:
  letters:
    kind: queue_depth
    interval: 1s
    queues: ["extra-*"]
    thresholds: {visible: {warning: {above: 0}, critical: {above: 1000}}, oldest_age: off}
  spare:
    kind: queue_depth
    interval: 1s
    queues: [etl-ingest]
breakers:
  cut:
    mode: auto
    trip_when: letters.visible
    on_trip:
      - disable_rule: {rule: etl-s3-events}
"""


@dataclass
class Scene:
    """All that runs."""

    emulator: Child
    daemon: Served
    prometheus: Prometheus
    file: Path

    def sqs(self, operation: str, **parameters: Any) -> Any:
        """One call to the emulated SQS."""

        async def call() -> Any:
            async with World(self.emulator.url) as world:
                return await getattr(await world.aws("sqs"), operation)(**parameters)

        return asyncio.run(call())

    def scrape(self, accept: dict[str, str] | None = None) -> str:
        """The daemon's own words."""
        return get(f"{self.daemon.url}/metrics", accept)[0]

    def targets(self) -> set[str]:
        """Every target that a scrape names in any series of the check `letters`."""
        return {
            sample.labels["target"]
            for family in parse_text(self.scrape())
            for sample in family.samples
            if sample.labels.get("check") == "letters" and "target" in sample.labels
        }


async def _build(url: str) -> None:
    async with World(url) as world:
        await world.build()
        for name in ("extra-stays", "extra-goes"):
            await (await world.aws("sqs")).create_queue(QueueName=name)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The shipped ETL pipeline and the drill, watched for a while."""
    binary("prometheus")
    folder = tmp_path_factory.mktemp("observed")
    files = folder / "pipelines"
    files.mkdir()
    (files / "etl.yaml").write_text((ROOT / "config" / "pipelines" / "etl.yaml").read_text())
    (files / "drill.yaml").write_text(DRILL)
    with child.start(seconds=START) as emulator:
        asyncio.run(_build(emulator.url))
        aws = emulator.environment() | {"ACCOUNT_ID": ACCOUNT, "INTERVAL": "2s", "COST_INTERVAL": "10s"}
        daemon = start_daemon(files, folder / "daemon", aws)
        try:
            prometheus = Prometheus(folder / "prometheus", daemon.url, quick_rules(), None)
            try:
                ready = "tripswitch_ready == 1 and on () count_over_time(tripswitch_ready[1m]) > 6"
                until(lambda: prometheus.query(ready), START, "the daemon is ready and scraped for a while")
                yield Scene(emulator, daemon, prometheus, files / "drill.yaml")
            finally:
                prometheus.stop()
        finally:
            daemon.stop()


def test_promtool_finds_nothing_in_the_scrape(scene: Scene) -> None:
    """Names, help, units and types of a scrape as Prometheus gets it."""
    ended = subprocess.run(
        [binary("promtool"), "check", "metrics"], input=scene.scrape(), capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")


def test_the_strict_parser_reads_the_other_format(scene: Scene) -> None:
    """OpenMetrics by its reference parser; the same families as in text, each one declared in the table."""
    strict = {family.name for family in parse_openmetrics(scene.scrape(OPENMETRICS))}
    plain = {family.name for family in parse_text(scene.scrape())}
    assert strict == plain
    ours = {name for name in plain if name.startswith("tripswitch_")}
    assert ours == {metric.name.removesuffix("_total") for metric in METRICS}


def test_prometheus_itself_takes_every_sample(scene: Scene) -> None:
    """It negotiates OpenMetrics; the target is up and nothing was dropped."""
    [target] = scene.prometheus.ask("targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    assert "Error on ingesting" not in scene.prometheus.log.read_text()


def test_every_rule_is_evaluated_and_the_records_have_data(scene: Scene) -> None:
    """On live series: no many-to-many matches, no error; what is recorded is there."""

    def judged() -> list[Any]:
        found = [rule for group in scene.prometheus.ask("rules")["groups"] for rule in group["rules"]]
        return found if all(rule["health"] != "unknown" for rule in found) else []

    found = until(judged, 30, "every rule is evaluated")
    assert [(rule["name"], rule["lastError"]) for rule in found if rule["health"] != "ok"] == []
    records = {rule["name"] for rule in found if rule["type"] == "recording"}
    for name in sorted(records):
        until(lambda name=name: scene.prometheus.query(name), 30, f"{name} has data")  # type: ignore[misc]


def test_a_healthy_daemon_raises_no_alert(scene: Scene) -> None:
    """Whatever the rules wait for, nothing is wrong; but for what the emulated account has no data for."""
    alerts = {one["labels"]["alertname"] for one in scene.prometheus.ask("alerts")["alerts"]}
    assert alerts <= {"TripswitchTargetsUnknown", "TripswitchCheckFailing"}


def live(expr: str) -> str:
    """A query as Grafana sends it with every choice at "All", over a range that a short test has data for."""
    expr = re.sub(r"\$__(rate_interval|interval|range)\b", "10s", expr)
    return re.sub(r"\$\{?\w+\}?", ".*", expr)


QUERIES = [
    pytest.param(query, id=f"{dashboard.uid}: {panel.title} {number}")
    for dashboard in DASHBOARDS
    for row in dashboard.rows
    for panel in row.panels
    for number, query in enumerate(panel.queries)
]


@pytest.mark.parametrize("query", QUERIES)
def test_every_panel_asks_what_prometheus_answers(scene: Scene, query: Query) -> None:
    """No error on live series, and data in every panel but those that are empty while all is well."""
    found = scene.prometheus.query(live(query.expr))
    if not query.sparse:
        until(lambda: found or scene.prometheus.query(live(query.expr)), 15, query.expr)


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.uid)
def test_every_variable_has_choices_and_every_mark_is_a_query(scene: Scene, dashboard: Dashboard) -> None:
    """As Grafana asks for them."""
    for variable in dashboard.variables:
        choices = scene.prometheus.ask(f"label/{variable.label}/values", **{"match[]": live(variable.metric)})
        assert choices, variable.name
    for _, expr, _, _ in dashboard.marks:
        scene.prometheus.query(live(expr))


def test_every_value_has_an_age(scene: Scene) -> None:
    """No observation without the time of its check's last run and of its oldest value, neither in the future."""
    [now] = [float(one["value"][1]) for one in scene.prometheus.query("vector(time())")]
    for age in ("tripswitch_check_last_run_timestamp_seconds", "tripswitch_check_oldest_value_timestamp_seconds"):
        ageless = f"tripswitch_observation unless on (job, instance, pipeline, check, kind) {age}"
        assert scene.prometheus.query(ageless) == []
        times = [float(one["value"][1]) for one in scene.prometheus.query(age)]
        assert times
        assert max(times) <= now + 2


def test_a_deleted_target_is_gone_with_the_run_that_misses_it(scene: Scene) -> None:
    """A queue is deleted: its values, levels and bounds leave the scrape and Prometheus' view; its neighbour stays."""
    until(lambda: {"extra-goes", "extra-stays"} <= scene.targets(), 20, "both queues are seen")
    url = scene.sqs("get_queue_url", QueueName="extra-goes")["QueueUrl"]
    scene.sqs("delete_queue", QueueUrl=url)
    until(lambda: "extra-goes" not in scene.targets(), 10, "the queue is gone from the scrape")
    assert "extra-stays" in scene.targets()
    gone = '{__name__=~"tripswitch_.*",target="extra-goes"}'
    until(lambda: not scene.prometheus.query(gone), 10, "it is gone from Prometheus")
    assert "extra-goes" not in scene.scrape()


def test_a_removed_check_leaves_nothing(scene: Scene) -> None:
    """Counters, histograms and ages too, with the reload that removes it."""
    until(lambda: 'check="spare"' in scene.scrape(), 20, "the check is there")
    text = scene.file.read_text()
    start = text.index("  spare:")
    scene.file.write_text(text[:start] + text[text.index("breakers:") :])
    post(f"{scene.daemon.url}/api/v1/config/reload", {"by": "drill"})
    assert 'check="spare"' not in scene.scrape()
    until(lambda: not scene.prometheus.query('{check="spare"}'), 10, "it is gone from Prometheus")
