"""Supervisor, scheduler, gates and board, each by itself."""

import asyncio
import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from engine_rig import Rig, Silent, breaker, check, holds, pipeline, step

from monitor.core.model import Level, Observation, Reason, Risk
from monitor.core.ports import Lease
from monitor.engine import gates
from monitor.engine.board import Board
from monitor.engine.gates import Situation
from monitor.engine.runner import Run
from monitor.engine.scheduler import Pace, Scheduler
from monitor.engine.supervisor import Supervisor
from monitor.plugin import ProbeError
from monitor.testing import EPOCH, FakeClock

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)


# --- supervisor -----------------------------------------------------------------------------------------------------


async def test_the_ladder_lets_finishers_finish_and_names_what_is_stuck() -> None:
    """Finishers get their time, the rest is cancelled, and what ignores that is told by name."""
    supervisor, done = Supervisor(), []

    async def finisher() -> None:
        await supervisor.stopping.wait()
        await asyncio.sleep(0)
        done.append("finished")

    async def stubborn(release: asyncio.Event) -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    release = asyncio.Event()
    supervisor.spawn("finisher", finisher(), finish=True)
    supervisor.spawn("idle", asyncio.Event().wait())
    supervisor.spawn("stubborn", stubborn(release))
    await asyncio.sleep(0)
    assert await supervisor.shutdown(0.1) == ["stubborn"]
    assert done == ["finished"]
    assert supervisor.running() == ["stubborn"]
    release.set()
    await asyncio.sleep(0)


# --- scheduler ------------------------------------------------------------------------------------------------------


class Bench:
    """A scheduler whose runs are noted, and last as long as told."""

    def __init__(self, concurrency: int = 64) -> None:
        self.clock, self.supervisor, self.meter = FakeClock(), Supervisor(), Silent()
        self.began: list[tuple[str, float]] = []
        self.lasts: dict[str, float] = {}
        self.at_once = self.most = 0
        self.scheduler = Scheduler(self.clock, self.supervisor, self.meter, self.run, Pace(concurrency))

    async def run(self, spec: Any, lateness: float) -> None:
        self.began.append((spec.name, self.clock.tick()))
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await self.clock.sleep(self.lasts.get(spec.name, 0.0))
        self.at_once -= 1

    def ticks(self, name: str) -> list[float]:
        return [at for one, at in self.began if one == name]

    async def __aenter__(self) -> "Bench":
        self.supervisor.spawn("loop", self.scheduler.loop())
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.supervisor.shutdown(0.1)


def specs(*names: str, **more: Any) -> dict[str, Any]:
    return {f"etl/{name}": check(name, **more) for name in names}


async def test_a_check_runs_within_five_seconds_and_then_on_its_grid() -> None:
    """Equal gaps after the first round, whatever a run costs."""
    async with Bench() as bench:
        bench.lasts["load"] = 3.0
        bench.scheduler.update(specs("load"))
        await bench.clock.advance(100)
        ticks = bench.ticks("load")
        assert ticks[0] <= 5
        gaps = {round(b - a, 6) for a, b in itertools.pairwise(ticks[1:])}
        assert gaps == {10.0}


async def test_a_slow_run_is_never_overlapped_and_missed_ticks_are_counted() -> None:
    """25 s of work every 10 s: two ticks are skipped each time, none is queued up."""
    async with Bench() as bench:
        bench.lasts["load"] = 25.0
        bench.scheduler.update(specs("load"))
        await bench.clock.advance(121)
        assert bench.most == 1
        assert len(bench.began) in (4, 5)
        skipped = sum(args[2] for name, args in bench.meter.seen if name == "ticks_skipped")
        assert skipped == bench.scheduler.slots["etl/load"].skipped >= 6


async def test_concurrency_is_bounded() -> None:
    """Three at once, though ten are due."""
    async with Bench(concurrency=3) as bench:
        names = [f"c{n}" for n in range(10)]
        bench.lasts.update(dict.fromkeys(names, 2.0))
        bench.scheduler.update(specs(*names))
        await bench.clock.advance(30)
        assert bench.most == 3
        assert {name for name, _ in bench.began} == set(names)
        assert bench.scheduler.first_round_done()


