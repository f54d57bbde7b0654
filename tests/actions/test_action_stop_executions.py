"""stop_executions."""
# ruff: noqa: N803 - the fakes take AWS's own parameter names

from datetime import timedelta

import pytest

from monitor.actions.reruns import rerun_name
from monitor.actions.stop_executions import ACTION
from monitor.plugin import ActionError, Held, Reason, Resource, ResourceKind
from monitor.testing import EPOCH, FakeActionContext, run_action

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:etl-workflow"
PREFIX = MACHINE.replace("stateMachine", "execution") + ":"


class Killed(BaseException):
    """The process ends here."""


ETL = {"state_machines": ["etl-workflow"]}


class StepFunctions:
    """Executions of Standard machines, newest first in pages of 100, with a source that may keep starting."""

    def __init__(self, count=0, kind="STANDARD"):
        self.executions, self.kind, self.aws, self.source, self.seen = {}, kind, None, None, 0
        self.before_stop = None
        for number in range(count):
            self.add(f"e{number:05}", EPOCH - timedelta(seconds=count - number))

    def add(self, name, started, machine=MACHINE, **more):
        arn = f"{machine.replace('stateMachine', 'execution')}:{name}"
        self.executions[arn] = {
            "executionArn": arn, "stateMachineArn": machine, "name": name, "status": "RUNNING",
            "startDate": started, "input": f'{{"key": "{name}"}}', **more,
        }  # fmt: skip
        return arn

    @property
    def replies(self):
        return {
            "stepfunctions.DescribeStateMachine": lambda **p: {"type": self.kind},
            "stepfunctions.ListExecutions": self.list,
            "stepfunctions.DescribeExecution": lambda *, executionArn: dict(self.executions[executionArn]),
            "stepfunctions.StopExecution": self.stop,
            "stepfunctions.StartExecution": self.start,
        }

    def list(self, *, stateMachineArn, statusFilter, maxResults):
        if self.source:
            self.source()
        rows = [
            row
            for row in self.executions.values()
            if row["status"] == statusFilter and row["stateMachineArn"] == stateMachineArn
        ]
        rows.sort(key=lambda row: row["startDate"], reverse=True)
        fields = ("executionArn", "stateMachineArn", "name", "status", "startDate")
        slim = [{field: row[field] for field in fields} for row in rows]
        return [{"executions": slim[at : at + 100]} for at in range(0, max(1, len(slim)), 100)]

    def stop(self, *, executionArn, error=None, cause=None):
        if self.before_stop:
            self.before_stop(executionArn)
        if executionArn not in self.executions:
            raise ActionError(Reason.NOT_FOUND, "stepfunctions:StopExecution: ExecutionDoesNotExist")
        row = self.executions[executionArn]
        if row["status"] == "RUNNING":
            row.update(status="ABORTED", error=error, cause=cause)
        return {"stopDate": EPOCH}

    def start(self, *, stateMachineArn, name, input):
        arn = PREFIX + name
        if arn in self.executions and self.executions[arn]["status"] != "RUNNING":
            raise ActionError(Reason.INVALID, "stepfunctions:StartExecution: ExecutionAlreadyExists: there is one")
        if arn not in self.executions:
            self.add(name, self.aws.clock.now(), input=input)
        return {"executionArn": arn, "startDate": EPOCH}

    def running(self):
        return sorted(row["name"] for row in self.executions.values() if row["status"] == "RUNNING")


@pytest.fixture
def world(fake):
    """`world(StepFunctions(...))`: a context around it."""

    def make(functions, **options):
        functions.aws = fake(functions.replies, action=ACTION, **options)
        return FakeActionContext(functions.aws)

    return make


async def drain(context, **params):
    """plan, capture, apply."""
    return await run_action(ACTION, {**ETL, **params}, context.aws, context)


