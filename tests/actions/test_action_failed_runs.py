"""redrive_executions and restart_executions."""
# ruff: noqa: N803 - the fakes take AWS's own parameter names

import json
from datetime import timedelta

import pytest

from monitor.actions.redrive_executions import ACTION as REDRIVE
from monitor.actions.restart_executions import ACTION as RESTART
from monitor.actions.restart_executions import restart_name
from monitor.plugin import ActionError, Held, Reason, Resource, ResourceKind
from monitor.testing import EPOCH, FakeActionContext, run_action

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:cities"
PREFIX = MACHINE.replace("stateMachine", "execution") + ":"
CITIES = {"state_machines": ["cities"]}


class Killed(BaseException):
    """The process ends here."""


class Failures:
    """Executions of one Standard machine, most of which failed."""

    def __init__(self, kind="STANDARD"):
        self.rows, self.kind, self.aws, self.before, self.tokens = {}, kind, None, None, []

    def add(self, name, *, ago=600, lasted=60, status="FAILED", error="ReadTimeout", given=None, **more):
        ended = EPOCH - timedelta(seconds=ago)
        self.rows[PREFIX + name] = {
            "executionArn": PREFIX + name, "stateMachineArn": MACHINE, "name": name, "status": status,
            "startDate": ended - timedelta(seconds=lasted), "stopDate": ended, "error": error, "redriveCount": 0,
            "redriveStatus": "REDRIVABLE", "input": json.dumps(given or {"city": name, "batch_size": 100}), **more,
        }  # fmt: skip

    @property
    def replies(self):
        return {
            "stepfunctions.DescribeStateMachine": lambda **p: {"type": self.kind},
            "stepfunctions.ListExecutions": self.list,
            "stepfunctions.DescribeExecution": lambda *, executionArn: dict(self.rows[executionArn]),
            "stepfunctions.RedriveExecution": self.redrive,
            "stepfunctions.StartExecution": self.start,
        }

    def list(self, *, stateMachineArn, statusFilter, maxResults):
        rows = [row for row in self.rows.values() if row["status"] == statusFilter]
        rows.sort(key=lambda row: row["startDate"], reverse=True)
        return [{"executions": rows[at : at + 2]} for at in range(0, max(1, len(rows)), 2)]

    def redrive(self, *, executionArn, clientToken):
        if self.before:
            self.before(executionArn)
        row = self.rows[executionArn]
        if row["status"] == "RUNNING":
            raise ActionError(Reason.INVALID, "stepfunctions:RedriveExecution: ExecutionNotRedrivable: it is RUNNING")
        self.tokens.append(clientToken)
        row |= {"status": "RUNNING", "redriveCount": row["redriveCount"] + 1, "redriveDate": self.aws.clock.now()}
        return {"redriveDate": self.aws.clock.now()}

    def start(self, *, stateMachineArn, name, input):
        if PREFIX + name in self.rows and self.rows[PREFIX + name]["status"] != "RUNNING":
            raise ActionError(Reason.INVALID, "stepfunctions:StartExecution: ExecutionAlreadyExists: there is one")
        if PREFIX + name not in self.rows:
            self.add(name, ago=-1, lasted=0, status="RUNNING", given=json.loads(input))
            self.rows[PREFIX + name]["startDate"] = self.aws.clock.now()
        return {"executionArn": PREFIX + name, "startDate": self.rows[PREFIX + name]["startDate"]}

    def running(self):
        return sorted(row["name"] for row in self.rows.values() if row["status"] == "RUNNING")


@pytest.fixture
def world(fake):
    """`world(Failures(), action)`: a context around it."""

    def make(failures, action=REDRIVE, **options):
        failures.aws = fake(failures.replies, action=action, **options)
        return FakeActionContext(failures.aws)

    return make


async def test_what_failed_lately_goes_on_from_where_it_failed(world):
    """Failed and timed out ones of the hour; not those of yesterday, not stopped ones, not canaries."""
    failures = Failures()
    for name in ("porto", "faro", "braga"):
        failures.add(name)
    failures.add("evora", status="TIMED_OUT", error=None)
    failures.add("old", ago=7200)
    failures.add("stopped", status="ABORTED")
    failures.add("canary-" + "0" * 32)
    failures.add("well", status="SUCCEEDED")
    run = await run_action(REDRIVE, CITIES, world(failures).aws)
    assert failures.running() == ["braga", "evora", "faro", "porto"]
    assert run.prior == {"failed": 4}
    assert run.receipt.data["done"] == 4
    assert "4 redriven" in run.receipt.detail


async def test_errors_choose(world):
    """By globs, with and without; a timeout has AWS's own name."""
    failures = Failures()
    failures.add("porto", error="ReadTimeout")
    failures.add("faro", error="ValidationError")
    failures.add("evora", status="TIMED_OUT", error=None)
    context = world(failures)
    await run_action(REDRIVE, {**CITIES, "errors": ["*Timeout"], "except_errors": ["States.*"]}, context.aws)
    assert failures.running() == ["porto"]


async def test_the_cap_holds_and_the_rest_is_told(world):
    """Those that ended first go first."""
    failures = Failures()
    for number in range(5):
        failures.add(f"c{number}", ago=600 - number)
    run = await run_action(REDRIVE, {**CITIES, "most": 2}, world(failures).aws)
    assert failures.running() == ["c0", "c1"]
    assert run.receipt.data["left"] == 3


async def test_no_trip_redrives_one_execution_twice(world):
    """It fails again, and the trip is applied again: left alone; the next trip may."""
    failures = Failures()
    failures.add("porto")
    context = world(failures)
    first = await run_action(REDRIVE, CITIES, context.aws, context)
    row = failures.rows[PREFIX + "porto"]
    row |= {"status": "FAILED", "stopDate": context.now()}
    again = await REDRIVE.apply(first.change, FakeActionContext(context.aws))
    assert row["redriveCount"] == 1
    assert "failed again" in again.detail


