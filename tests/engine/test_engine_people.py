"""What people may ask for, and what is asked of them."""

from dataclasses import replace
from datetime import timedelta

from engine_rig import Rig, breaker, check, pipeline, step

from monitor.core.model import Mode, Reason
from monitor.core.spec import AwsSpec, LimitsSpec, RecoverSpec
from monitor.plugin import ActionError

MANUAL = RecoverSpec("manual", timedelta(seconds=10))


async def tripped(rig: Rig, *pipelines, state: str = "open") -> None:
    """Start, breach, wait."""
    await rig.start(*pipelines)
    rig.load(50)
    await rig.until(rig.is_in(state), 60)


async def test_approve_mode_does_nothing_before_a_yes(rig: Rig) -> None:
    """The cut waits; another plan's hash is refused; the yes lets it go on."""
    await tripped(rig, pipeline(breaker(mode=Mode.APPROVE)), state="tripping")
    await rig.run(120)
    assert rig.world.done == []
    plan = rig.breaker().approval
    assert plan is not None
    wrong = await rig.ask(rig.surface.approve("etl/loop", "ann", "0" * 12))
    assert not wrong.ok
    assert plan in wrong.message
    assert rig.world.done == []
    assert (await rig.ask(rig.surface.approve("etl/loop", "ann", plan))).ok
    await rig.until(rig.is_in("open"), 10)
    assert rig.world.properties["gate"] == 0


async def test_a_trip_nobody_approved_is_withdrawn_with_its_breach(rig: Rig) -> None:
    """The breach cleared first: closed again, incident resolved, no trip counted, other receipts kept."""
    await rig.start(pipeline(breaker(mode=Mode.AUTO, recover=MANUAL)))
    rig.load(50)
    await rig.until(rig.is_in("open"))
    assert (await rig.ask(rig.surface.reset("etl/loop", "ann", force=True))).ok
    rig.load(1)
    await rig.run(20)
    await rig.engine.reconfigure([pipeline(breaker(mode=Mode.APPROVE, recover=MANUAL))])
    before = rig.breaker().trips_today
    rig.load(50)
    await rig.until(rig.is_in("tripping"), 30)
    rig.load(1)
    await rig.until(rig.is_in("closed"), 30)
    assert rig.breaker().trips_today == before
    assert all(i.resolved_at is not None for i in rig.surface.incidents())
    # The receipt of the forced close is still there and can be taken back.
    rig.load(1)
    assert (await rig.ask(rig.surface.reset("etl/loop", "ann"))).ok
    await rig.until(lambda: rig.world.properties["gate"] == 100, 20)


async def test_an_approval_expires_after_an_hour(rig: Rig) -> None:
    """A yes that could not be used within the hour is asked for again."""
    await tripped(rig, pipeline(breaker(mode=Mode.APPROVE)), state="tripping")
    await rig.until(lambda: rig.breaker().approval is not None, 10)
    await rig.surface.set_actions(False, "bob", "not now")
    assert (await rig.ask(rig.surface.approve("etl/loop", "ann"))).ok or True
    rig.clock.jump(timedelta(minutes=61))
    await rig.run(25)
    await rig.surface.set_actions(True, "bob", "")
    await rig.until(lambda: rig.breaker().approval is not None, 30)
    assert rig.world.done == []


async def test_a_destructive_step_asks_even_in_auto(rig: Rig) -> None:
    """Unless that very step says `approve: never`."""
    await tripped(
        rig, pipeline(breaker("loop", step("cut", name="gate", value=0), step("purge", name="q"))), state="tripping"
    )
    await rig.run(60)
    assert [operation for operation, _, _ in rig.world.done] == ["Set"]
    assert (await rig.ask(rig.surface.approve("etl/loop", "ann"))).ok
    await rig.until(rig.is_in("open"), 10)
    assert [operation for operation, _, _ in rig.world.done] == ["Set", "Purge"]


