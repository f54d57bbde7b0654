"""notify."""

import pytest

from monitor.actions.notify import ACTION
from monitor.plugin import ActionError, Reason
from monitor.testing import FakeActionContext, run_action


async def test_a_notice_carries_the_words_and_the_facts(fake):
    """No URL given: the pipeline's own channels, which the context stands for."""
    run = await run_action(ACTION, {"message": "Connector google is mocked."}, fake())
    ((urls, title, body),) = run.context.notices
    assert urls == ()
    assert title == "[SEV1] etl/s3-event-loop"
    assert body.startswith("Connector google is mocked.\n")
    assert "Why: execution-rate.started_per_minute" in body
    assert "Targets: etl-workflow" in body
    assert (run.receipt.changed, run.receipt.verified, run.receipt.detail) == (True, True, "sent")


async def test_a_resumed_step_sends_nothing_twice(fake):
    """What was sent is remembered before the receipt is written."""
    context = FakeActionContext(fake())
    for _ in range(2):
        receipt = await ACTION.apply(ACTION.plan(ACTION.params(message="hi"), context.now()), context)
    assert len(context.notices) == 1
    assert receipt.detail == "sent before"


@pytest.mark.parametrize(("failing", "raises"), [(1, False), (2, True)])
async def test_a_notice_fails_only_if_no_channel_takes_it(fake, failing, raises):
    """One channel that works is enough; the others are told in the receipt, without their URLs."""
    context = FakeActionContext(fake(), failing=["timeout at https://hooks.example.com/T0/secret"] * failing)
    params = {"message": "hi", "urls": ["env:SLACK_URL", "env:PAGER_URL"], "title": "T"}
    if raises:
        with pytest.raises(ActionError) as caught:
            await run_action(ACTION, params, context.aws, context)
        assert caught.value.reason is Reason.UNAVAILABLE
        assert "secret" not in str(caught.value)
        assert "sent" not in context.memory
    else:
        run = await run_action(ACTION, params, context.aws, context)
        assert (run.receipt.verified, run.receipt.detail) == (False, "one channel failed: timeout at <url>")
    assert context.notices[0][:2] == (("env:SLACK_URL", "env:PAGER_URL"), "T")


def test_the_summary_names_no_channel():
    """A webhook's URL is a secret even where someone writes it out."""
    change = ACTION.plan(ACTION.params(message="hi\nthere", urls=["https://hooks.example.com/T0/secret"]), None)
    assert change.summary == "notify one channel: hi"