async def test_an_update_keeps_the_place_on_the_grid() -> None:
    """An unchanged check goes on as if nothing happened, a new one starts soon, a removed one stops."""
    async with Bench() as bench:
        bench.scheduler.update(specs("kept", "gone"))
        await bench.clock.advance(30)
        before = bench.ticks("kept")[-1]
        bench.scheduler.update(specs("kept", "new"))
        await bench.clock.advance(10.001)
        assert bench.ticks("kept")[-1] == pytest.approx(before + 10)
        assert bench.ticks("new")
        gone = len(bench.ticks("gone"))
        await bench.clock.advance(30)
        assert len(bench.ticks("gone")) == gone


# --- gates ----------------------------------------------------------------------------------------------------------


def situation(**more: Any) -> Situation:
    """Everything permits."""
    told: dict[str, Any] = {
        "now": NOW, "risk": Risk.DESTRUCTIVE, "shadow": False, "disabled_by": None, "interrupted": None,
        "actions_off": None, "lease": Lease("etl", "me", 1, NOW + timedelta(seconds=60)),
        "needs": timedelta(seconds=10), "store_down": None, "maintenance": None, "silence": None, "storm": None,
        "blast": None, "approval": None,
    }  # fmt: skip
    return Situation(**(told | more))


SHUT = {
    "observe": {"shadow": True},
    "interrupted": {"interrupted": "reset"},
    "person": {"disabled_by": "ann"},
    "not_owner": {"lease": None},
    "journal": {"store_down": "full"},
    "kill_switch": {"actions_off": "off"},
    "maintenance": {"maintenance": "nightly"},
    "silence": {"silence": "s1"},
    "storm": {"storm": "3 of 3"},
    "blast_radius": {"blast": "many"},
    "approval": {"approval": "a yes"},
}


def test_nothing_shut_permits() -> None:
    """Even what is destructive."""
    assert gates.ask(situation()) is None


@pytest.mark.parametrize("name", SHUT)
def test_each_gate_holds_by_itself(name: str) -> None:
    """And says that it was it."""
    hold = gates.ask(situation(**SHUT[name]))
    assert hold is not None
    assert hold.gate == name


def test_the_first_gate_of_the_order_is_the_one_told() -> None:
    """With all shut, opening one after another walks through the order."""
    shut = dict(SHUT)
    seen = []
    while (hold := gates.ask(situation(**{k: v for one in shut.values() for k, v in one.items()}))) is not None:
        seen.append(hold.gate)
        del shut[hold.gate]
    assert tuple(seen) == gates.GATE_NAMES


@pytest.mark.parametrize(
    ("risk", "held"),
    [
        (Risk.NOTIFY, {"not_owner", "journal", "person", "interrupted", "observe", "approval"}),
        (Risk.REVERSIBLE, set(SHUT) - {"storm", "blast_radius"}),
        (Risk.DISRUPTIVE, set(SHUT)),
    ],
)
def test_risk_decides_which_gates_concern_an_action(risk: Risk, held: set[str]) -> None:
    """A cut is never held by a storm or a limit; a notice is exempt from the switch."""
    holding = {name for name, shut in SHUT.items() if gates.ask(situation(risk=risk, **shut)) is not None}
    assert holding == held


@pytest.mark.parametrize(("left", "held"), [(14, True), (16, False)])
def test_a_lease_must_outlast_the_call(left: int, held: bool) -> None:
    """Ten seconds of call and five of margin."""
    lease = Lease("etl", "me", 1, NOW + timedelta(seconds=left))
    assert (gates.ask(situation(lease=lease)) is not None) is held


# --- board ----------------------------------------------------------------------------------------------------------


def run(*seen: Observation, at: datetime = EPOCH, reason: Reason | None = None) -> Run:
    """A run with these observations."""
    told = tuple(replace(one, at=one.at or at) for one in seen)
    return Run(told, at, 0.1, reason)


def board(**more: Any) -> tuple[Board, Any]:
    """A board of one check."""
    made, spec = Board(), check(**more)
    made.configure({spec.key: spec})
    return made, spec


def levels(made: Board) -> dict[str, Level]:
    held = made.get("etl/load")
    assert held is not None
    return held.levels()


