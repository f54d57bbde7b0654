"""What a scrape shows of the engine."""

from __future__ import annotations

import asyncio
import math
import shutil
import subprocess
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.model import Level, Mode, Reason, Severity, State
from monitor.core.view import StepView
from monitor.telemetry import Instruments, SurfaceCollector
from monitor.telemetry.catalogue import METRICS, Type
from monitor.telemetry.reference import metrics_markdown
from monitor.telemetry.rows import escape, number


async def scrape(collector: SurfaceCollector, make: Any) -> Any:
    """Samples of one plain scrape."""
    body, _ = await collector.render()
    return make.samples(body)


async def test_values_levels_and_thresholds_are_shown(collector: Any, surface: Any, make: Any) -> None:
    """One line per value, per level that is not ok, and per bound."""
    surface.row_list = [
        make.row("calm", 5.0, warning_bound=10.0, critical_bound=20.5),
        make.row("busy", 25.25, Level.CRITICAL, critical_bound=20.5),
    ]
    found = await scrape(collector, make)
    common = {"pipeline": "etl", "check": "depth", "kind": "queue_depth", "signal": "visible"}
    assert make.pick(found, "tripswitch_observation", **common) == {"calm": 5.0, "busy": 25.25}
    assert make.pick(found, "tripswitch_level", **common) == {("critical", "busy"): 1.0}
    assert make.pick(found, "tripswitch_threshold", **common) == {
        ("warning", "calm"): 10.0, ("critical", "calm"): 20.5, ("critical", "busy"): 20.5,
    }  # fmt: skip


@pytest.mark.parametrize("value", [None, 7.0, math.nan])
async def test_an_unknown_value_has_no_line(collector: Any, surface: Any, make: Any, value: float | None) -> None:
    """Unknown is told by the level, never by a value: neither NaN nor the last one known."""
    surface.row_list = [make.row(value=value, level=Level.UNKNOWN, reason=Reason.TIMEOUT)]
    body, _ = await collector.render()
    found = make.samples(body)
    assert make.pick(found, "tripswitch_observation") == {}
    assert make.pick(found, "tripswitch_level", target="orders", level="unknown") != {}
    assert b"NaN" not in body


async def test_an_absent_point_has_no_line(collector: Any, surface: Any, make: Any) -> None:
    """No value, whatever the level."""
    surface.row_list = [make.row(value=None)]
    assert make.pick(await scrape(collector, make), "tripswitch_observation") == {}


async def test_changes_show_at_the_next_scrape(collector: Any, surface: Any, make: Any) -> None:
    """Kept texts follow value, level and bounds, there and back."""
    steps = [(5.0, Level.OK, None), (6.5, Level.WARNING, 6.0), (6.5, Level.CRITICAL, 5.0), (5.0, Level.OK, None)]
    for value, level, bound in steps:
        surface.row_list = [make.row(value=value, level=level, warning_bound=bound)]
        found = await scrape(collector, make)
        assert list(make.pick(found, "tripswitch_observation").values()) == [value]
        assert [names[2] for names in make.pick(found, "tripswitch_level")] == ([] if level is Level.OK else [level])
        assert list(make.pick(found, "tripswitch_threshold").values()) == ([] if bound is None else [bound])


async def test_a_vanished_target_leaves_no_series(collector: Any, surface: Any, make: Any) -> None:
    """Neither its value nor the text kept for it stays."""
    surface.row_list = [make.row("gone", level=Level.CRITICAL), make.row("stays")]
    await collector.render()
    surface.row_list = [make.row("stays")]
    body, _ = await collector.render()
    assert b"gone" not in body
    assert b"stays" in body


async def test_of_rows_with_the_same_labels_the_first_counts(collector: Any, surface: Any, make: Any) -> None:
    """A duplicate would cost the whole scrape."""
    surface.row_list = [make.row(value=1.0), make.row(value=2.0)]
    found = await scrape(collector, make)
    assert list(make.pick(found, "tripswitch_observation").values()) == [1.0]


async def test_targets_are_counted_per_level_from_zero(collector: Any, surface: Any, make: Any) -> None:
    """All four levels exist."""
    surface.check_list = [make.check({Level.OK: 3, Level.CRITICAL: 1})]
    found = await scrape(collector, make)
    assert make.pick(found, "tripswitch_targets", pipeline="etl", check="depth") == {
        "ok": 3, "warning": 0, "critical": 1, "unknown": 0,
    }  # fmt: skip


