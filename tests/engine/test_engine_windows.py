"""Silences that hold actions, and maintenance windows: which breakers they hold."""

from datetime import timedelta

import pytest
from engine_rig import Rig, breaker, check, pipeline

from monitor.core.model import Mode
from monitor.core.spec import Combine, MaintenanceSpec


def window(**matchers: str) -> MaintenanceSpec:
    """Open at any minute."""
    return MaintenanceSpec("always", "* * * * *", timedelta(days=1), "UTC", matchers)


@pytest.mark.parametrize("matchers", [{}, {"breaker": "lo*"}, {"check": "load"}, {"check": "load", "breaker": "loop"}])
async def test_a_window_holds_the_breakers_it_names_or_whose_check_it_names(rig: Rig, matchers: dict[str, str]) -> None:
    """The breach stands, the trip waits, and the reason names the window."""
    await rig.start(pipeline(breaker(mode=Mode.AUTO), maintenance=(window(**matchers),)))
    rig.load(50)
    await rig.run(60)
    assert rig.world.done == []
    assert "maintenance always" in str(rig.breaker())


@pytest.mark.parametrize("matchers", [{"check": "other"}, {"check": "load", "breaker": "other"}, {"breaker": "x*"}])
async def test_a_window_holds_no_other_breaker(rig: Rig, matchers: dict[str, str]) -> None:
    """Every matcher must match the same breaker."""
    await rig.start(pipeline(check(), check("other"), breaker(mode=Mode.AUTO), maintenance=(window(**matchers),)))
    rig.load(50)
    await rig.until(rig.is_in("open"), 60)


@pytest.mark.parametrize(
    "matchers", [{"check": "load"}, {"severity": "SEV*"}, {"check": "etl/load", "pipeline": "etl"}]
)
async def test_a_silence_on_a_check_holds_what_watches_it(rig: Rig, matchers: dict[str, str]) -> None:
    """`--match check=load --hold-actions` keeps the breaker on that check from acting until it ends."""
    await rig.start(pipeline(breaker(mode=Mode.AUTO)))
    assert (await rig.ask(rig.surface.add_silence(matchers, 300, "ann", "", hold_actions=True))).ok
    rig.load(50)
    await rig.run(200)
    assert rig.world.done == []
    await rig.until(rig.is_in("open"), 200)


async def test_holding_actions_of_a_target_is_refused(rig: Rig) -> None:
    """A breaker acts on all its targets in one plan: a silence that held a part of it would hold nothing."""
    await rig.start(pipeline(breaker(mode=Mode.AUTO)))
    said = await rig.ask(rig.surface.add_silence({"target": "q1"}, 300, "ann", "", hold_actions=True))
    assert not said.ok
    assert "match pipeline, breaker, check" in said.message
    assert (await rig.ask(rig.surface.add_silence({"target": "q1"}, 300, "ann", ""))).ok


async def test_a_silence_holds_a_breaker_that_watches_nothing(rig: Rig) -> None:
    """Tripped by hand alone: its own name is what a matcher can say."""
    await rig.start(pipeline(breaker(mode=Mode.AUTO, condition=Combine(1, ()))))
    assert (await rig.ask(rig.surface.add_silence({"breaker": "loop"}, 300, "ann", "", hold_actions=True))).ok
    assert (await rig.ask(rig.surface.trip("etl/loop", "ann", "drill"))).ok
    await rig.run(60)
    assert rig.world.done == []
