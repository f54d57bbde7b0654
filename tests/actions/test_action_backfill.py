"""invoke, backfill, reprocess_objects: each thing once, as far as AWS allows."""
# ruff: noqa: N803 - the fakes take AWS's own parameter names

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from monitor.actions.backfill import ACTION as BACKFILL
from monitor.actions.invoke import ACTION as INVOKE
from monitor.actions.reprocess_objects import ACTION as REPROCESS
from monitor.actions.windows import Windows
from monitor.plugin import ActionError, Held, Reason
from monitor.testing import FakeActionContext, run_action
from monitor.testing.actions import TRIP
from monitor.testing.clock import EPOCH

LOST = ActionError(Reason.TIMEOUT, "lambda:Invoke: no answer in time", ambiguous=True)
BUSY = ActionError(Reason.THROTTLED, "lambda:Invoke is throttled")


class Killed(BaseException):
    """The process died in the middle of a call."""


class Lambda:
    """Keeps what it was asked; `failing` holds the errors of calls by number, raised after the effect."""

    def __init__(self, failing=None, reply=None):
        self.events, self.failing, self.reply, self.calls = [], dict(failing or {}), reply or {"StatusCode": 202}, 0

    @property
    def replies(self):
        return {"lambda.Invoke": self.invoke, "lambda.GetFunctionConfiguration": {}}

    def invoke(self, *, FunctionName, InvocationType, Payload, Qualifier=None):
        self.calls += 1
        error = self.failing.pop(self.calls, None)
        if isinstance(error, ActionError) and not error.ambiguous:
            raise error
        self.events.append((FunctionName, Qualifier, InvocationType, json.loads(Payload)))
        if error is not None:
            raise error
        return self.reply


async def test_a_function_is_invoked_with_its_alias_and_payload(fake):
    """Handed over by default: no result is seen, and the receipt says so."""
    one = Lambda()
    params = {"function": "ingest:LIVE", "payload": {"test": True}}
    run = await run_action(INVOKE, params, fake(one.replies, action=INVOKE))
    assert one.events == [("ingest", "LIVE", "Event", {"test": True})]
    assert (run.receipt.changed, run.receipt.verified, run.change.summary) == (True, False, "invoke ingest:LIVE once")


async def test_an_invocation_in_doubt_is_not_repeated(fake):
    """Neither when the answer was lost nor when a kill left it open; ambiguous, for a person."""
    one = Lambda({1: LOST})
    context = FakeActionContext(fake(one.replies))
    for _ in range(2):
        with pytest.raises(ActionError) as caught:
            await run_action(INVOKE, {"function": "f"}, context.aws, context)
        assert caught.value.ambiguous
    assert len(one.events) == 1


@pytest.mark.parametrize("error", [BUSY, Held("killswitch", "off")])
async def test_an_invocation_that_was_not_made_is_tried_again(fake, error):
    """Throttled, or held by a gate: nothing ran."""
    one = Lambda({1: BUSY} if error is BUSY else {})
    context = FakeActionContext(fake(one.replies))
    context.aws.held = None if error is BUSY else error
    with pytest.raises(type(error)):
        await run_action(INVOKE, {"function": "f"}, context.aws, context)
    context.aws.held = None
    await run_action(INVOKE, {"function": "f"}, context.aws, context)
    assert len(one.events) == 1


async def test_a_function_that_failed_fails_the_step_and_is_left_alone(fake):
    """Only the class of the error is told: its message may quote a secret."""
    body = json.dumps({"errorType": "KeyError", "errorMessage": "token hunter2"}).encode()
    one = Lambda(reply={"FunctionError": "Unhandled", "Payload": body})
    context = FakeActionContext(fake(one.replies))
    for _ in range(2):
        with pytest.raises(ActionError, match=r"ran and failed \(Unhandled: KeyError\)") as caught:
            await run_action(INVOKE, {"function": "f", "type": "RequestResponse"}, context.aws, context)
        assert caught.value.reason is Reason.INVALID
        assert "hunter2" not in caught.value.detail
    assert len(one.events) == 1


def start_of(event):
    """The window an event was about."""
    return event[3]["timestamp"]


HOURS = {
    "function": "ingest",
    "payload": {"backfill": True, "timestamp": "${window.start}", "until": "${window.end}"},
    "windows": {"from": "3h", "step": "1h"},
}


async def test_each_missed_hour_is_filled_once_oldest_first(fake):
    """Whole hours that are over, from three hours before the trip, at a pace."""
    one = Lambda()
    aws = fake(one.replies, action=BACKFILL)
    began = aws.clock.now()
    run = await run_action(BACKFILL, {**HOURS, "pace": "10s"}, aws)
    starts = [datetime.fromisoformat(start_of(event)) for event in one.events]
    floor = EPOCH.replace(minute=0, second=0, microsecond=0)
    assert starts == [floor - timedelta(hours=n) for n in (3, 2, 1)]
    assert one.events[0][3]["backfill"] is True
    assert (run.prior, run.receipt.data["started"]) == ({"windows": 3}, 3)
    assert aws.clock.now() - began == timedelta(seconds=20)