async def test_a_destructive_step_may_be_told_never_to_ask(rig: Rig) -> None:
    """`approve: never`, said by that step itself."""
    await tripped(rig, pipeline(breaker("loop", step("purge", name="q", approve="never"))))
    assert [operation for operation, _, _ in rig.world.done] == ["Purge"]


async def test_beyond_max_targets_one_yes_is_asked_for_all_the_rest(rig: Rig) -> None:
    """The first two go, three wait; one approval lets all three go."""
    targets = dict.fromkeys("abcde", 50.0)
    limits = LimitsSpec(trips_per_day=None, max_targets=2)
    await rig.start(pipeline(check(targets=tuple("abcde")), breaker("loop", step("kick"), limits=limits)))
    rig.load(targets)
    await rig.until(rig.is_in("tripping"), 30)
    await rig.run(30)
    assert [name for _, name, _ in rig.world.done] == ["a", "b"]
    assert rig.breaker().steps[0].gate == "blast_radius"
    assert (await rig.ask(rig.surface.approve("etl/loop", "ann"))).ok
    await rig.until(rig.is_in("open"), 10)
    assert [name for _, name, _ in rig.world.done] == list("abcde")


async def test_a_capped_drain_asks_before_it_goes_on(rig: Rig) -> None:
    """Ten of fourteen are stopped, then a person is asked; the yes finishes it."""
    rig.world.executions = 14
    limits = LimitsSpec(trips_per_day=None, max_targets=10)
    await rig.start(pipeline(breaker("loop", step("drain"), limits=limits)))
    rig.load(50)
    await rig.until(lambda: rig.world.executions == 4, 60)
    await rig.run(30)
    assert rig.world.executions == 4
    assert rig.breaker().steps[0].gate == "blast_radius"
    assert (await rig.ask(rig.surface.approve("etl/loop", "ann"))).ok
    await rig.until(rig.is_in("open"), 30)
    assert rig.world.executions == 0


async def test_the_blast_radius_never_withholds_a_reversible_cut(rig: Rig) -> None:
    """Five targets over a limit of two are all cut."""
    limits = LimitsSpec(trips_per_day=None, max_targets=2)
    targets = tuple("abcde")
    rig.world.properties |= dict.fromkeys(targets, 9)
    await rig.start(pipeline(check(targets=targets), breaker("loop", step("cut", value=0), limits=limits)))
    rig.load(dict.fromkeys(targets, 50.0))
    await rig.until(rig.is_in("open"), 30)
    assert [rig.world.properties[t] for t in targets] == [0] * 5


async def test_reset_interrupts_a_long_drain(any_rig: Rig) -> None:
    """A reset is taken at the drain's next safe point, not at its end."""
    rig = any_rig
    rig.world.executions = 500
    await rig.start(pipeline(breaker("loop", step("cut", name="gate", value=0), step("drain"), recover=MANUAL)))
    rig.load(50)
    await rig.until(lambda: rig.world.executions < 498, 60)
    rig.load(1)
    assert (await rig.ask(rig.surface.reset("etl/loop", "ann"), 5)).ok
    await rig.until(rig.is_in("closed"), 20)
    assert rig.world.properties["gate"] == 100
    assert rig.world.executions > 450


async def test_force_abandons_and_a_later_reset_takes_back(any_rig: Rig) -> None:
    """`reset --force` closes at once and lists what stays in force; a reset afterwards restores it."""
    rig = any_rig
    await tripped(rig, pipeline(breaker(recover=MANUAL)))
    rig.load(1)
    answer = await rig.ask(rig.surface.reset("etl/loop", "ann", force=True))
    assert answer.ok
    assert answer.data["abandoned"] == ["set gate to 0"]
    assert rig.breaker().state == "closed"
    assert rig.world.properties["gate"] == 0
    await rig.stop()
    await rig.start(pipeline(breaker(recover=MANUAL)))
    assert (await rig.ask(rig.surface.reset("etl/loop", "ann"))).ok
    await rig.until(lambda: rig.world.properties["gate"] == 100, 20)
    await rig.until(rig.is_in("closed"), 20)
    assert not (await rig.ask(rig.surface.reset("etl/loop", "ann"))).ok


