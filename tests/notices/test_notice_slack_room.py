"""A Slack channel for each incident."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from slack_side import Slack

from monitor.notices.address import mask_url
from monitor.notices.slack_room import Topic

TOKEN = "xoxb-not-a-token"
INCIDENT = "opendata-pulse-20260304-1202-evidence"
ALERT, UPDATE, RESOLVED = (Topic(INCIDENT, event) for event in ("alert", "update", "resolved"))


@pytest.fixture
async def slack(secrets) -> AsyncIterator[Slack]:
    """Up, and its token behind env:SLACK."""
    secrets.values["env:SLACK"] = TOKEN
    made = Slack(TOKEN)
    await made.up()
    yield made
    await made.down()


@pytest.fixture
def say(make_channels, slack):
    """`await say(topic, "options", "title")`: the failures."""
    channels = make_channels(attempts=2)

    async def send(topic, options="", title="etl failed", reference="env:SLACK"):
        url = f"slack-channel://{reference}?api={slack.base}{options}"
        return await channels.send([url], title, "<b>", "SEV1", topic)

    return send


async def test_an_incident_has_a_channel_of_its_own(slack, say):
    """Created once, named after its minute, its topic the incident; three notices in it, two of them mention."""
    for topic in (ALERT, UPDATE, RESOLVED):
        assert await say(topic, "&mention=here&invite=U0123,U0456") == []
    [(name, channel)] = slack.channels.items()
    assert name == "incident-20260304-1202"
    assert channel["topic"] == {"value": INCIDENT}
    assert channel["invited"] == "U0123,U0456"
    texts = [text for _, text in slack.posted]
    assert [text.startswith("<!here> ") for text in texts] == [True, False, True]
    assert all("*[SEV1] etl failed*\n&lt;b&gt;" in text for text in texts)
    assert slack.asked.count("conversations.create") == 1
    assert not channel["is_archived"]


async def test_a_second_incident_of_the_minute_gets_its_own(slack, say):
    """By a number."""
    await say(ALERT)
    await say(Topic("opendata-pulse-20260304-1202-etl-release", "alert"))
    assert sorted(slack.channels) == ["incident-20260304-1202", "incident-20260304-1202-2"]


async def test_after_a_restart_the_channel_is_found_again(slack, say, make_channels):
    """By its topic, on whatever page."""
    await say(Topic("opendata-pulse-20260304-1100-other", "alert"))
    await say(ALERT)
    fresh = make_channels()
    assert await fresh.send([f"slack-channel://env:SLACK?api={slack.base}"], "t", "b", "SEV1", UPDATE) == []
    assert slack.posted[-1][0] == "incident-20260304-1202"
    assert len(slack.channels) == 2


async def test_a_resolved_one_is_archived_and_left_alone(slack, say, make_channels):
    """Where the URL says so; a follow-up opens no new one, also after a restart."""
    await say(ALERT, "&archive=yes")
    await say(RESOLVED, "&archive=yes&mention=U0123ABC")
    assert slack.channels["incident-20260304-1202"]["is_archived"]
    assert slack.posted[-1][1].startswith("<@U0123ABC> ")
    assert await say(UPDATE, "&archive=yes") == []
    fresh = make_channels()
    assert await fresh.send([f"slack-channel://env:SLACK?api={slack.base}"], "t", "b", "SEV1", UPDATE) == []
    assert (len(slack.channels), len(slack.posted)) == (1, 2)


@pytest.mark.parametrize("topic", [None, Topic("opendata-pulse/raw-cycles", "alert"), Topic("store", "alert")])
async def test_what_belongs_to_no_incident_opens_no_channel(slack, say, topic):
    """A check that stays unknown, a store that can't be written: other channels tell of those."""
    assert await say(topic) == []
    assert slack.asked == []