@pytest.mark.parametrize("died", [LOST, Killed()])
async def test_a_window_in_doubt_is_named_and_not_repeated(fake, died):
    """A lost answer goes on with the next window; a kill is taken up by the next attempt."""
    one = Lambda({2: died})
    context = FakeActionContext(fake(one.replies))
    change = BACKFILL.plan(BACKFILL.params.model_validate(HOURS), context.now())
    if died is LOST:
        receipt = await BACKFILL.apply(change, context)
    else:
        with pytest.raises(Killed):
            await BACKFILL.apply(change, context)
        receipt = await BACKFILL.apply(change, context)
    starts = [start_of(event) for event in one.events]
    assert len(starts) == len(set(starts)) == 3
    assert (receipt.data["started"], receipt.verified) == (2, False)
    assert datetime.fromisoformat(starts[1]) == datetime.fromisoformat(receipt.data["unclear"][0].split("/")[0])
    assert "1 may or may not have been started" in receipt.detail


async def test_a_repeatable_window_is_repeated_instead(fake):
    """Rather twice than not at all, where that does no harm."""
    one = Lambda({2: Killed()})
    context = FakeActionContext(fake(one.replies))
    change = BACKFILL.plan(BACKFILL.params.model_validate({**HOURS, "repeatable": True}), context.now())
    with pytest.raises(Killed):
        await BACKFILL.apply(change, context)
    receipt = await BACKFILL.apply(change, context)
    assert [start_of(event) for event in one.events].count(start_of(one.events[1])) == 2
    assert (receipt.data["started"], receipt.data["unclear"]) == (3, [])


async def test_a_throttled_window_waits_and_later_attempts_mean_the_same_windows(fake):
    """Also when an hour passes in between: `now` was fixed by the first attempt."""
    one = Lambda({2: BUSY})
    context = FakeActionContext(fake(one.replies))
    change = BACKFILL.plan(BACKFILL.params.model_validate(HOURS), context.now())
    with pytest.raises(ActionError):
        await BACKFILL.apply(change, context)
    await context.sleep(7200)
    receipt = await BACKFILL.apply(change, context)
    assert (len(one.events), receipt.data["started"]) == (3, 3)


async def test_loaded_windows_are_skipped(fake):
    """By the hour of the bucket's own zone: a UTC date would look in the wrong folder."""
    one, asked = Lambda(), []

    def listed(*, Bucket, Prefix, MaxKeys):
        asked.append(Prefix)
        return {"KeyCount": int(len(asked) != 2)}

    params = {
        **HOURS,
        "windows": {"from": "2026-03-03T12:00Z", "to": "2026-03-03T15:00Z", "timezone": "Australia/Sydney"},
        "missing_in": {"bucket": "raw", "prefix": "raw/${window.year}/${window.month}/${window.day}/${window.hour}"},
    }
    context = FakeActionContext(fake({**one.replies, "s3.ListObjectsV2": listed}, action=BACKFILL))
    change = BACKFILL.plan(BACKFILL.params.model_validate(params), context.now())
    receipt = await BACKFILL.apply(change, context)
    assert asked == ["raw/2026/03/03/23", "raw/2026/03/04/00", "raw/2026/03/04/01"]
    assert [start_of(event) for event in one.events] == ["2026-03-03T13:00:00Z"]
    assert (receipt.data["started"], receipt.data["skipped"]) == (1, 2)


async def test_the_windows_can_come_from_what_the_check_said(fake):
    """`${trip.reason}` names them; a span of several steps is cut, nothing else in the text matters."""
    one = Lambda()
    text = "cycles.missing on raw is 3: 2020-01-01T09:00Z/2020-01-01T11:00Z, 2020-01-01T13:00Z/2020-01-01T14:00Z"
    await run_action(BACKFILL, {**HOURS, "windows": text}, fake(one.replies))
    assert [start_of(event)[11:16] for event in one.events] == ["09:00", "10:00", "13:00"]
    with pytest.raises(ActionError, match="no window is named"):
        await run_action(BACKFILL, {**HOURS, "windows": "nothing in here"}, fake(one.replies))


async def test_too_many_windows_are_refused_before_the_first(fake):
    """A slip of `from` must not start a thousand runs."""
    one = Lambda()
    with pytest.raises(ActionError, match="more than `most`"):
        await run_action(BACKFILL, {**HOURS, "windows": {"from": "30d"}}, fake(one.replies))
    assert one.events == []