async def test_everything_that_runs_is_stopped_with_its_cause(world):
    """Two empty listings prove it; the receipt counts."""
    functions = StepFunctions(250)
    context = world(functions)
    run = await drain(context, cause="Event loop mitigation", error="EmergencyStop")
    assert functions.running() == []
    row = functions.executions[PREFIX + "e00000"]
    assert (row["error"], row["cause"]) == ("EmergencyStop", "Event loop mitigation")
    assert run.prior == {"running": 250}
    assert run.receipt.data == {"stopped": 250, "remaining": 0}
    assert (run.receipt.changed, run.receipt.verified, run.receipt.detail) == (True, True, "250 stopped, none left")
    assert context.steps[0] == (0, 250)
    assert context.steps[-1] == (250, 0)


async def test_nothing_running_changes_nothing(world):
    """And it takes two listings after the captured one to say so."""
    context = world(StepFunctions())
    run = await drain(context)
    assert (run.receipt.changed, run.receipt.verified) == (False, True)
    assert context.aws.count("stepfunctions.ListExecutions") == 3


async def test_starts_within_the_settle_time_are_stopped_too(world):
    """A rule that fires for 30 s after it was disabled."""
    functions = StepFunctions(10)
    context = world(functions)

    def source():
        now = context.now()
        if now < EPOCH + timedelta(seconds=30):
            functions.add(f"late-{now:%H%M%S}", now)

    functions.source = source
    run = await drain(context)
    assert functions.running() == []
    assert run.receipt.verified
    assert context.now() >= EPOCH + timedelta(seconds=60), "having seen stragglers it waits for the settle time"


async def test_starts_after_the_settle_time_end_it_as_source_not_cut(world):
    """Stopping can't win against a source: say so instead of racing for ever, and leave the newer ones."""
    functions = StepFunctions(10)
    context = world(functions)

    def source():
        now = context.now()
        functions.add(f"loop-{now:%H%M%S}", now)

    functions.source = source
    run = await drain(context)
    assert (run.receipt.verified, run.receipt.data["source_not_cut"]) == (False, True)
    assert run.receipt.detail.startswith("source not cut: ")
    assert run.receipt.data["newer"] == len(functions.running()) >= 1
    began = EPOCH + timedelta(seconds=60)
    assert all(row["startDate"] >= began for row in functions.executions.values() if row["status"] == "RUNNING")


async def test_only_old_enough_executions_are_stopped(world):
    """Stuck ones: normal traffic goes on and is no sign of an uncut source."""
    functions = StepFunctions(100)
    context = world(functions)
    functions.source = lambda: functions.add(f"new-{context.aws.calls.__len__()}", context.now())
    run = await drain(context, older_than="60s")
    assert run.receipt.data == {"stopped": 40, "remaining": 0}
    assert "e00039" not in functions.running()
    assert "e00040" in functions.running()
    assert run.receipt.verified


async def test_a_limit_stops_the_oldest_and_says_what_is_left(world):
    """A hard cap of the step, over all rounds."""
    functions = StepFunctions(100)
    context = world(functions)
    run = await drain(context, limit=30)
    assert run.receipt.data == {"stopped": 30, "remaining": 70}
    assert functions.running()[0] == "e00030"
    assert run.receipt.detail == "30 stopped, 70 left beyond the limit"
    again = await ACTION.apply(run.change, context)
    assert len(functions.running()) == 70, "resuming the same step stops no more"
    assert again.data["remaining"] == 70


async def test_a_limit_holds_over_a_crash(world):
    """What the first attempt may stop is remembered before it stops anything."""
    functions = StepFunctions(100)
    context = world(functions)
    stops = []

    def gate(arn):
        stops.append(arn)
        if len(stops) == 10:
            raise Held("kill_switch", "off")

    functions.before_stop = gate
    with pytest.raises(Held):
        await drain(context, limit=30)
    functions.before_stop = None
    await ACTION.apply(ACTION.plan(ACTION.params(**ETL, limit=30), context.now()), context)
    assert len(functions.running()) == 70