async def test_a_bad_token_is_said_and_not_repeated(slack, say, secrets):
    """Slack answers 200 and `ok: false`; the token is not in the failure."""
    secrets.values["env:SLACK"] = "xoxb-wrong"
    [failure] = await say(ALERT)
    assert "conversations.create says invalid_auth" in failure
    assert "xoxb" not in failure
    assert slack.asked == ["conversations.create"]


async def test_a_missing_scope_says_what_to_give(slack, say):
    """What the bot lacks."""
    slack.errors["conversations.create"] = "missing_scope"
    [failure] = await say(ALERT)
    assert "channels:manage" in failure


async def test_a_limit_of_slacks_is_waited_out(slack, say, clock):
    """429 with Retry-After; then the same channel."""
    slack.statuses = [429]
    assert await say(ALERT) == []
    assert clock.slept == [1.0]
    assert len(slack.posted) == 1


@pytest.mark.parametrize(
    "url",
    [
        "slack-channel://xoxb-a-token-in-the-file",
        "slack-channel://env:SLACK?mention=everyone",
        "slack-channel://env:SLACK?archive=perhaps",
        "slack-channel://env:SLACK?api=http://elsewhere.example/api",
        "slack-channel://env:SLACK?colour=red",
        "slack-channel://env:SLACK?token=xoxb-a-token-in-the-file",
    ],
)
async def test_a_wrong_url_says_how_to_write_it(make_channels, slack, url):
    """A token belongs in no file; it is masked, too."""
    [failure] = await make_channels().send([url], "t", "b", "SEV1", ALERT)
    assert "write slack-channel://ssm:/slack/token" in failure
    assert "a-token-in-the-file" not in failure
    assert slack.asked == []


def test_a_reference_may_be_shown():
    """People recognize their channel by it."""
    assert mask_url("slack-channel://ssm:/slack/token?mention=here").startswith("slack-channel://ssm:/slack/token")
    assert mask_url("slack-channel://xoxb-1") == "slack-channel://***"


async def test_a_channel_whose_topic_failed_is_gone_on_with(slack, say):
    """Its creation is not repeated: the incident has one channel, not one per attempt."""
    slack.errors["conversations.setTopic"] = "internal_error"
    await say(ALERT)
    await say(UPDATE)
    [(_, channel)] = slack.channels.items()
    assert channel["topic"] == {"value": INCIDENT}
    assert slack.asked.count("conversations.create") == 1


async def test_people_are_invited_although_it_failed_at_first(slack, say):
    """A channel that nobody was invited to is not finished."""
    slack.errors["conversations.invite"] = "internal_error"
    await say(ALERT, "&invite=U0123")
    await say(UPDATE, "&invite=U0123")
    [(_, channel)] = slack.channels.items()
    assert channel["invited"] == "U0123"


async def test_two_urls_of_one_workspace_share_the_channel(slack, secrets, make_channels):
    """Sent at once: the second waits for the first, and finds its channel by the topic."""
    secrets.values["file:/slack"] = TOKEN
    urls = [f"slack-channel://{where}?api={slack.base}" for where in ("env:SLACK", "file:/slack")]
    assert await make_channels().send(urls, "etl failed", "b", "SEV1", ALERT) == []
    assert list(slack.channels) == ["incident-20260304-1202"]
    assert len(slack.posted) == 2


async def test_another_token_never_gets_a_known_channel(slack, say, secrets):
    """A channel's id means nothing in another workspace: each reference asks for itself."""
    await say(ALERT)
    secrets.values["env:OTHER"] = TOKEN
    await say(ALERT, reference="env:OTHER")
    assert slack.asked.count("conversations.create") == 2


async def test_a_longer_name_in_the_topic_is_another_incident(slack, say):
    """The channel of `my-opendata-pulse` is not that of `opendata-pulse`, though one id holds the other."""
    await say(Topic(f"my-{INCIDENT}", "alert"))
    await say(ALERT)
    assert sorted(slack.channels) == ["incident-20260304-1202", "incident-20260304-1202-2"]
