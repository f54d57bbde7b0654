"""stop_glue_runs, start_glue_run, set_glue_workers, scale_kafka, stop_deployment, rollback_stack, export_evidence."""
# ruff: noqa: N803 - the fakes take AWS's own parameter names

from datetime import timedelta

import pytest

from monitor.actions.export_evidence import ACTION as EXPORT
from monitor.actions.rollback_stack import ACTION as STACK
from monitor.actions.scale_kafka import ACTION as KAFKA
from monitor.actions.set_glue_workers import ACTION as WORKERS
from monitor.actions.start_glue_run import ACTION as START
from monitor.actions.stop_deployment import ACTION as DEPLOYMENT
from monitor.actions.stop_glue_runs import ACTION as STOP
from monitor.plugin import ActionError, Reason
from monitor.testing import EPOCH, FakeActionContext, assert_action_conforms, run_action

CLUSTER = "arn:aws:kafka:us-east-1:123456789012:cluster/events/abc-1"


class Glue:
    """Runs of one job: (id, state, hours old); a stop takes two listings."""

    def __init__(self, *runs):
        self.runs = [
            {"Id": name, "JobRunState": state, "StartedOn": EPOCH - timedelta(hours=hours)}
            for name, state, hours in runs
        ]
        self.stopping, self.started = {}, 0

    @property
    def replies(self):
        return {
            "glue.GetJobRuns": self.list,
            "glue.BatchStopJobRun": self.stop,
            "glue.StartJobRun": self.start,
            "glue.GetJobRun": lambda JobName, RunId: {"JobRun": self.find(RunId)},
        }

    def find(self, run):
        (found,) = [one for one in self.runs if one["Id"] == run]
        return found

    def list(self, JobName):
        for run, left in list(self.stopping.items()):
            self.stopping[run] = left - 1
            if left <= 0:
                self.find(run)["JobRunState"] = "STOPPED"
        return {"JobRuns": [dict(run) for run in self.runs]}

    def stop(self, JobName, JobRunIds):
        errors = []
        for run in JobRunIds:
            if self.find(run)["JobRunState"] == "RUNNING":
                self.find(run)["JobRunState"] = "STOPPING"
                self.stopping[run] = 2
            else:
                errors.append({"JobRunId": run, "ErrorDetail": {"ErrorCode": "IllegalArgumentException"}})
        return {"Errors": errors}

    def start(self, JobName, Arguments, **more):
        self.started += 1
        self.runs.append(
            {"Id": f"jr_{self.started}", "JobRunState": "SUCCEEDED", "StartedOn": EPOCH, "Arguments": Arguments}
        )
        return {"JobRunId": f"jr_{self.started}"}


async def test_only_old_runs_are_stopped_and_waited_for(fake):
    """The young one and the ended one stay; the step ends when the old ones have."""
    glue = Glue(("a", "RUNNING", 5), ("b", "RUNNING", 3), ("c", "RUNNING", 1), ("d", "FAILED", 9))
    aws = fake(glue.replies, action=STOP)
    run = await run_action(STOP, {"job": "curate", "older_than": "2h"}, aws)
    assert {one["Id"]: one["JobRunState"] for one in glue.runs} == {
        "a": "STOPPED", "b": "STOPPED", "c": "RUNNING", "d": "FAILED",
    }  # fmt: skip
    assert run.receipt.data == {"stopped": ["a", "b"], "remaining": 0}
    assert run.prior == {"running": 3}


async def test_a_run_that_ended_meanwhile_is_no_error(fake):
    """AWS refuses to stop it, which is what was wanted; a limit leaves the youngest."""
    glue = Glue(("a", "RUNNING", 5), ("b", "RUNNING", 3))
    context = FakeActionContext(fake(glue.replies, action=STOP))
    await context.remember(began=EPOCH.isoformat(), due=["a"], beyond=1)
    glue.find("a")["JobRunState"] = "SUCCEEDED"
    run = await run_action(STOP, {"job": "curate", "limit": 1}, context.aws, context)
    assert run.receipt.data == {"stopped": ["a"], "remaining": 1}
    assert glue.find("b")["JobRunState"] == "RUNNING"


async def test_one_trip_starts_a_run_once(fake):
    """Again by a new attempt, and after an unclear outcome: still one run; other arguments are another run."""
    glue = Glue()
    aws = fake(glue.replies, action=START)
    params = {"job": "curate", "arguments": {"--day": "2026-03-01"}, "wait": "1h"}
    first = await run_action(START, params, aws)
    again = await run_action(START, params, aws)
    assert glue.started == 1
    assert first.receipt.data == again.receipt.data == {"run": "jr_1", "state": "SUCCEEDED"}
    await run_action(START, {**params, "arguments": {"--day": "2026-03-02"}}, aws)
    assert glue.started == 2