async def test_ended_meanwhile_is_fine_and_refused_for_now_is_tried_again(world):
    """Neither ends the drain; a later listing shows what is left."""
    functions = StepFunctions(20)
    context = world(functions)
    tries = []

    def before(arn):
        tries.append(arn)
        if arn.endswith("e00003"):
            functions.executions.pop(arn, None)
        if arn.endswith("e00007") and tries.count(arn) < 3:
            raise ActionError(Reason.THROTTLED, "slow down")

    functions.before_stop = before
    run = await drain(context)
    assert functions.running() == []
    assert run.receipt.data["stopped"] == 19


@pytest.mark.parametrize("reason", [Reason.DENIED, Reason.INVALID])
async def test_a_permanent_refusal_ends_it_at_once(world, reason):
    """Not ten thousand times."""
    functions = StepFunctions(1000)
    context = world(functions)

    def refuse(arn):
        raise ActionError(reason, "no")

    functions.before_stop = refuse
    with pytest.raises(ActionError) as caught:
        await drain(context)
    assert caught.value.reason is reason
    assert context.aws.count("stepfunctions.StopExecution") <= 2 * 64


async def test_aws_refusing_everything_for_now_is_a_retryable_failure(world):
    """No endless loop inside the action: the dispatcher backs off."""
    functions = StepFunctions(5)
    context = world(functions)

    def refuse(arn):
        raise ActionError(Reason.UNAVAILABLE, "down")

    functions.before_stop = refuse
    with pytest.raises(ActionError, match="down"):
        await drain(context)


async def test_without_rights_on_the_machines_key_it_stops_without_a_cause(world):
    """Error and cause are encrypted with the machine's key; stopping matters more than saying why."""
    functions = StepFunctions(1)
    context = world(functions)
    refused = []

    def needs_key(arn):
        if not refused:
            refused.append(arn)
            raise ActionError(Reason.DENIED, "no kms:GenerateDataKey")

    functions.before_stop = needs_key
    await drain(context)
    assert functions.executions[PREFIX + "e00000"]["cause"] is None
    assert functions.running() == []


async def test_a_gate_that_closes_passes_through_and_the_rest_follows_later(world):
    """Held is not a failure; the resumed step lists again and goes on from there."""
    functions = StepFunctions(200)
    context = world(functions)
    stops = []

    def gate(arn):
        stops.append(arn)
        if len(stops) > 80:
            raise Held("kill_switch", "off")

    functions.before_stop = gate
    with pytest.raises(Held):
        await drain(context)
    assert 80 <= len(functions.executions) - len(functions.running()) < 150
    functions.before_stop = None
    run = await drain(context)
    assert functions.running() == []
    assert run.receipt.data["stopped"] == 200, "counted over both attempts"


async def test_the_window_is_fixed_at_the_first_attempt(world):
    """A step that is resumed an hour later does not reach for newer executions."""
    functions = StepFunctions(5)
    context = world(functions)
    await context.remember(began=EPOCH.isoformat())
    context.aws.clock.jump(timedelta(hours=1))
    functions.add("new", context.now())
    run = await drain(context)
    assert functions.running() == ["new"]
    assert run.receipt.data["source_not_cut"] is True


async def test_express_machines_are_refused_by_name_and_skipped_by_glob(world):
    """A glob in an emergency must not fail on one machine that can't be stopped."""
    functions = StepFunctions(kind="EXPRESS")
    with pytest.raises(ActionError, match="etl-workflow is an Express state machine") as caught:
        await drain(world(functions))
    assert caught.value.reason is Reason.INVALID
    kinds = (("jaunt-a", "STANDARD"), ("jaunt-b", "EXPRESS"), ("other", "STANDARD"))
    resources = [
        Resource(ResourceKind.STATE_MACHINE, name, MACHINE.replace("etl-workflow", name), {"type": kind})
        for name, kind in kinds
    ]
    functions = StepFunctions()
    for resource in resources:
        functions.add("x", EPOCH - timedelta(minutes=1), resource.arn)
    run = await drain(world(functions, resources=resources), state_machines=["jaunt-*"])
    assert run.receipt.data == {"stopped": 1, "remaining": 0, "express_skipped": ["jaunt-b"]}
    assert len(functions.running()) == 2