async def test_disable_in_mid_playbook_holds_and_enable_goes_on(rig: Rig) -> None:
    """Nothing is done while disabled, receipts stay, and enabling finishes the drain."""
    rig.world.executions = 30
    await rig.start(pipeline(breaker("loop", step("cut", name="gate", value=0), step("drain"))))
    rig.load(50)
    await rig.until(lambda: rig.world.executions < 28, 60)
    assert (await rig.ask(rig.surface.disable("etl/loop", "ann", "looking"), 5)).ok
    left = rig.world.executions
    await rig.run(120)
    assert rig.world.executions == left
    assert rig.breaker().state == "tripping"
    assert (await rig.ask(rig.surface.enable("etl/loop", "ann"))).ok
    await rig.until(rig.is_in("open"), 60)
    assert rig.world.executions == 0


async def test_a_disabled_breaker_does_not_trip(rig: Rig) -> None:
    """Held by a person: a breach changes nothing until enabled."""
    await rig.start(pipeline(breaker()))
    assert (await rig.ask(rig.surface.disable("etl/loop", "ann", ""))).ok
    rig.load(50)
    await rig.run(60)
    assert rig.breaker().state == "closed"
    assert (await rig.ask(rig.surface.enable("etl/loop", "ann"))).ok
    await rig.until(rig.is_in("open"), 20)


async def test_receipts_are_taken_back_last_first(rig: Rig) -> None:
    """By the order in which they were made, not by the names of their steps."""
    names = ("zeta", "alpha", "mid")
    rig.world.properties |= dict.fromkeys(names, 9)
    steps = [step("cut", id=name, name=name, value=0) for name in names]
    await tripped(rig, pipeline(breaker("loop", *steps)))
    rig.load(1)
    await rig.until(rig.is_in("closed"), 300)
    assert [name for _, name, value in rig.world.done if value == 9] == ["mid", "alpha", "zeta"]


async def test_a_permanent_error_holds_what_depends_on_it(rig: Rig) -> None:
    """Denied: a notice, slow retries, the next step waits; once permitted everything goes on."""

    def deny(operation: str, name: str) -> None:
        if name == "gate":
            raise ActionError(Reason.DENIED, "not allowed to")

    rig.world.properties["door"] = 7
    rig.world.before = deny
    steps = (step("cut", name="gate", value=0), step("cut", id="second", name="door", value=0))
    await tripped(rig, pipeline(breaker("loop", *steps)), state="tripping")
    await rig.run(120)
    assert rig.world.done == []
    assert rig.told("action.failed")
    assert 2 <= rig.breaker().steps[0].attempts <= 8
    rig.world.before = None
    await rig.until(rig.is_in("open"), 400)
    assert [rig.world.properties[name] for name in ("gate", "door")] == [0, 0]


async def test_on_error_continue_lets_the_next_step_go(rig: Rig) -> None:
    """A notice that can't be sent does not keep the cut from being made."""
    rig.failing_notices = ["no such channel"]
    steps = (step("say", name="hello", on_error="continue"), step("cut", name="gate", value=0))
    await rig.start(pipeline(breaker("loop", *steps)))
    rig.load(50)
    await rig.until(lambda: rig.world.properties["gate"] == 0, 60)


async def test_one_target_that_fails_keeps_no_other_from_its_cut(rig: Rig) -> None:
    """Two of three are cut at once; the third is retried until it is in force, each set once."""
    failing = {"b"}

    def fail(operation: str, name: str) -> None:
        if name in failing:
            raise ActionError(Reason.UNAVAILABLE, "try later")

    targets = ("a", "b", "c")
    rig.world.properties |= dict.fromkeys(targets, 9)
    rig.world.before = fail
    await rig.start(pipeline(check(targets=targets), breaker("loop", step("cut", value=0))))
    rig.load(dict.fromkeys(targets, 50.0))
    await rig.until(lambda: rig.world.properties["c"] == 0, 30)
    assert rig.world.properties["b"] == 9
    assert rig.breaker().state == "tripping"
    failing.clear()
    await rig.until(rig.is_in("open"), 60)
    assert [rig.world.sets(name) for name in targets] == [[0], [0], [0]]


