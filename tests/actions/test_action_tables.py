"""scale_table, set_billing_mode, autoscale_table, backup_table."""
# ruff: noqa: N803 - the fakes take AWS's own parameter names

from datetime import timedelta

import pytest

from monitor.actions.autoscale_table import ACTION as AUTOSCALE
from monitor.actions.backup_table import ACTION as BACKUP
from monitor.actions.scale_table import ACTION as SCALE
from monitor.actions.set_billing_mode import ACTION as BILLING
from monitor.plugin import ActionError, Reason
from monitor.testing import FakeActionContext, assert_action_conforms, run_action
from monitor.testing.clock import EPOCH


class Table:
    """A table with one index, UPDATING for `slow` reads after each change."""

    def __init__(self, read=10, write=5, *, on_demand=False, slow=0):
        self.units = {None: (read, write), "geo": (read, write)}
        self.on_demand, self.ceiling, self.slow, self.left = on_demand, {None: {}, "geo": {}}, slow, 0
        self.refuse = None

    @property
    def replies(self):
        return {"dynamodb.DescribeTable": self.describe, "dynamodb.UpdateTable": self.update}

    def describe(self, *, TableName):
        busy, self.left = self.left > 0, max(0, self.left - 1)
        table = {"TableName": "t", "TableStatus": "UPDATING" if busy else "ACTIVE", **self._part(None)}
        if self.on_demand:
            table["BillingModeSummary"] = {"BillingMode": "PAY_PER_REQUEST"}
        return {"Table": {**table, "GlobalSecondaryIndexes": [{"IndexName": "geo", **self._part("geo")}]}}

    def _part(self, index):
        read, write = (0, 0) if self.on_demand else self.units[index]
        return {
            "ProvisionedThroughput": {"ReadCapacityUnits": read, "WriteCapacityUnits": write},
            "OnDemandThroughput": dict(self.ceiling[index]),
        }

    def update(self, *, TableName, BillingMode=None, GlobalSecondaryIndexUpdates=(), **part):
        if self.refuse is not None:
            raise self.refuse
        assert self.left == 0, "an update while UPDATING is refused by AWS"
        if BillingMode is not None:
            self.on_demand = BillingMode == "PAY_PER_REQUEST"
        self._set(None, part)
        for change in GlobalSecondaryIndexUpdates:
            self._set(change["Update"]["IndexName"], change["Update"])
        self.left = self.slow
        return {}

    def _set(self, index, part):
        if units := part.get("ProvisionedThroughput"):
            assert not self.on_demand, "units of an on-demand table are refused by AWS"
            self.units[index] = (units["ReadCapacityUnits"], units["WriteCapacityUnits"])
        self.ceiling[index] |= part.get("OnDemandThroughput", {})


@pytest.mark.parametrize("index", [None, "geo"])
@pytest.mark.parametrize("numbers", [{"read": 200, "write": 100}, {"read": 50}, {"write": 1}])
async def test_capacity_is_set_and_restored(fake, index, numbers):
    """Of the table or of one index, the other untouched; a number left out stays."""
    table = Table(slow=3)
    params = {"table": "t", "index": index, **numbers}
    await assert_action_conforms(SCALE, params, lambda: fake(table.replies, action=SCALE))
    assert table.units == {None: (10, 5), "geo": (10, 5)}
    await run_action(SCALE, params, fake(table.replies, action=SCALE))
    other = "geo" if index is None else None
    assert table.units == {index: (numbers.get("read", 10), numbers.get("write", 5)), other: (10, 5)}


async def test_an_on_demand_table_has_no_units_to_raise(fake):
    """The runbook's command fails there: this says why, and what to write instead."""
    table = Table(on_demand=True)
    with pytest.raises(ActionError, match="is on demand and has no provisioned units") as caught:
        await run_action(SCALE, {"table": "t", "read": 200, "write": 100}, fake(table.replies, action=SCALE))
    assert caught.value.reason is Reason.INVALID


async def test_an_on_demand_tables_ceiling_is_set_and_removed(fake):
    """-1 is how AWS writes that there is none."""
    table = Table(on_demand=True)
    params = {"table": "t", "read": 200, "write": 100, "on_demand": {"read": 4000}}
    await assert_action_conforms(SCALE, params, lambda: fake(table.replies, action=SCALE))
    run = await run_action(SCALE, params, fake(table.replies, action=SCALE))
    assert run.receipt.applied == {"max_read": 4000, "max_write": None}
    await run.undo(SCALE)
    assert table.ceiling[None]["MaxReadRequestUnits"] == -1