async def test_a_kill_in_the_middle_redrives_nothing_twice(world):
    """What ran again is no longer listed as failed; the token is the same for the same execution."""
    failures = Failures()
    for name in ("a", "b", "c"):
        failures.add(name)
    context = world(failures)

    def kill(arn):
        if arn.endswith(":b"):
            raise Killed

    failures.before = kill
    change = REDRIVE.plan(REDRIVE.params.model_validate(CITIES), EPOCH)
    with pytest.raises(Killed):
        await REDRIVE.apply(change, context)
    failures.before = None
    receipt = await REDRIVE.apply(change, context)
    assert {row["redriveCount"] for row in failures.rows.values()} == {1}
    assert len(set(failures.tokens)) == 3
    assert receipt.data["done"] == 3


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"redriveStatus": "NOT_REDRIVABLE", "redriveStatusReason": "Execution history event limit exceeded"}, "limit"),
        ({"redriveCount": 1000}, "1000 times"),
    ],
)
async def test_what_cannot_be_redriven_is_named(world, more, why):
    """AWS's reason, or its quota."""
    failures = Failures()
    failures.add("porto", **more)
    run = await run_action(REDRIVE, CITIES, world(failures).aws)
    assert failures.running() == []
    assert why in run.receipt.detail


async def test_fourteen_days_are_the_end(world):
    """Asked for a month, what is older is left alone without a call."""
    failures = Failures()
    failures.add("porto", ago=15 * 86400)
    run = await run_action(REDRIVE, {**CITIES, "failed_within": "30d"}, world(failures).aws)
    assert "14 days" in run.receipt.detail


async def test_express_machines_are_refused(world):
    """By name; they keep no executions."""
    with pytest.raises(ActionError, match="Express"):
        await run_action(REDRIVE, CITIES, world(Failures("EXPRESS")).aws)


async def test_it_is_paced(world):
    """One a second here."""
    failures = Failures()
    for number in range(4):
        failures.add(f"c{number}")
    context = world(failures)
    began = context.aws.clock.now()
    await run_action(REDRIVE, {**CITIES, "rate": 1}, context.aws, context)
    assert (context.aws.clock.now() - began).total_seconds() >= 3


async def test_a_restart_takes_the_input_with_a_change(world):
    """Smaller batches, everything else as it was; the original stays failed."""
    failures = Failures()
    failures.add("porto", given={"city": "porto", "batch_size": 100, "limits": {"pages": 9, "depth": 3}})
    context = world(failures, RESTART)
    merge = {"batch_size": 10, "limits": {"pages": 2}}
    run = await run_action(RESTART, {**CITIES, "merge": merge}, context.aws)
    (name,) = failures.running()
    assert name == restart_name(PREFIX + "porto")
    wanted = {"city": "porto", "batch_size": 10, "limits": {"pages": 2, "depth": 3}}
    assert json.loads(failures.rows[PREFIX + name]["input"]) == wanted
    assert failures.rows[PREFIX + "porto"]["status"] == "FAILED"
    assert "batch_size" in run.change.summary
    assert "10" not in run.change.summary.replace("100", "")


async def test_a_restart_happens_once(world):
    """Ended meanwhile, the trip applied again: counted, not started; its own restarts are not restarted."""
    failures = Failures()
    failures.add("porto")
    context = world(failures, RESTART)
    first = await run_action(RESTART, CITIES, context.aws, context)
    name = restart_name(PREFIX + "porto")
    failures.rows[PREFIX + name] |= {"status": "FAILED", "stopDate": context.now()}
    again = await RESTART.apply(first.change, FakeActionContext(context.aws))
    assert again.data["done"] == 1
    assert len(failures.rows) == 2


async def test_what_an_earlier_trip_started_anew_and_still_runs_is_not_counted(world):
    """AWS answers as if it had started it now, with the date of the first start."""
    failures = Failures()
    failures.add("porto")
    failures.add(restart_name(PREFIX + "porto"), ago=7200, status="RUNNING")
    run = await run_action(RESTART, CITIES, world(failures, RESTART).aws)
    assert (run.receipt.data["done"], run.receipt.changed) == (0, False)
    assert "an earlier trip started it anew" in run.receipt.detail


async def test_an_input_that_is_no_object_is_named(world):
    """Nothing to merge into."""
    failures = Failures()
    failures.add("porto", input="[1, 2]")
    run = await run_action(RESTART, CITIES, world(failures, RESTART).aws)
    assert "no object" in run.receipt.detail
    assert failures.running() == []


async def test_a_closed_gate_ends_it_between_two(world):
    """Held goes through; what was done stays done."""
    failures = Failures()
    for name in ("a", "b"):
        failures.add(name)
    context = world(failures)

    def hold(arn):
        if arn.endswith(":b"):
            raise Held("kill switch", "off")

    failures.before = hold
    change = REDRIVE.plan(REDRIVE.params.model_validate(CITIES), EPOCH)
    with pytest.raises(Held):
        await REDRIVE.apply(change, context)
    assert failures.running() == ["a"]
    assert context.memory["done"] == 1


async def test_a_tag_selects_machines(world):
    """Found, then listed."""
    failures = Failures()
    failures.add("porto")
    machine = Resource(ResourceKind.STATE_MACHINE, "cities", MACHINE, {"type": "STANDARD"})
    context = world(failures, resources=[machine])
    await run_action(REDRIVE, {"state_machines": "cit*"}, context.aws)
    assert failures.running() == ["porto"]