async def test_a_check_that_never_succeeded_has_no_time_of_success(collector: Any, surface: Any, make: Any) -> None:
    """Zero would read as 1970."""
    name = "tripswitch_check_last_success_timestamp_seconds"
    surface.check_list = [make.check({}, None)]
    assert make.pick(await scrape(collector, make), name) == {}
    surface.check_list = [make.check({})]
    assert list(make.pick(await scrape(collector, make), name).values()) == [make.now.timestamp()]


@pytest.mark.parametrize("state", list(State))
async def test_a_breaker_is_in_one_state(collector: Any, surface: Any, make: Any, state: State) -> None:
    """One of the four is 1; the mode stands beside it."""
    surface.breaker_list = [make.breaker(state, Mode.OBSERVE)]
    found = await scrape(collector, make)
    assert make.pick(found, "tripswitch_breaker_state", pipeline="etl", breaker="loop", mode="observe") == {
        other.value: float(other is state) for other in State
    }


async def test_flags_and_counts_of_the_daemon(collector: Any, surface: Any, make: Any) -> None:
    """Leases, kill switch, storm, disabled and latched breakers, open incidents by severity."""
    surface.breaker_list = [make.breaker(State.OPEN, disabled=True, latched=True)]
    surface.incident_list = [
        make.incident(Severity.SEV1), make.incident(Severity.SEV1), make.incident(Severity.SEV2, make.now)
    ]  # fmt: skip
    surface.state = replace(
        surface.state, leases={"etl": True, "web": False}, actions_enabled=False, storm="three pipelines"
    )
    found = await scrape(collector, make)
    assert make.pick(found, "tripswitch_lease_held") == {"etl": 1, "web": 0}
    assert make.pick(found, "tripswitch_actions_enabled") == {True: 0}
    assert make.pick(found, "tripswitch_storm_suspected") == {True: 1}
    assert make.pick(found, "tripswitch_breaker_disabled", breaker="loop", mode="auto") == {"etl": 1}
    assert make.pick(found, "tripswitch_breaker_latched", breaker="loop", mode="auto") == {"etl": 1}
    assert make.pick(found, "tripswitch_incidents_open") == {"SEV1": 2, "SEV2": 0, "SEV3": 0, "SEV4": 0}


# --- formats ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "text/html",
        "text/plain;version=0.0.4",
        "text/plain;version=x",
        "application/openmetrics-text;version=2.0.0",
        "application/openmetrics-text;q=0",
        ";;=,;q",
    ],
)
async def test_plain_text_is_the_default(collector: Any, accept: str) -> None:
    """Browsers, curl and odd headers get the format everyone reads."""
    body, content_type = await collector.render(accept)
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert b"# EOF" not in body


async def test_openmetrics_on_request(collector: Any, surface: Any, make: Any) -> None:
    """Parsed strictly, ended once, the same samples as in plain text."""
    surface.row_list = [make.row(value=1e300), make.row("inf", math.inf, Level.WARNING)]
    surface.check_list, surface.breaker_list = [make.check({})], [make.breaker(State.CLOSED)]
    body, content_type = await collector.render(make.openmetrics)
    assert content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert body.count(b"# EOF\n") == 1
    assert body.endswith(b"# EOF\n")
    strict, plain = make.samples(body, openmetrics=True), await scrape(collector, make)
    ours = [name for name in plain if name[0].startswith("tripswitch_")]
    assert {name: strict[name] for name in ours} == {name: plain[name] for name in ours}


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(name=NAMES)
def test_any_name_survives_as_a_label(name: str) -> None:
    """Quotes, backslashes, line feeds and every script come back from the parser as they went in."""
    from prometheus_client.parser import text_string_to_metric_families

    [family] = text_string_to_metric_families(f'x{{name="{escape(name)}"}} 1\n')
    assert family.samples[0].labels["name"] == name


@given(value=st.floats(allow_nan=False) | st.integers(-(2**70), 2**70))
def test_any_number_survives(value: float) -> None:
    """The shortest text that reads back as the same float."""
    assert float(number(value)) == float(value)