async def test_a_run_that_fails_fails_the_step(fake):
    """Waited for, it must succeed."""
    glue = Glue()
    aws = fake({**glue.replies, "glue.GetJobRun": {"JobRun": {"JobRunState": "TIMEOUT"}}}, action=START)
    with pytest.raises(ActionError, match="ended TIMEOUT") as caught:
        await run_action(START, {"job": "curate", "wait": "1h"}, aws)
    assert caught.value.reason is Reason.INVALID


def job(**more):
    """A job that UpdateJob overwrites whole."""
    now = {
        "Name": "curate", "CreatedOn": EPOCH, "AllocatedCapacity": 10, "MaxCapacity": 10.0,
        "Role": "arn:aws:iam::1:role/r",
        "Command": {"Name": "glueetl"}, "WorkerType": "G.1X", "NumberOfWorkers": 10, "Timeout": 60, **more,
    }  # fmt: skip

    def update(JobName, JobUpdate):
        now.clear()
        now.update({"Name": JobName, **JobUpdate})
        return {}

    return now, {"glue.GetJob": lambda JobName: {"Job": now}, "glue.UpdateJob": update}


async def test_workers_change_and_nothing_else(fake):
    """Role, command and timeout are written back; MaxCapacity, which Glue refuses beside workers, is not."""
    now, replies = job()
    await run_action(WORKERS, {"job": "curate", "workers": 20}, fake(replies))
    assert now == {
        "Name": "curate", "Role": "arn:aws:iam::1:role/r", "Command": {"Name": "glueetl"}, "WorkerType": "G.1X",
        "NumberOfWorkers": 20, "Timeout": 60,
    }  # fmt: skip
    await assert_action_conforms(WORKERS, {"job": "curate", "workers": 20}, lambda: fake(job()[1], action=WORKERS))
    with pytest.raises(ActionError, match="MaxCapacity"):
        await run_action(WORKERS, {"job": "curate", "workers": 20}, fake(job(NumberOfWorkers=None)[1]))


class Kafka:
    """A cluster that takes three looks to become ACTIVE again."""

    def __init__(self, brokers=3, storage=100):
        self.brokers, self.storage, self.busy, self.version = brokers, storage, 0, 1

    @property
    def replies(self):
        return {
            "kafka.DescribeCluster": self.describe,
            "kafka.UpdateBrokerCount": lambda **p: self.put(p, brokers=p["TargetNumberOfBrokerNodes"]),
            "kafka.UpdateBrokerStorage": lambda **p: self.put(
                p, storage=p["TargetBrokerEBSVolumeInfo"][0]["VolumeSizeGB"]
            ),
        }

    def put(self, asked, **new):
        assert asked["CurrentVersion"] == f"V{self.version}"
        self.version, self.busy = self.version + 1, 3
        for name, value in new.items():
            setattr(self, name, value)
        return {}

    def describe(self, ClusterArn):
        self.busy = max(0, self.busy - 1)
        storage = {"EbsStorageInfo": {"VolumeSize": self.storage}}
        return {"ClusterInfo": {
            "State": "UPDATING" if self.busy else "ACTIVE", "CurrentVersion": f"V{self.version}",
            "NumberOfBrokerNodes": self.brokers,
            "BrokerNodeGroupInfo": {"ClientSubnets": ["a", "b", "c"], "StorageInfo": storage},
        }}  # fmt: skip


async def test_a_cluster_grows_once_and_never_shrinks(fake):
    """With its current version, at rest before and after; a repeated attempt asks nothing; less is refused."""
    kafka = Kafka()
    aws = fake(kafka.replies, action=KAFKA)
    for _ in range(2):
        run = await run_action(KAFKA, {"cluster": CLUSTER, "brokers": 6}, aws)
    assert (kafka.brokers, len(aws.mutations), run.prior["brokers"]) == (6, 1, 6)
    await run_action(KAFKA, {"cluster": CLUSTER, "storage_gb": 200}, aws)
    assert kafka.storage == 200
    for params, why in (
        ({"brokers": 3}, "larger multiple"),
        ({"brokers": 7}, "multiple"),
        ({"storage_gb": 50}, "shrinks"),
    ):
        with pytest.raises(ActionError, match=why):
            await run_action(KAFKA, {"cluster": CLUSTER, **params}, aws)
    assert len(aws.mutations) == 2