async def test_each_stopped_execution_runs_once_more_with_its_input(world):
    """Under the name made of its ARN; those reruns are neither stopped nor rerun by this trip."""
    functions = StepFunctions(60)
    context = world(functions)
    run = await drain(context, rerun=True)
    originals = [PREFIX + f"e{number:05}" for number in range(60)]
    assert functions.running() == sorted(rerun_name(arn) for arn in originals)
    rerun = functions.executions[PREFIX + rerun_name(originals[7])]
    assert rerun["input"] == '{"key": "e00007"}'
    assert (run.receipt.data["reruns"], run.receipt.data["not_rerun"]) == (60, 0)
    assert run.receipt.verified, "a rerun is no sign of an uncut source"
    await ACTION.apply(run.change, context)
    assert len(functions.executions) == 120, "a repeated step starts nothing new"


async def test_a_rerun_of_an_earlier_trip_is_an_execution_like_any_other(world):
    """It got stuck again: this trip stops it."""
    functions = StepFunctions()
    functions.add(rerun_name("older"), EPOCH - timedelta(hours=2))
    functions.add("retry-1700000000", EPOCH + timedelta(seconds=1))
    await drain(world(functions))
    assert functions.running() == []


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"inputDetails": {"included": False}}, "whole input"),
        ({"input": None}, "whole input"),
        ({"mapRunArn": "arn:m"}, "map run"),
    ],
)
async def test_what_cannot_be_rerun_is_stopped_and_named(world, more, why):
    """The receipt says which and why."""
    functions = StepFunctions()
    arn = functions.add("odd", EPOCH - timedelta(minutes=1), **more)
    if functions.executions[arn].get("input", "") is None:
        del functions.executions[arn]["input"]
    run = await drain(world(functions), rerun=True)
    assert functions.running() == []
    assert run.receipt.data["not_rerun"] == 1
    assert why in run.receipt.data["why"][0]


async def test_what_ended_by_itself_is_not_rerun(world):
    """It succeeded between the listing and the stop."""
    functions = StepFunctions(3)

    def finish(arn):
        if arn.endswith("e00001"):
            functions.executions[arn]["status"] = "SUCCEEDED"

    functions.before_stop = finish
    run = await drain(world(functions), rerun=True)
    assert run.receipt.data["reruns"] == 2
    assert run.receipt.data["why"] == ["e00001: it ended by itself as SUCCEEDED"]


@pytest.mark.parametrize("after", range(1, 60, 7))
async def test_a_kill_between_stop_and_start_loses_no_rerun(world, after):
    """Killed after any mutating call, the resumed step starts what is missing and nothing twice."""
    functions = StepFunctions(30)
    context = world(functions)
    real = context.aws.mutate
    made = []

    async def dying(*args, **params):
        if len(made) == after:
            raise Killed
        made.append(args)
        return await real(*args, **params)

    context.aws.mutate = dying
    with pytest.raises(BaseExceptionGroup) as caught:
        await drain(context, rerun=True)
    assert caught.group_contains(Killed)
    context.aws.mutate = real
    fresh = FakeActionContext(context.aws, memory=context.memory)
    run = await drain(fresh, rerun=True)
    wanted = sorted(rerun_name(PREFIX + f"e{number:05}") for number in range(30))
    assert functions.running() == wanted
    assert len(functions.executions) == 60
    assert run.receipt.verified