async def test_an_index_that_is_not_there_is_named(fake):
    """With those that are."""
    with pytest.raises(ActionError, match=r"no index city \(it has: geo\)"):
        await run_action(SCALE, {"table": "t", "index": "city", "read": 1}, fake(Table().replies))


async def test_aws_limits_per_day_become_a_sentence(fake):
    """Retried slowly, not at once."""
    table = Table()
    table.refuse = ActionError(
        Reason.INVALID, "dynamodb:UpdateTable: LimitExceededException: Subscriber limit exceeded"
    )
    with pytest.raises(ActionError, match="lowered 4 times a day"):
        await run_action(SCALE, {"table": "t", "read": 1}, fake(table.replies))
    table.refuse = ActionError(Reason.INVALID, "dynamodb:UpdateTable: ResourceInUseException: in use")
    with pytest.raises(ActionError, match="being updated") as caught:
        await run_action(SCALE, {"table": "t", "read": 1}, fake(table.replies))
    assert caught.value.reason is Reason.UNAVAILABLE


def test_the_largest_capacity_serves_all_holders():
    """No ceiling is the largest."""
    assert SCALE.restrictive([{"read": 5, "write": 9}, {"read": 7, "write": 1}]) == {"read": 7, "write": 9}
    ceilings = [{"max_read": 5, "max_write": None}, {"max_read": 7, "max_write": 1}]
    assert SCALE.restrictive(ceilings) == {"max_read": 7, "max_write": None}


@pytest.mark.parametrize("on_demand", [False, True])
@pytest.mark.parametrize("params", [{"mode": "PAY_PER_REQUEST"}, {"mode": "PROVISIONED", "read": 20, "write": 20}])
async def test_the_billing_mode_comes_back_with_its_units(fake, on_demand, params):
    """Of the table and of each index."""
    table = Table(30, 7, on_demand=on_demand, slow=2)
    table.units["geo"] = (3, 3)
    await assert_action_conforms(BILLING, {"table": "t", **params}, lambda: fake(table.replies, action=BILLING))
    assert table.on_demand is on_demand
    if not on_demand:
        assert table.units == {None: (30, 7), "geo": (3, 3)}


def test_provisioned_needs_units():
    """AWS wants them; on demand takes none."""
    for given in ({"mode": "PROVISIONED"}, {"mode": "PROVISIONED", "read": 1}, {"mode": "PAY_PER_REQUEST", "read": 1}):
        with pytest.raises(ValueError, match="read"):
            BILLING.params(table="t", **given)


class Scaling:
    """Targets and policies by dimension."""

    def __init__(self, targets=None, policies=None):
        self.targets, self.policies = dict(targets or {}), dict(policies or {})
        self.fail_at = None

    @property
    def replies(self):
        name = "application-autoscaling."
        return {
            **Table().replies,
            name + "DescribeScalableTargets": lambda *, ScalableDimension, **p: {
                "ScalableTargets": [t] if (t := self.targets.get(ScalableDimension)) else []
            },
            name + "DescribeScalingPolicies": lambda *, ScalableDimension, **p: {
                "ScalingPolicies": [q] if (q := self.policies.get(ScalableDimension)) else []
            },
            name + "RegisterScalableTarget": self.register,
            name + "DeregisterScalableTarget": self.deregister,
            name + "PutScalingPolicy": self.put,
            name + "DeleteScalingPolicy": lambda *, ScalableDimension, **p: self.policies.pop(ScalableDimension) and {},
        }

    def register(self, *, ScalableDimension, MinCapacity, MaxCapacity, **where):
        self.targets[ScalableDimension] = {"MinCapacity": MinCapacity, "MaxCapacity": MaxCapacity}
        return {}

    def deregister(self, *, ScalableDimension, **where):
        del self.targets[ScalableDimension]
        self.policies.pop(ScalableDimension, None)
        return {}

    def put(self, *, ScalableDimension, **policy):
        if self.fail_at == ScalableDimension:
            self.fail_at = None
            raise ActionError(Reason.UNAVAILABLE, "HTTP 500")
        kept = ("PolicyName", "TargetTrackingScalingPolicyConfiguration")
        self.policies[ScalableDimension] = {name: policy[name] for name in kept}
        return {}


READ, WRITE = "dynamodb:table:ReadCapacityUnits", "dynamodb:table:WriteCapacityUnits"
POLICY = {
    "PolicyName": "theirs",
    "TargetTrackingScalingPolicyConfiguration": {
        "TargetValue": 50.0, "ScaleInCooldown": 60,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "DynamoDBReadCapacityUtilization"},
    },
}  # fmt: skip
LIMITS = {"table": "t", "min": 5, "max": 1000}