async def test_an_ambiguous_call_is_never_repeated(rig: Rig) -> None:
    """A call that may have had its effect waits for a person, though another target is retried."""
    failing = {"a": ActionError(Reason.TIMEOUT, "lost", ambiguous=True), "b": ActionError(Reason.UNAVAILABLE, "later")}
    tried: list[str] = []

    def fail(operation: str, name: str) -> None:
        tried.append(name)
        if name in failing:
            raise failing[name]

    rig.world.before = fail
    await rig.start(pipeline(check(targets=("a", "b")), breaker("loop", step("kick"))))
    rig.load({"a": 50.0, "b": 50.0})
    await rig.until(lambda: tried.count("b") >= 2, 60)
    del failing["b"]
    await rig.run(120)
    assert tried.count("a") == 1
    assert [name for _, name, _ in rig.world.done] == ["b"]
    assert rig.breaker().state == "tripping"


async def test_receipts_stay_in_their_account(rig: Rig) -> None:
    """A reload that points the pipeline elsewhere does not undo there what was done here."""
    await tripped(rig, pipeline(breaker(recover=MANUAL)))
    there = AwsSpec(role_arn="arn:aws:iam::999999999999:role/x")
    rig.world.places[there] = ("999999999999", "us-east-1")
    await rig.engine.reconfigure([pipeline(breaker(recover=MANUAL), aws=there)])
    rig.load(1)
    assert (await rig.ask(rig.surface.reset("etl/loop", "ann"))).ok
    await rig.run(30)
    assert rig.world.properties["gate"] == 0
    assert any("was changed in" in text for text in rig.told("action.failed"))
    await rig.engine.reconfigure([pipeline(breaker(recover=MANUAL))])
    await rig.until(rig.is_in("closed"), 400)
    assert rig.world.properties["gate"] == 100


async def test_an_orphan_is_shown_and_reset_where_it_tripped(rig: Rig) -> None:
    """Removed from the config while open: shown as orphaned, reset with the identity it tripped with."""
    here = AwsSpec(role_arn="arn:aws:iam::111111111111:role/x")
    rig.world.places[here] = ("111111111111", "eu-west-1")
    await tripped(rig, pipeline(breaker(recover=MANUAL), aws=here))
    await rig.engine.reconfigure([pipeline(name="other")])
    assert rig.breaker().orphaned
    assert (await rig.ask(rig.surface.reset("etl/loop", "ann"))).ok
    await rig.until(lambda: rig.world.properties["gate"] == 100, 20)


async def test_a_reload_keeps_an_open_breaker_on_its_snapshot(rig: Rig) -> None:
    """The new playbook counts from the next trip on."""
    await tripped(rig, pipeline(breaker(recover=MANUAL)))
    rig.world.properties["door"] = 5
    other = breaker("loop", step("cut", name="door", value=1), recover=MANUAL)
    await rig.engine.reconfigure([pipeline(other)])
    assert rig.breaker().state == "open"
    rig.load(1)
    assert (await rig.ask(rig.surface.reset("etl/loop", "ann"))).ok
    await rig.until(rig.is_in("closed"), 20)
    assert rig.world.sets("gate") == [0, 100]
    rig.load(50)
    await rig.until(rig.is_in("open"), 30)
    assert rig.world.properties["door"] == 1


async def test_from_observe_to_auto_in_a_breach_starts_closed(rig: Rig) -> None:
    """The shadow trip ends without a trace; what is seen from then on trips for real."""
    shadow = breaker(mode=Mode.OBSERVE, recover=MANUAL)
    await tripped(rig, pipeline(shadow))
    await rig.engine.reconfigure([pipeline(replace(shadow, mode=Mode.AUTO))])
    await rig.run(0.5)
    assert rig.breaker().state == "closed"
    assert rig.world.done == []
    await rig.until(rig.is_in("open"), 30)
    assert rig.world.properties["gate"] == 0