async def test_deployments_are_stopped_and_their_roll_back_followed(fake):
    """CodeDeploy deploys the revision before by itself; its failure is not called done."""
    for ending in ("Succeeded", "Failed"):
        states = {"d-1": "InProgress", "d-2": ending}

        def stop(deploymentId, autoRollbackEnabled, states=states):
            assert autoRollbackEnabled
            states[deploymentId] = "Stopped"
            return {}

        def get(deploymentId, states=states):
            back = {"rollbackInfo": {"rollbackDeploymentId": "d-2"}} if deploymentId == "d-1" else {}
            return {"deploymentInfo": {"status": states[deploymentId], **back}}

        replies = {
            "codedeploy.ListDeployments": {"deployments": ["d-1"]}, "codedeploy.GetDeployment": get,
            "codedeploy.StopDeployment": stop,
        }  # fmt: skip
        run = await run_action(DEPLOYMENT, {"application": "api", "group": "prod"}, fake(replies, action=DEPLOYMENT))
        assert run.receipt.data == {"stopped": ["d-1"], "rollbacks": ["d-2"]}
        assert run.receipt.verified is (ending == "Succeeded")


CALLS = {
    "UPDATE_IN_PROGRESS": "CancelUpdateStack",
    "UPDATE_FAILED": "RollbackStack",
    "UPDATE_ROLLBACK_FAILED": "ContinueUpdateRollback",
}


@pytest.mark.parametrize("before", CALLS)
async def test_a_stack_goes_back_by_the_call_its_state_allows(fake, before):
    """One call, with a token; then the stack is followed until it rests."""
    states = [before, before, before, "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"]

    def describe(StackName):
        return {"Stacks": [{"StackStatus": states.pop(0) if len(states) > 1 else states[0]}]}

    aws = fake({"cloudformation.DescribeStacks": describe, f"cloudformation.{CALLS[before]}": {}}, action=STACK)
    run = await run_action(STACK, {"stack": "api"}, aws)
    assert run.receipt.detail == f"{before} -> UPDATE_ROLLBACK_COMPLETE"
    assert [call.name for call in aws.mutations] == [f"cloudformation.{CALLS[before]}"]


@pytest.mark.parametrize("state", ["UPDATE_COMPLETE", "CREATE_COMPLETE", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"])
async def test_a_stack_with_nothing_to_go_back_from_is_refused(fake, state):
    """By the name of its state; nothing is called."""
    aws = fake({"cloudformation.DescribeStacks": {"Stacks": [{"StackStatus": state}]}})
    with pytest.raises(ActionError, match=state):
        await run_action(STACK, {"stack": "api"}, aws)
    assert aws.mutations == []


class Exports:
    """One active task per account; each takes three listings."""

    def __init__(self, clock, *tasks):
        self.tasks, self.looks = list(tasks), 0

    @property
    def replies(self):
        return {"logs.DescribeExportTasks": self.list, "logs.CreateExportTask": self.create}

    def list(self):
        for task in self.tasks:
            task["left"] -= 1
            if task["left"] <= 0 and task["status"]["code"] == "RUNNING":
                task["status"] = {"code": "COMPLETED"}
        return {"exportTasks": [dict(task) for task in self.tasks]}

    def create(self, **asked):
        assert not any(task["status"]["code"] == "RUNNING" for task in self.tasks), "LimitExceededException"
        identity = f"t-{len(self.tasks)}"
        self.tasks.append({**asked, "taskId": identity, "status": {"code": "RUNNING"}, "left": 3})
        return {"taskId": identity}


async def test_evidence_is_exported_one_group_after_the_other_and_once(fake):
    """Somebody else's task is waited out; a second attempt finds the tasks of the first."""
    other = {"taskName": "theirs", "taskId": "x", "status": {"code": "RUNNING"}, "left": 4}
    exports = Exports(None, other)
    aws = fake(exports.replies, action=EXPORT)
    params = {"log_groups": ["/aws/lambda/a", "/aws/lambda/b"], "bucket": "evidence"}
    first = await run_action(EXPORT, params, aws)
    again = await run_action(EXPORT, params, aws)
    assert first.receipt.data == again.receipt.data
    assert first.receipt.data["exported"] == {"/aws/lambda/a": "t-1", "/aws/lambda/b": "t-2"}
    assert len(exports.tasks) == 3
    asked = exports.tasks[1]
    assert asked["to"] - asked["from"] >= 7_200_000
    assert asked["destinationPrefix"] == "evidence/trip-1/aws/lambda/a"
