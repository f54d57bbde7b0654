"""Judging, as a table of stories: what an operator would say after these runs."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from monitor.core.model import Level, Missing, Observation, Reason
from monitor.core.spec import Bound, Clear, SignalSpec
from monitor.core.threshold import SignalState, Verdict, judge, restart

START = datetime(2026, 11, 21, 23, 0, tzinfo=UTC)
OK, WARNING, CRITICAL, UNKNOWN = Level.OK, Level.WARNING, Level.CRITICAL, Level.UNKNOWN
FAILED = Reason.TIMEOUT
ABSENT = None


@dataclass
class Bench:
    """Feeds runs to judge, 10 s apart unless told."""

    spec: SignalSpec
    interval: float = 10.0
    state: SignalState = field(default_factory=SignalState)
    now: datetime = START
    first: bool = True

    def run(self, value: float | Reason | None, gap: float | None = 10.0, **more: object) -> Verdict:
        if not self.first:
            self.now += timedelta(seconds=self.interval if gap is None else gap)
        self.first = False
        reason = value if isinstance(value, Reason) else None
        number = None if isinstance(value, Reason) else value
        obs = Observation("s", "t", number, unit="/min", reason=reason, **more)  # type: ignore[arg-type]
        self.state, verdict = judge(self.spec, self.state, obs, self.now, gap, self.interval)
        assert SignalState.from_json(self.state.to_json()) == self.state
        return verdict

    def runs(self, *values: float | Reason | None, gap: float | None = 10.0) -> list[Level]:
        return [self.run(value, gap).level for value in values]


def crit(**bound: object) -> SignalSpec:
    """A spec with only a critical bound; `missing` and `warning` go to the signal."""
    missing = bound.pop("missing", Missing.UNKNOWN)
    warning = bound.pop("warning", None)
    for key in ("hold",):
        if key in bound:
            bound[key] = timedelta(seconds=bound[key])  # type: ignore[arg-type]
    return SignalSpec(warning=warning, critical=Bound(**bound), missing=missing)  # type: ignore[arg-type]


ABOVE = {"above": 200.0}
CLEAR = Clear(below=100.0, hold=timedelta(seconds=20))

STORIES = [
    ("for: 0 trips on the first breaching run", crit(**ABOVE), [201], [CRITICAL]),
    ("the bound itself is not a breach", crit(**ABOVE), [200], [OK]),
    ("below breaches under the bound", crit(below=5.0), [5, 4.9], [OK, CRITICAL]),
    ("for: 20s needs two intervals of breach", crit(hold=20, **ABOVE), [300, 300, 300], [OK, OK, CRITICAL]),
    ("one good run starts for anew", crit(hold=20, **ABOVE), [300, 300, 1, 300, 300, 300], [OK] * 5 + [CRITICAL]),
    (
        "unknown freezes pending: its time does not count, what was counted stays",
        crit(hold=20, **ABOVE),
        [300, 300, FAILED, 300, 300],
        [OK, OK, UNKNOWN, OK, CRITICAL],
    ),
    ("unknown never trips", crit(**ABOVE), [FAILED, FAILED], [UNKNOWN, UNKNOWN]),
    ("unknown never clears", crit(**ABOVE, clear=CLEAR), [300, FAILED, 150], [CRITICAL, UNKNOWN, CRITICAL]),
    ("omitted clear: not breached for one run", crit(**ABOVE), [300, 199], [CRITICAL, OK]),
    (
        "between breach and clear the level stays",
        crit(**ABOVE, clear=CLEAR),
        [150, 300, 150, 150],
        [OK, CRITICAL, CRITICAL, CRITICAL],
    ),
    (
        "clear needs its own for",
        crit(**ABOVE, clear=CLEAR),
        [300, 50, 50, 50],
        [CRITICAL, CRITICAL, CRITICAL, OK],
    ),
    (
        "a run in the band starts the clear timer anew",
        crit(**ABOVE, clear=CLEAR),
        [300, 50, 50, 150, 50, 50, 50],
        [CRITICAL] * 6 + [OK],
    ),
    (
        "unknown freezes the clear timer",
        crit(**ABOVE, clear=CLEAR),
        [300, 50, 50, FAILED, 50, 50],
        [CRITICAL, CRITICAL, CRITICAL, UNKNOWN, CRITICAL, OK],
    ),
    (
        "critical falls back to warning while that still holds",
        crit(**ABOVE, warning=Bound(above=100.0)),
        [50, 150, 250, 150, 50],
        [OK, WARNING, CRITICAL, WARNING, OK],
    ),
    ("a signal without thresholds is ok when read", SignalSpec(), [5, FAILED], [OK, UNKNOWN]),
    ("NaN is no value", crit(**ABOVE), [math.nan, math.inf, 300], [UNKNOWN, UNKNOWN, CRITICAL]),
    ("absent under unknown is unknown", crit(**ABOVE), [1, ABSENT], [OK, UNKNOWN]),
    ("absent under zero counts after a real value", crit(**ABOVE, missing=Missing.ZERO), [300, ABSENT], [CRITICAL, OK]),
    ("absent under zero is unknown before any", crit(**ABOVE, missing=Missing.ZERO), [ABSENT, 1], [UNKNOWN, OK]),
    ("absent under zero breaches a below bound", crit(below=1.0, missing=Missing.ZERO), [5, ABSENT], [OK, CRITICAL]),
    ("absent under hold keeps the value", crit(**ABOVE, missing=Missing.HOLD), [300, ABSENT], [CRITICAL, CRITICAL]),
    ("nothing to hold is unknown", crit(**ABOVE, missing=Missing.HOLD), [ABSENT], [UNKNOWN]),
    (
        "timers run on a held value",
        crit(hold=20, **ABOVE, missing=Missing.HOLD),
        [300, ABSENT, ABSENT],
        [OK, OK, CRITICAL],
    ),
    ("absent under breach breaches above", crit(**ABOVE, missing=Missing.BREACH), [1, ABSENT], [OK, CRITICAL]),
    ("absent under breach breaches below", crit(below=1.0, missing=Missing.BREACH), [5, ABSENT], [OK, CRITICAL]),
    (
        "three of five datapoints, not in a row",
        crit(**ABOVE, datapoints=3, of=5),
        [300, 1, 300, 1, 300],
        [OK, OK, OK, OK, CRITICAL],
    ),
    (
        "three of five: the oldest falls out",
        crit(**ABOVE, datapoints=3, of=5),
        [300, 1, 1, 300, 1, 300, 300],
        [OK] * 6 + [CRITICAL],
    ),
    (
        "unknown runs are no datapoints",
        crit(**ABOVE, datapoints=2, of=2),
        [300, FAILED, 300],
        [OK, UNKNOWN, CRITICAL],
    ),
    (
        "M of N clears when too few of the last N breach and the newest does not",
        crit(**ABOVE, datapoints=2, of=3),
        [300, 300, 1, 1],
        [OK, CRITICAL, CRITICAL, OK],
    ),
]


@pytest.mark.parametrize(("story", "spec", "values", "levels"), STORIES, ids=[row[0] for row in STORIES])
def test_a_story_of_runs(story: str, spec: SignalSpec, values: list[float], levels: list[Level]) -> None:
    """Each row is the sentence it is named after."""
    assert Bench(spec).runs(*values) == levels, story


def test_zero_counts_once_the_resource_was_seen() -> None:
    """`exists` is enough: a queue that is there and has no points has zero messages."""
    bench = Bench(crit(**ABOVE, missing=Missing.ZERO))
    assert bench.run(ABSENT, exists=True).level is OK
    assert bench.run(ABSENT).value == 0.0


def test_a_failed_read_is_no_sight_of_the_metric() -> None:
    """A denied read does not make a later absent point a zero."""
    bench = Bench(crit(**ABOVE, missing=Missing.ZERO))
    assert bench.runs(Reason.DENIED, ABSENT) == [UNKNOWN, UNKNOWN]


def test_a_held_value_expires() -> None:
    """After an hour without a point the held value is unknown."""
    bench = Bench(crit(**ABOVE, missing=Missing.HOLD), interval=600.0)
    levels = bench.runs(300, *[ABSENT] * 7, gap=600.0)
    assert levels == [CRITICAL] * 7 + [UNKNOWN]


def test_hold_never_holds_a_lower_bound() -> None:
    """A count cut short is not a value to repeat."""
    bench = Bench(crit(**ABOVE, missing=Missing.HOLD))
    bench.run(1)
    bench.run(300, lower_bound=True)
    assert bench.run(ABSENT).level is UNKNOWN


def test_a_lower_bound_confirms_above() -> None:
    """At least 300 is above 200."""
    assert Bench(crit(**ABOVE)).run(300, lower_bound=True).level is CRITICAL


def test_a_lower_bound_never_shows_ok() -> None:
    """At least 5 may be 5,000."""
    verdict = Bench(crit(**ABOVE)).run(5, lower_bound=True)
    assert (verdict.level, verdict.standing.known) == (UNKNOWN, False)


def test_a_lower_bound_never_confirms_below() -> None:
    """At least 3 is not below 5."""
    assert Bench(crit(below=5.0)).run(3, lower_bound=True).level is UNKNOWN


def test_a_lower_bound_keeps_a_level_without_knowing_it() -> None:
    """Critical stays on display, but nothing may be concluded from it."""
    bench = Bench(crit(**ABOVE))
    bench.run(300)
    verdict = bench.run(5, lower_bound=True)
    assert (verdict.level, verdict.standing.known, verdict.standing.holds(CRITICAL)) == (CRITICAL, False, None)


def test_a_lower_bound_between_the_lines_is_at_least_warning() -> None:
    """Warning is certain, critical is open, neither true nor false."""
    bench = Bench(crit(**ABOVE, warning=Bound(above=100.0)))
    standing = bench.run(150, lower_bound=True).standing
    assert (standing.holds(WARNING), standing.holds(CRITICAL)) == (True, None)


def test_a_period_read_twice_is_one_datapoint() -> None:
    """Two of two needs two periods, however often one is read."""
    bench = Bench(crit(**ABOVE, datapoints=2, of=2))
    first, second = START - timedelta(minutes=2), START - timedelta(minutes=1)
    assert [bench.run(300, at=first).level for _ in range(5)] == [OK] * 5
    assert bench.run(300, at=second).level is CRITICAL


def test_a_period_that_converged_replaces_its_datapoint() -> None:
    """Late values correct the datapoint instead of adding one."""
    bench = Bench(crit(**ABOVE, datapoints=2, of=2))
    first, second = START - timedelta(minutes=2), START - timedelta(minutes=1)
    assert bench.run(1, at=first).level is OK
    assert bench.run(300, at=first).level is OK
    assert bench.run(300, at=second).level is CRITICAL


def test_an_older_period_is_no_datapoint() -> None:
    """A point from the past does not push the newest ones out."""
    bench = Bench(crit(**ABOVE, datapoints=2, of=2))
    bench.run(300, at=START)
    assert bench.run(300, at=START - timedelta(minutes=1)).level is OK


def test_an_older_period_corrects_nothing() -> None:
    """A good point from the past does not overwrite the newest bad one."""
    bench = Bench(crit(**ABOVE, datapoints=2, of=2))
    bench.run(300, at=START)
    bench.run(1, at=START - timedelta(minutes=1))
    assert bench.run(300, at=START + timedelta(minutes=1)).level is CRITICAL


def test_for_runs_on_while_a_period_is_read_again() -> None:
    """`for:` asks how long the newest value has been bad, and it still is the newest."""
    bench = Bench(crit(hold=20, **ABOVE))
    assert [bench.run(300, at=START).level for _ in range(3)] == [OK, OK, CRITICAL]


def test_a_gap_longer_than_three_intervals_starts_for_anew() -> None:
    """Two looks far apart say nothing about the time between them."""
    bench = Bench(crit(hold=20, **ABOVE))
    bench.runs(300, 300)
    assert bench.run(300, gap=31.0).level is OK
    assert bench.runs(300, 300) == [OK, CRITICAL]


def test_a_gap_of_unknown_runs_counts_as_one() -> None:
    """Four failed runs are a gap of 50 s."""
    bench = Bench(crit(hold=20, **ABOVE))
    bench.runs(300, 300, FAILED, FAILED, FAILED, FAILED)
    assert bench.runs(300, 300, 300) == [OK, OK, CRITICAL]


def test_a_gap_within_for_keeps_pending_but_credits_three_intervals() -> None:
    """for: 10m survives a gap of 5 minutes, of which 30 s count."""
    bench = Bench(crit(hold=600, **ABOVE))
    bench.runs(300, 300)
    bench.run(300, gap=300.0)
    assert bench.state.critical.over == 40.0


def test_a_gap_never_clears_a_level() -> None:
    """After a day away the band still means critical."""
    bench = Bench(crit(**ABOVE, clear=CLEAR))
    bench.run(300)
    assert bench.run(150, gap=86_400.0).level is CRITICAL


def test_a_gap_never_restarts_the_clear_timer() -> None:
    """What was seen cleared before a day away still counts; the day itself does not."""
    bench = Bench(crit(**ABOVE, clear=Clear(below=100.0, hold=timedelta(seconds=60))))
    bench.runs(300, 50, 50, 50)
    bench.run(50, gap=86_400.0)
    assert (bench.state.critical.under, bench.state.level) == (20.0, CRITICAL)
    assert bench.runs(50, 50, 50, 50) == [CRITICAL, CRITICAL, CRITICAL, OK]


def test_a_gap_never_clears_an_m_of_n_level_that_still_breaches() -> None:
    """The window starts anew, the level does not."""
    bench = Bench(crit(**ABOVE, datapoints=2, of=3))
    bench.runs(300, 300)
    assert bench.run(300, gap=86_400.0).level is CRITICAL


@pytest.mark.parametrize("jump", [-86_400, -60, 3600, 86_400 * 365])
def test_a_clock_jump_moves_no_timer(jump: float) -> None:
    """Only monotonic seconds count while the process lives."""
    bench = Bench(crit(hold=20, **ABOVE))
    bench.run(300)
    bench.now += timedelta(seconds=jump)
    assert bench.runs(300, 300) == [OK, CRITICAL]


def test_a_restart_keeps_pending() -> None:
    """What was counted before the restart still counts; the pause itself counts as one interval at most."""
    bench = Bench(crit(hold=60, **ABOVE))
    bench.runs(*[300] * 5)
    bench.now += timedelta(seconds=15)
    assert bench.run(300, gap=None).level is OK
    assert bench.state.critical.over == 50.0
    assert bench.run(300).level is CRITICAL


@pytest.mark.parametrize("jump", [-3600.0, 25.0, 40.0, 86_400.0])
def test_a_clock_jump_over_a_restart_never_trips(jump: float) -> None:
    """The wall clock may credit one interval and no more."""
    bench = Bench(crit(hold=60, **ABOVE))
    bench.runs(*[300] * 4)
    bench.now += timedelta(seconds=jump)
    assert bench.run(300, gap=None).level is OK


def test_jitter_does_not_cost_a_run() -> None:
    """for: 2m every 60 s trips on the third run though it came some milliseconds early."""
    bench = Bench(crit(hold=120, **ABOVE), interval=60.0)
    assert [bench.run(300, gap=59.98).level for _ in range(3)] == [OK, OK, CRITICAL]


def test_the_standing_counts_the_level_not_the_breach() -> None:
    """The pending time is not time at critical."""
    bench = Bench(crit(hold=20, **ABOVE))
    bench.runs(300, 300, 300)
    assert bench.state.standing.held_critical == 0.0
    bench.runs(300, 300)
    assert (bench.state.standing.held_critical, bench.state.standing.held_warning) == (20.0, 20.0)


def test_standings_freeze_while_unknown() -> None:
    """An unknown run neither adds to a verify nor starts it anew."""
    bench = Bench(crit(**ABOVE))
    bench.runs(1, 1, FAILED)
    assert (bench.state.standing.known, bench.state.standing.held_ok) == (False, 10.0)
    bench.runs(1, 1)
    assert bench.state.standing.held_ok == 20.0


def test_a_lapse_restarts_what_trips_and_freezes_what_verifies() -> None:
    """After a long gap held_critical begins at zero; held_ok never loses what it had."""
    bad, good = Bench(crit(**ABOVE)), Bench(crit(**ABOVE))
    bad.runs(300, 300, 300)
    good.runs(1, 1, 1)
    bad.run(300, gap=3600.0)
    good.run(1, gap=3600.0)
    assert bad.state.standing.held_critical == 0.0
    assert good.state.standing.held_ok == 50.0


def test_synthesized_zeros_do_not_verify() -> None:
    """Only measured points add to held_ok_real."""
    bench = Bench(crit(**ABOVE, missing=Missing.ZERO))
    bench.runs(1, 1, ABSENT, ABSENT, ABSENT)
    standing = bench.state.standing
    assert (standing.held_ok, standing.held_ok_real, standing.real) == (40.0, 10.0, False)
    bench.runs(1, 1)
    assert bench.state.standing.held_ok_real == 20.0


def test_unknown_seconds_count_while_unknown() -> None:
    """They begin with the first unknown run and end with the first known one."""
    bench = Bench(crit(**ABOVE))
    assert [bench.run(v).unknown_seconds for v in (1, FAILED, FAILED, FAILED, 1)] == [0, 0, 10, 20, 0]


def test_restart_ignores_points_from_before() -> None:
    """A window that ended before the close is known and not judged."""
    bench = Bench(crit(**ABOVE))
    bench.run(300, at=START)
    bench.now += timedelta(seconds=1)
    bench.state = restart(bench.state, bench.now)
    verdict = bench.run(300, at=START)
    assert (verdict.level, verdict.standing.known, verdict.unknown_seconds) == (UNKNOWN, False, 0.0)
    assert bench.run(300, at=bench.now + timedelta(seconds=10)).level is CRITICAL


def test_restart_waits_for_a_window_that_began_after_it() -> None:
    """With a 60 s metric, the first period judged ends 60 s after the close."""
    bench = Bench(crit(**ABOVE))
    closed = bench.now
    bench.state = restart(bench.state, closed, timedelta(seconds=60))
    assert bench.run(300, at=closed + timedelta(seconds=59)).level is UNKNOWN
    assert bench.run(300, at=closed + timedelta(seconds=60)).level is CRITICAL


def test_restart_starts_for_anew_and_remembers_the_metric() -> None:
    """No timer survives, the sight of the metric does."""
    bench = Bench(crit(hold=20, **ABOVE, missing=Missing.ZERO))
    bench.runs(300, 300)
    bench.state = restart(bench.state, bench.now)
    assert bench.runs(300, 300, 300) == [OK, OK, CRITICAL]
    bench.state = restart(bench.state, bench.now)
    assert bench.run(ABSENT).level is OK


def test_a_clock_set_back_does_not_silence_judging_after_a_restart() -> None:
    """Direct reads are judged again at once, not when the clock has caught up."""
    bench = Bench(crit(**ABOVE))
    bench.state = restart(bench.state, bench.now)
    bench.now -= timedelta(hours=1)
    assert bench.run(300).level is CRITICAL


def test_changed_and_since_follow_the_level() -> None:
    """changed is true on the run that brought the new level, and since is its time."""
    bench = Bench(crit(**ABOVE))
    verdicts = [bench.run(v) for v in (1, 300, 300, 1)]
    assert [v.changed for v in verdicts] == [False, True, False, True]
    assert verdicts[2].since == START + timedelta(seconds=10)


SENTENCES = [
    (crit(hold=20, **ABOVE), [412, 412], "412/min above 200 for 10s of 20s, critical pending"),
    (crit(hold=20, **ABOVE), [412] * 14, "412/min above 200 for 2m10s"),
    (crit(**ABOVE, clear=CLEAR), [412, 150], "150/min, not yet cleared (breached above 200)"),
    (crit(**ABOVE, clear=CLEAR), [412, 50, 50], "50/min, clearing for 10s of 20s"),
    (crit(**ABOVE), [12.5], "12.5/min"),
    (crit(below=5.0), [1], "1/min below 5"),
    (crit(**ABOVE, missing=Missing.BREACH), [ABSENT], "no point counts as breached"),
    (crit(**ABOVE), [ABSENT], "no point"),
    (crit(**ABOVE, missing=Missing.ZERO), [ABSENT], "no point, and the metric was never seen"),
    (crit(**ABOVE), [FAILED], "timeout"),
    (crit(**ABOVE), [math.nan], "invalid: the value is nan"),
    (
        crit(**ABOVE, datapoints=2, of=3),
        [300, 1],
        "1/min (1 of the last 2 datapoints breached, 2 needed) breached above 200, critical pending",
    ),
]


@pytest.mark.parametrize(("spec", "values", "sentence"), SENTENCES, ids=[row[2] for row in SENTENCES])
def test_reasons_read_as_sentences(spec: SignalSpec, values: list[float], sentence: str) -> None:
    """What the page and the notice say."""
    bench = Bench(spec)
    assert [bench.run(value) for value in values][-1].reason == sentence


def test_pending_shows_before_the_level() -> None:
    """Breached and not yet long enough is pending; tripped is not."""
    bench = Bench(crit(hold=10, **ABOVE))
    assert [bench.run(v).pending for v in (1, 300, 300)] == [False, True, False]


def test_a_quiet_signal_stores_little() -> None:
    """Thousands of targets share one document of limited size, so defaults are not written."""
    bench = Bench(crit(**ABOVE))
    bench.runs(1, 1)
    assert len(json.dumps(bench.state.to_json())) < 400


def test_a_newer_version_reads_an_older_state() -> None:
    """A field that was not there yet takes its default; one that is gone is ignored."""
    assert SignalState.from_json({"level": "ok", "retired": 1}) == SignalState(level=OK)
