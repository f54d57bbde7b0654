"""Every value has an age, and what is gone leaves neither."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from monitor.core.model import Level, Mode, State
from monitor.core.view import StepView
from monitor.telemetry.catalogue import METRICS
from monitor.telemetry.rows import RowText

OLDEST = "tripswitch_check_oldest_value_timestamp_seconds"
CHECK = {"pipeline": "etl", "check": "depth"}


async def scrape(collector: Any, make: Any) -> Any:
    """Samples of one plain scrape."""
    body, _ = await collector.render()
    return make.samples(body)


async def test_the_oldest_of_a_checks_values_gives_its_age(collector: Any, surface: Any, make: Any) -> None:
    """One line per check: the earliest time of the values shown, whatever the order."""
    early, late = make.now - timedelta(minutes=7), make.now
    surface.row_list = [
        make.row("a", at=late), make.row("b", at=early), make.row("c", at=late),
        make.row("d", check="other", at=late),
    ]  # fmt: skip
    found = await scrape(collector, make)
    assert make.pick(found, OLDEST, pipeline="etl", kind="queue_depth") == {
        "depth": early.timestamp(), "other": late.timestamp(),
    }  # fmt: skip


async def test_checks_of_one_name_and_one_time_in_two_pipelines_have_an_age_each(surface: Any, make: Any) -> None:
    """A time that readings share is no reason to take one check for another."""
    rows = [make.row("a"), make.row("a", pipeline="web")]
    text = b"".join(await RowText().render(rows)).decode()
    assert f'{OLDEST}{{pipeline="etl"' in text
    assert f'{OLDEST}{{pipeline="web"' in text


async def test_what_is_not_shown_has_no_age(collector: Any, surface: Any, make: Any) -> None:
    """The time of an unknown reading would pass for that of a value."""
    old = make.now - timedelta(hours=1)
    surface.row_list = [make.row("a", None, Level.UNKNOWN, at=old), make.row("b")]
    assert make.pick(await scrape(collector, make), OLDEST, **CHECK) == {"queue_depth": make.now.timestamp()}
    surface.row_list = [make.row("a", None, Level.UNKNOWN, at=old)]
    assert make.pick(await scrape(collector, make), OLDEST) == {}


async def test_a_check_tells_its_interval_and_when_it_last_ran(collector: Any, surface: Any, make: Any) -> None:
    """Failed runs are runs; one that never ran has no time."""
    surface.check_list = [replace(make.check({}, None), interval=30.0)]
    found = await scrape(collector, make)
    assert make.pick(found, "tripswitch_check_interval_seconds", **CHECK) == {"queue_depth": 30.0}
    assert make.pick(found, "tripswitch_check_last_run_timestamp_seconds", **CHECK) == {
        "queue_depth": make.now.timestamp()
    }
    surface.check_list = [replace(make.check({}, None), last_run=None)]
    assert make.pick(await scrape(collector, make), "tripswitch_check_last_run_timestamp_seconds") == {}


async def test_a_breaker_tells_since_when_what_holds_it_and_what_drifted(
    collector: Any, surface: Any, make: Any
) -> None:
    """Held steps are counted by gate, others aren't there; without a trip nothing is."""
    steps = (
        StepView("1", "disable_rule", "held", "", "kill_switch"),
        StepView("2", "stop_executions", "held", "", "kill_switch"),
        StepView("3", "redrive_queue", "held", "", "approval"),
        StepView("4", "disable_rule", "running", "", "storm"),
    )
    surface.breaker_list = [make.breaker(State.TRIPPING, steps=steps, drifted=2)]
    found = await scrape(collector, make)
    loop = {"pipeline": "etl", "breaker": "loop", "mode": Mode.AUTO.value}
    assert make.pick(found, "tripswitch_steps_held", **loop) == {"kill_switch": 2, "approval": 1}
    assert list(make.pick(found, "tripswitch_drifted_changes", **loop).values()) == [2]
    assert list(make.pick(found, "tripswitch_breaker_since_timestamp_seconds", **loop).values()) == [
        make.now.timestamp()
    ]
    surface.breaker_list = [make.breaker(State.CLOSED, since=None)]
    found = await scrape(collector, make)
    assert make.pick(found, "tripswitch_steps_held") == {}
    assert list(make.pick(found, "tripswitch_drifted_changes", **loop).values()) == [0]
    assert make.pick(found, "tripswitch_breaker_since_timestamp_seconds") == {}


@pytest.mark.parametrize("ready", [True, False])
async def test_readiness_is_a_metric(collector: Any, surface: Any, make: Any, ready: bool) -> None:
    """The same answer as /readyz gives."""
    surface.state = replace(surface.state, ready=ready)
    assert make.pick(await scrape(collector, make), "tripswitch_ready") == {True: float(ready)}


#: What comes from AWS by way of a reading, and the metric that says how old it is. The rest is counted or true now.
AGES = {
    "tripswitch_observation": OLDEST,
    "tripswitch_level": "tripswitch_check_last_run_timestamp_seconds",
    "tripswitch_targets": "tripswitch_check_last_run_timestamp_seconds",
    "tripswitch_check_lateness_seconds": "tripswitch_check_last_run_timestamp_seconds",
    "tripswitch_up": "tripswitch_aws_last_answer_timestamp_seconds",
    "tripswitch_aws_quota_used_ratio": "tripswitch_aws_last_answer_timestamp_seconds",
    "tripswitch_config_last_reload_successful": "tripswitch_config_last_reload_success_timestamp_seconds",
    "tripswitch_breaker_state": "tripswitch_breaker_since_timestamp_seconds",
}
#: Gauges that are as old as the scrape: read from the engine at that moment, or from the config in force.
NOW_OR_SETTING = {
    "tripswitch_threshold", "tripswitch_breaker_disabled", "tripswitch_breaker_latched", "tripswitch_steps_held",
    "tripswitch_drifted_changes", "tripswitch_drain_remaining", "tripswitch_incidents_open", "tripswitch_ready",
    "tripswitch_event_loop_lag_seconds", "tripswitch_lease_held", "tripswitch_actions_enabled",
    "tripswitch_storm_suspected", "tripswitch_build_info", "tripswitch_config_hash_info",
    "tripswitch_check_interval_seconds",
}  # fmt: skip


def test_every_gauge_has_an_age_or_is_of_the_moment() -> None:
    """A gauge that nobody sorted fails here, and so does an age whose labels its values lack."""
    gauges = {m.name: m for m in METRICS if m.type == "gauge" and not m.name.endswith("_timestamp_seconds")}
    assert set(gauges) == set(AGES) | NOW_OR_SETTING
    by_name = {m.name: m for m in METRICS}
    for name, age in AGES.items():
        shared = set(by_name[name].labels) & set(by_name[age].labels)
        assert shared or not by_name[age].labels, name