def test_the_plan_reads_as_a_sentence():
    """Short names, five at most."""
    plan = lambda **params: ACTION.plan(ACTION.params(**params), EPOCH)  # noqa: E731
    assert plan(state_machines=[MACHINE]).summary == "stop the running executions of etl-workflow"
    assert (
        plan(state_machines=["a", "b"], older_than="15m", limit=3, rerun=True).summary
        == "stop the running executions older than 15m of a, b, at most 3, then start each once more with its input"
    )
    assert plan(state_machines=list("abcdefg")).resource == "states/a, b, c, d, e and 2 more"
    assert plan(state_machines={"tags": {"pipeline": "etl"}}).resource == "states/tag pipeline=etl"


def entered(*states):
    """History events, newest first: (type, state, seconds ago)."""
    events = []
    for number, (kind, name, ago) in enumerate(states):
        key = "stateEnteredEventDetails" if kind.endswith("Entered") else "stateExitedEventDetails"
        at = EPOCH - timedelta(seconds=ago)
        events.append({"timestamp": at, "type": kind, "id": number + 1, key: {"name": name}})
    return events[::-1]


async def test_the_age_of_the_state_chooses(world):
    """All four run for an hour; one has been in its state for twenty minutes, one was redriven a minute ago."""
    functions = StepFunctions()
    for name in ("stuck", "young", "redriven"):
        functions.add(name, EPOCH - timedelta(hours=1))
    functions.add("fresh", EPOCH - timedelta(minutes=5))
    long_ago = [("TaskStateEntered", "Fetch", 1200)]
    redrive = {"timestamp": EPOCH - timedelta(minutes=1), "type": "ExecutionRedriven", "id": 9}
    left = [*long_ago, ("TaskStateExited", "Fetch", 60), ("TaskStateEntered", "Store", 60)]
    histories = {
        "stuck": entered(*long_ago), "young": entered(*left), "redriven": [redrive, *entered(*long_ago)],
    }  # fmt: skip
    asked = []

    def history(*, executionArn, reverseOrder, maxResults, includeExecutionData):
        asked.append(executionArn.rsplit(":", 1)[-1])
        return {"events": histories[asked[-1]]}

    replies = functions.replies
    replies["stepfunctions.GetExecutionHistory"] = history
    functions.__class__ = type("WithHistory", (StepFunctions,), {"replies": replies})
    run = await drain(world(functions), state_older_than="15m")
    assert functions.running() == ["fresh", "redriven", "young"]
    assert sorted(asked) == ["redriven", "stuck", "young"]
    assert (run.receipt.data["stopped"], run.receipt.verified) == (1, True)
    assert "15m or longer in one state" in run.change.summary


async def test_what_goes_on_while_others_are_stopped_is_left_alone(world):
    """Thirty hang; the last of them leaves its state while the first are being stopped."""
    functions = StepFunctions()
    for number in range(30):
        functions.add(f"e{number:02}", EPOCH - timedelta(hours=1, seconds=30 - number))
    stuck = entered(("TaskStateEntered", "Fetch", 1200))
    left = [("TaskStateEntered", "Fetch", 1200), ("TaskStateExited", "Fetch", 1), ("TaskStateEntered", "Store", 1)]
    gone_on = entered(*left)
    going_on = set()

    def slowly(arn):
        functions.aws.clock.jump(timedelta(seconds=1))
        going_on.add("e29")

    def history(*, executionArn, reverseOrder, maxResults, includeExecutionData):
        return {"events": gone_on if executionArn.rsplit(":", 1)[-1] in going_on else stuck}

    functions.before_stop = slowly
    replies = {**functions.replies, "stepfunctions.GetExecutionHistory": history}
    functions.__class__ = type("WithHistory", (StepFunctions,), {"replies": replies})
    run = await drain(world(functions), state_older_than="15m")
    assert functions.running() == ["e29"]
    assert run.receipt.data["stopped"] == 29