async def test_a_lone_surrogate_costs_no_scrape(collector: Any, surface: Any, make: Any) -> None:
    """A name that is no UTF-8 is shown with a question mark."""
    surface.row_list = [make.row("bad\ud800name"), make.row("good")]
    assert make.pick(await scrape(collector, make), "tripswitch_observation", signal="visible") != {}


async def test_promtool_finds_nothing(collector: Any, surface: Any, instruments: Instruments, make: Any) -> None:
    """`promtool check metrics` on a scrape in which every family has a sample."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    exercise(instruments)
    surface.row_list = [make.row(level=Level.CRITICAL, critical_bound=1.0)]
    held = StepView("cut", "disable_rule", "held", "disable the rule", "approval")
    surface.check_list, surface.breaker_list = [make.check({})], [make.breaker(State.TRIPPING, steps=(held,))]
    body, _ = await collector.render()
    found = {name for name, _ in make.samples(body)}
    for metric in METRICS:
        assert {metric.name, f"{metric.name}_count"} & found, f"{metric.name} has no sample"
    done = await asyncio.to_thread(
        subprocess.run, [promtool, "check", "metrics"], input=body, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def exercise(instruments: Instruments) -> None:
    """Count everything once."""
    from datetime import UTC, datetime

    call = ("sqs", "GetQueueAttributes", "123456789012", "us-east-1")
    instruments.run_finished("etl", "depth", "queue_depth", 0.1, 0.0, Reason.TIMEOUT, datetime.now(UTC))
    instruments.ticks_skipped("etl", "depth", 1)
    instruments.tripped("etl", "loop", "auto")
    instruments.action_finished("etl", "loop", "disable_rule", 0.1, Reason.DENIED)
    instruments.action_held("etl", "loop", "disable_rule", "kill switch")
    instruments.drain("etl", "loop", 7)
    instruments.lag(0.1)
    instruments.reloaded(True, datetime.now(UTC))
    instruments.configured({"etl": {"pipeline": "etl"}})
    instruments.aws_request(*call, Reason.THROTTLED)
    instruments.aws_metrics_requested(3)
    instruments.aws_cost("sqs", 0.0000004)
    instruments.aws_quota(*call, 0.2)
    instruments.aws_up("sqs", "123456789012", "us-east-1", True)
    instruments.notice_ended("https", True)
    instruments.notice_ended("https", False)
    instruments.notice_refused("https")
    instruments.notices_dropped(1)


async def test_process_metrics_come_along(collector: Any, make: Any) -> None:
    """Memory and CPU of the daemon, but neither the collector's statistics nor creation times."""
    names = {name for name, _ in await scrape(collector, make)}
    assert {"process_resident_memory_bytes", "process_cpu_seconds_total", "python_info"} <= names
    assert not [name for name in names if name.startswith("python_gc") or name.endswith("_created")]


# --- load -------------------------------------------------------------------------------------------------------------


async def test_the_loop_gets_turns_during_a_large_scrape(collector: Any, surface: Any, make: Any) -> None:
    """A scrape of twenty thousand rows lets others run at least every two thousand."""
    surface.row_list = [make.row(f"queue-{number}") for number in range(20_000)]
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        other = group.create_task(count())
        body, _ = await collector.render()
        other.cancel()
    assert turns >= 10
    assert body.count(b"tripswitch_observation{") == 20_000


async def test_scrapes_may_overlap(collector: Any, surface: Any, make: Any) -> None:
    """Two scrapers at once both get everything."""
    surface.row_list = [make.row(f"queue-{number}") for number in range(5_000)]
    bodies = await asyncio.gather(*(collector.render() for _ in range(2)))
    assert [body.count(b"tripswitch_observation{") for body, _ in bodies] == [5_000, 5_000]


# --- the table --------------------------------------------------------------------------------------------------------


def test_no_label_clashes_with_target_labels() -> None:
    """Prometheus' service discovery commonly sets these names."""
    for metric in METRICS:
        assert not set(metric.labels) & {"region", "env", "service", "owner", "type", "zone", "job", "instance"}


def test_names_follow_their_types() -> None:
    """Counters and only they end in _total; a unit is part of the name."""
    for metric in METRICS:
        assert metric.name.endswith("_total") == (metric.type is Type.COUNTER)
        assert metric.unit in metric.name


def test_the_reference_lists_every_metric() -> None:
    """The page is generated whole from the table."""
    page = metrics_markdown()
    for metric in METRICS:
        assert f"| `{metric.name}` | {metric.type}" in page
