"""A process that dies between a step's state and the line that tells of it: the next one tells."""

from engine_rig import Rig, breaker, pipeline, step

from monitor.core.model import Reason
from monitor.plugin import ActionError


async def test_a_failure_that_a_kill_left_unsaid_is_told_once(rig: Rig) -> None:
    """The step is failed in the journal, the timeline was not written yet: told after the restart, and not again."""

    def lost(*_: str) -> None:
        raise ActionError(Reason.TIMEOUT, "no answer", ambiguous=True)

    rig.world.before = lost
    plan = pipeline(breaker("loop", step("kick")))
    await rig.start(plan)
    rig.load(50)
    await rig.until(lambda: rig.breaker().steps and rig.breaker().steps[0].phase == "failed", 60, 0.01)
    await rig.kill()
    for _ in range(2):
        await rig.start(plan)
        rig.load(50)
        await rig.run(5)
        lines = [e.text for e in rig.surface.incidents()[0].timeline if e.event == "action.failed"]
        assert len(lines) == 1
        assert "look, then reset the breaker" in lines[0]
        await rig.stop()
    assert len(rig.world.done) == 0


async def test_a_question_that_a_kill_left_unasked_is_asked(rig: Rig) -> None:
    """A step that waits for a yes says so in the timeline, whatever died when."""
    plan = pipeline(breaker("loop", step("cut", approve="always", name="gate", value=0)))
    await rig.start(plan)
    rig.load(50)
    await rig.until(lambda: rig.breaker().steps and rig.breaker().steps[0].phase == "held", 60, 0.01)
    await rig.kill()
    await rig.start(plan)
    rig.load(50)
    await rig.run(5)
    lines = [e.text for e in rig.surface.incidents()[0].timeline if e.event == "action.held"]
    assert len(lines) == 1
    assert "tripswitch breaker approve etl/loop" in lines[0]