@pytest.mark.parametrize(
    ("targets", "policies"),
    [
        ({}, {}),
        ({READ: {"MinCapacity": 1, "MaxCapacity": 10}}, {}),
        ({READ: {"MinCapacity": 1, "MaxCapacity": 10}}, {READ: POLICY}),
    ],
    ids=["nothing", "a target without a policy", "both"],
)
async def test_scaling_is_target_and_policy_and_undo_leaves_what_was_there(fake, targets, policies):
    """The runbook registered a target alone: nothing scales. An existing policy keeps its name and cooldown."""
    scaling = Scaling(targets, policies)
    await assert_action_conforms(AUTOSCALE, LIMITS, lambda: fake(scaling.replies, action=AUTOSCALE))
    assert (scaling.targets, scaling.policies) == (targets, policies)
    await run_action(AUTOSCALE, LIMITS, fake(scaling.replies, action=AUTOSCALE))
    assert scaling.targets == {key: {"MinCapacity": 5, "MaxCapacity": 1000} for key in (READ, WRITE)}
    read = scaling.policies[READ]
    assert read["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 70
    if policies:
        assert read["PolicyName"] == "theirs"
        assert read["TargetTrackingScalingPolicyConfiguration"]["ScaleInCooldown"] == 60


async def test_scaling_cut_off_between_reads_and_writes_is_resumed(fake):
    """Half done reads as where it started."""
    scaling = Scaling()
    context = FakeActionContext(fake(scaling.replies))
    scaling.fail_at = WRITE
    with pytest.raises(ActionError):
        await run_action(AUTOSCALE, {**LIMITS, "target": 60}, context.aws, context)
    change = AUTOSCALE.plan(AUTOSCALE.params(**LIMITS, target=60), None)
    live = await AUTOSCALE.capture(change, context)
    assert live != change.wanted
    run = await run_action(AUTOSCALE, {**LIMITS, "target": 60}, context.aws, context)
    assert run.receipt.applied == change.wanted


async def test_an_on_demand_table_scales_without(fake):
    """Said in words."""
    replies = {**Scaling().replies, **Table(on_demand=True).replies}
    with pytest.raises(ActionError, match="on demand"):
        await run_action(AUTOSCALE, LIMITS, fake(replies))


class Backups:
    """Two of one name are allowed."""

    def __init__(self, rows=(), slow=0):
        self.rows, self.slow, self.error = list(rows), slow, None

    @property
    def replies(self):
        return {
            **Table().replies,
            "dynamodb.ListBackups": lambda **p: {"BackupSummaries": [dict(row) for row in self.rows]},
            "dynamodb.CreateBackup": self.create,
            "dynamodb.DescribeBackup": self.describe,
        }

    def create(self, *, TableName, BackupName):
        arn = f"arn:aws:dynamodb:us-east-1:123456789012:table/t/backup/{len(self.rows):037d}"
        self.rows.append(row(BackupName, 60, arn))
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        return {"BackupDetails": {"BackupArn": arn}}

    def describe(self, *, BackupArn):
        self.slow -= 1
        found = next(dict(one) for one in self.rows if one["BackupArn"] == BackupArn)
        return {
            "BackupDescription": {
                "BackupDetails": {**found, "BackupStatus": "CREATING" if self.slow > 0 else "AVAILABLE"}
            }
        }


def row(name, age, arn="arn:aws:dynamodb:us-east-1:123456789012:table/t/backup/old0000000000000000000000000000000"):
    """A backup made `age` seconds after the trip began."""
    made = EPOCH + timedelta(seconds=age)
    return {"BackupName": name, "BackupArn": arn, "BackupStatus": "AVAILABLE", "BackupCreationDateTime": made}


@pytest.mark.parametrize(("rows", "made"), [([], True), ([row("b-1", 30)], False), ([row("b-1", -86400)], True)])
async def test_one_backup_per_trip(fake, rows, made):
    """A second attempt finds the first one's; a backup of the same name from yesterday is none of this trip's."""
    backups = Backups(rows, slow=3)
    run = await run_action(BACKUP, {"table": "t", "name": "b-1"}, fake(backups.replies, action=BACKUP))
    assert (run.receipt.changed, len(backups.rows)) == (made, len(rows) + made)


async def test_a_backup_in_doubt_is_looked_for_and_not_made_twice(fake):
    """The answer was lost: the list knows."""
    backups = Backups()
    backups.error = ActionError(Reason.TIMEOUT, "no answer in time", ambiguous=True)
    run = await run_action(BACKUP, {"table": "t"}, fake(backups.replies, action=BACKUP))
    assert (len(backups.rows), run.receipt.data["name"]) == (1, "tripswitch-trip-1")