def test_a_vanished_target_leaves_with_the_next_discovery() -> None:
    """What a glob no longer finds is gone; what the config names is unknown instead."""
    made, spec = board(discovers=True, targets=())
    made.record(spec, run(Observation("level", "a", 1.0), Observation("level", "b", 1.0)), 0.0)
    made.record(spec, run(Observation("level", "a", 1.0)), 10.0)
    assert levels(made) == {"a": Level.OK}
    named, spec = board(targets=("a", "b"))
    named.record(spec, run(Observation("level", "a", 1.0), Observation("level", "b", 1.0)), 0.0)
    named.record(spec, run(Observation("level", "a", 1.0)), 10.0)
    assert levels(named) == {"a": Level.OK, "b": Level.UNKNOWN}


def test_timers_survive_a_restart() -> None:
    """A `for` half over goes on where it was."""
    made, spec = board(signals=holds(30))
    for number in range(3):
        made.record(
            spec, run(Observation("level", "a", 50.0), at=EPOCH + timedelta(seconds=10 * number)), 10.0 * number
        )
    assert levels(made) == {"a": Level.OK}
    kept = made.dump(spec.key)
    assert kept is not None
    again, spec = board(signals=holds(30))
    again.load(spec.key, kept)
    again.record(spec, run(Observation("level", "a", 50.0), at=EPOCH + timedelta(seconds=30)), 0.0)
    assert levels(again) == {"a": Level.CRITICAL}


def test_only_what_was_judged_before_is_begun_anew() -> None:
    """A restart of judging that a crash swallowed is made up for, and costs nothing where judging went on since."""
    made, spec = board(signals=holds(30))
    made.record(spec, run(Observation("level", "a", 50.0)), 0.0)
    before = made.dump(spec.key)
    made.restart("etl", ["load"], EPOCH - timedelta(seconds=1), judged_before=True)
    assert made.dump(spec.key) == before
    made.restart("etl", ["load"], EPOCH + timedelta(seconds=1), judged_before=True)
    assert made.dump(spec.key) != before


# --- the whole, once more --------------------------------------------------------------------------------------------


async def test_secrets_never_reach_the_feed(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """A channel's address is never told, whatever fails."""
    from monitor.core.spec import ChannelSpec

    secret = "https://hooks.example.com/T000/very-secret"
    rig.failing_notices = ["webhook hooks.example.com refused (403)"]
    config = pipeline(breaker("loop", step("say", name="hello"), step("cut", name="gate", value=0)))
    await rig.start(replace(config, notify=(ChannelSpec(secret),)))
    rig.load(50)
    await rig.run(120)
    assert "very-secret" not in str(rig.engine.feed.since(0))
    assert "very-secret" not in capsys.readouterr().out


async def test_unknown_that_nobody_wants_to_hear_of_is_only_shown(rig: Rig) -> None:
    """With `unknown_for: off` the level says unknown, once, with its reason; no notice goes out."""
    await rig.start(pipeline(check(unknown_for=timedelta.max), breaker()))
    rig.load(ProbeError(Reason.DENIED, "no plan"))
    await rig.run(3600)
    assert rig.told("check.unknown") == []
    (changed,) = rig.told("level.changed")
    assert "no plan" in str(changed)


async def test_unknown_is_told_after_its_time_and_once(rig: Rig) -> None:
    """A check that can't be read raises one notice after `unknown_for`, and says when it is known again."""
    await rig.start(pipeline(check(unknown_for=timedelta(seconds=60)), breaker()))
    rig.load(ProbeError(Reason.DENIED, "no"))
    await rig.run(300)
    assert len(rig.told("check.unknown")) == 1
    rig.load(1)
    await rig.run(20)
    assert len(rig.told("check.known")) == 1


async def test_what_stays_unknown_says_why(rig: Rig) -> None:
    """A run that went well and found no value names the reading's own reason, not `no reading`."""
    await rig.start(pipeline(check(unknown_for=timedelta(seconds=60)), breaker()))
    rig.load([Observation("level", "a", None, detail="nothing was published for that day yet")])
    await rig.run(90)
    (said,) = rig.told("check.unknown")
    assert "nothing was published for that day yet" in said