async def test_a_job_gets_arguments_and_waits_for_its_turn(fake):
    """Glue: texts only; too many at once is no failure of the window."""
    runs, full = [], [True]

    def start(*, JobName, Arguments):
        if full:
            full.clear()
            raise ActionError(Reason.INVALID, "glue:StartJobRun: ConcurrentRunsExceededException: 1")
        runs.append(Arguments)
        return {"JobRunId": "r"}

    params = {"job": "backfill_job", "payload": {"--from": "${window.start}", "--n": 3}, "windows": {"from": "1h"}}
    context = FakeActionContext(fake({"glue.StartJobRun": start}, action=BACKFILL))
    change = BACKFILL.plan(BACKFILL.params.model_validate(params), context.now())
    with pytest.raises(ActionError) as caught:
        await BACKFILL.apply(change, context)
    assert caught.value.reason is Reason.THROTTLED
    await BACKFILL.apply(change, context)
    assert [run["--n"] for run in runs] == ["3"]
    assert change.resource == "glue/backfill_job"


async def test_executions_are_named_after_their_window(fake):
    """AWS itself refuses a second one, so a kill doubles nothing and loses nothing."""
    names, died = [], [Killed()]

    def start(*, stateMachineArn, name, input):
        if name in names:
            raise ActionError(Reason.INVALID, "stepfunctions:StartExecution: ExecutionAlreadyExists: there")
        names.append(name)
        if len(names) == 2 and died:
            raise died.pop()
        return {"executionArn": "x"}

    machine = "arn:aws:states:us-east-1:123456789012:stateMachine:load"
    params = {"state_machine": machine, "payload": {"at": "${window.start}"}, "windows": {"from": "3h"}}
    context = FakeActionContext(fake({"stepfunctions.StartExecution": start}, action=BACKFILL))
    change = BACKFILL.plan(BACKFILL.params.model_validate(params), context.now())
    with pytest.raises(Killed):
        await BACKFILL.apply(change, context)
    receipt = await BACKFILL.apply(change, context)
    assert (len(names), len(set(names)), receipt.data["started"], receipt.data["unclear"]) == (3, 3, 3, [])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"payload": {"at": "${window.begin}"}}, "does not exist"),
        ({"job": "j"}, "name one of"),
        ({"windows": {"step": "1h"}}, "name the windows"),
        ({"windows": {"from": "yesterday"}}, "neither a time"),
        ({"windows": {"from": "1h", "timezone": "Sydney"}}, "no time zone"),
        ({"windows": {"from": "1h", "step": "1s"}}, "a minute at least"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_load(change, words):
    """With words."""
    with pytest.raises(ValueError, match=words):
        BACKFILL.params.model_validate({**HOURS, **change})


@pytest.mark.parametrize(
    ("zone", "first"), [("UTC", "09:00"), ("Asia/Kolkata", "09:30"), ("Australia/Adelaide", "09:30")]
)
def test_windows_begin_at_the_zones_full_hour(zone, first):
    """Half-hour zones too; a window that began before the span or is not over does not count."""
    windows = Windows.model_validate({"from": "2026-03-04T08:31Z", "to": "2026-03-04T11:15Z", "timezone": zone})
    found = windows.found(EPOCH, datetime(2026, 3, 5, tzinfo=UTC))
    assert f"{found[0].start:%H:%M}" == first
    assert all(gap.end <= datetime(2026, 3, 4, 11, 15, tzinfo=UTC) for gap in found)


class Buckets:
    """Objects by bucket; two per page."""

    def __init__(self, **buckets):
        self.buckets = buckets

    def list(self, *, Bucket, Prefix):
        rows = [
            {"Key": key, "LastModified": EPOCH - timedelta(minutes=age), "Size": 9, "ETag": '"e"'}
            for key, age in sorted(self.buckets[Bucket].items())
            if key.startswith(Prefix)
        ]
        return [{"Contents": rows[at : at + 2]} for at in range(0, max(1, len(rows)), 2)]


DAY = f"{EPOCH:%Y/%m/%d}"
OBJECTS = {
    "function": "etl",
    "source": {"bucket": "raw", "prefix": "in/${window.year}/${window.month}/${window.day}/"},
    "processed": {"bucket": "curated", "prefix": "out/${window.date}/"},
}


def buckets():
    """Five objects of the day: two done, one young, two missed (one of them has a name to encode)."""
    raw = {f"in/{DAY}/{name}": 60 for name in ("a.json", "b.json", "c d+e.json", "d.json.gz")}
    raw |= {f"in/{DAY}/young.json": 1, f"in/{DAY}/": 60, "in/2001/01/01/old.json": 99}
    return Buckets(raw=raw, curated={f"out/{EPOCH:%Y-%m-%d}/{name}": 1 for name in ("a.parquet", "d.parquet")})


async def test_missed_objects_are_sent_as_s3_would(fake):
    """Today's, not yet processed, not in work; keys encoded as in S3's own events."""
    one = Lambda()
    aws = fake({**one.replies, "s3.ListObjectsV2": buckets().list}, action=REPROCESS)
    run = await run_action(REPROCESS, OBJECTS, aws)
    records = [event[3]["Records"][0] for event in one.events]
    assert [record["s3"]["object"]["key"] for record in records] == [f"in/{DAY}/b.json", f"in/{DAY}/c+d%2Be.json"]
    assert records[0]["s3"]["bucket"]["name"] == "raw"
    assert records[0]["eventName"] == "ObjectCreated:Put"
    assert run.receipt.data == {"sent": 2, "left": 0, "unclear": []}


async def test_an_eventbridge_event_keeps_the_key_as_it_is(fake):
    """There it is not encoded."""
    one = Lambda()
    aws = fake({**one.replies, "s3.ListObjectsV2": buckets().list}, action=REPROCESS)
    await run_action(REPROCESS, {**OBJECTS, "event": "eventbridge", "most": 1}, aws)
    (event,) = one.events
    assert (event[3]["detail-type"], event[3]["detail"]["object"]["key"]) == ("Object Created", f"in/{DAY}/b.json")


@pytest.mark.parametrize("died", [LOST, Killed()])
async def test_an_object_in_doubt_is_named_and_not_sent_again(fake, died):
    """Across a kill too."""
    one = Lambda({1: died})
    context = FakeActionContext(fake({**one.replies, "s3.ListObjectsV2": buckets().list}, action=REPROCESS))
    change = REPROCESS.plan(REPROCESS.params.model_validate(OBJECTS), context.now())
    if died is not LOST:
        with pytest.raises(Killed):
            await REPROCESS.apply(change, context)
    receipt = await REPROCESS.apply(change, context)
    assert len(one.events) == 2
    assert receipt.data == {"sent": 1, "left": 0, "unclear": [f"in/{DAY}/b.json"]}


async def test_what_is_beyond_the_limit_is_counted(fake):
    """And left."""
    one = Lambda()
    aws = fake({**one.replies, "s3.ListObjectsV2": buckets().list}, action=REPROCESS)
    run = await run_action(REPROCESS, {**OBJECTS, "most": 1}, aws)
    assert run.receipt.data == {"sent": 1, "left": 1, "unclear": []}


async def test_what_a_cut_source_missed_is_started_once_across_a_kill(fake):
    """Objects that came since the trip began, one named execution each, also those that came a second ago."""
    started, died = {}, [Killed()]

    def start(*, stateMachineArn, name, input):
        if name in started:
            raise ActionError(Reason.INVALID, "stepfunctions:StartExecution: ExecutionAlreadyExists: there")
        started[name] = json.loads(input)
        if len(started) == 2 and died:
            raise died.pop()
        return {"executionArn": "x"}

    machine = "arn:aws:states:us-east-1:123456789012:stateMachine:etl-workflow"
    params = {
        "state_machine": machine, "source": {"bucket": "raw", "prefix": "in/"},
        "processed": {"bucket": "curated"}, "event": "eventbridge", "since_trip": True,
    }  # fmt: skip
    raw = {"in/before.csv": 61, "in/a.csv": 59, "in/b.csv": 30, "in/c.csv": 0, "in/done.csv": 20, "in/later.csv": -5}
    listed = Buckets(raw=raw, curated={"done.parquet": 10})
    trip = replace(TRIP, started_at=EPOCH - timedelta(hours=1))
    aws = fake({"stepfunctions.StartExecution": start, "s3.ListObjectsV2": listed.list}, action=REPROCESS)
    context = FakeActionContext(aws, trip=trip)
    change = REPROCESS.plan(REPROCESS.params.model_validate(params), context.now())
    assert (change.resource, "came since" in change.summary) == ("states/etl-workflow", True)
    with pytest.raises(Killed):
        await REPROCESS.apply(change, context)
    receipt = await REPROCESS.apply(change, context)
    keys = [event["detail"]["object"]["key"] for event in started.values()]
    assert keys == ["in/a.csv", "in/b.csv", "in/c.csv"]
    assert receipt.data == {"sent": 3, "left": 0, "unclear": []}


def test_a_function_or_a_machine_is_named():
    """One of them."""
    for given in ({}, {"function": "f", "state_machine": "m"}):
        with pytest.raises(ValueError, match="name a function or a state_machine"):
            REPROCESS.params.model_validate({"source": {"bucket": "raw"}, **given})
