"""restore_table."""
# ruff: noqa: N803 - the fakes take AWS's own parameter names

from datetime import timedelta

import pytest

from monitor.actions.restore_table import ACTION
from monitor.plugin import ActionError, ProbeError, Reason
from monitor.testing import EPOCH, FakeActionContext, run_action

ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/hot/backup/"
KEYS = [{"AttributeName": "pk", "KeyType": "HASH"}]
INDEX = {"IndexName": "Geo", "KeySchema": KEYS, "IndexStatus": "ACTIVE"}
HOT = {"table": "hot"}


class Tables:
    """Backups of one table, made some hours before the trip; a restore takes three looks."""

    def __init__(self, *hours):
        self.backups = {f"{ARN}{ago}": EPOCH - timedelta(hours=ago) for ago in hours}
        self.restored, self.looks = {}, 0
        self.index, self.status = [INDEX], "AVAILABLE"

    @property
    def replies(self):
        return {
            "dynamodb.ListBackups": lambda **p: {"BackupSummaries": [self.row(arn) for arn in self.backups]},
            "dynamodb.DescribeBackup": self.describe,
            "dynamodb.DescribeTable": self.tell,
            "dynamodb.RestoreTableFromBackup": self.restore,
        }

    def row(self, arn):
        return {"BackupArn": arn, "BackupStatus": self.status, "BackupCreationDateTime": self.backups[arn]}

    def describe(self, *, BackupArn):
        details = {"KeySchema": KEYS, "ItemCount": 7}
        features = {"GlobalSecondaryIndexes": [{"IndexName": "Geo"}]}
        told = {"BackupDetails": self.row(BackupArn), "SourceTableDetails": details}
        return {"BackupDescription": {**told, "SourceTableFeatureDetails": features}}

    def restore(self, *, TargetTableName, BackupArn):
        self.restored[TargetTableName] = BackupArn
        return {}

    def tell(self, *, TableName):
        if TableName not in self.restored:
            raise ProbeError(Reason.NOT_FOUND, "ResourceNotFoundException")
        self.looks += 1
        status = "CREATING" if self.looks < 3 else "ACTIVE"
        summary = {"SourceBackupArn": self.restored[TableName]}
        table = {"TableName": TableName, "TableStatus": status, "KeySchema": KEYS, "RestoreSummary": summary}
        return {"Table": {**table, "GlobalSecondaryIndexes": self.index}}


async def test_the_newest_backup_from_before_the_trip_is_restored_beside(fake):
    """Not the one that was made in the trip; ACTIVE, with its keys and index."""
    tables = Tables(30, 2, -1)
    run = await run_action(ACTION, HOT, fake(tables.replies, action=ACTION))
    assert tables.restored == {"hot-restored": f"{ARN}2"}
    assert run.receipt.data == {"table": "hot-restored", "backup": f"{ARN}2", "items": 7}
    assert "point-in-time recovery" in run.receipt.detail
    assert run.prior == {"backup": f"{ARN}2"}


async def test_the_damage_may_be_older_than_the_trip(fake):
    """`before` skips what was backed up since."""
    tables = Tables(30, 2)
    await run_action(ACTION, {**HOT, "before": "12h", "to": "hot-2"}, fake(tables.replies))
    assert tables.restored == {"hot-2": f"{ARN}30"}


async def test_a_named_backup_is_taken_as_it_is(fake):
    """Whatever its age."""
    tables = Tables(30, 2)
    await run_action(ACTION, {**HOT, "backup": f"{ARN}30"}, fake(tables.replies))
    assert tables.restored == {"hot-restored": f"{ARN}30"}


@pytest.mark.parametrize("tables", [Tables(), Tables(-1)], ids=["none", "only the trip's own"])
async def test_no_backup_is_said(fake, tables):
    """And nothing restored."""
    with pytest.raises(ActionError, match="has no backup from before") as caught:
        await run_action(ACTION, HOT, fake(tables.replies))
    assert caught.value.reason is Reason.NOT_FOUND
    assert tables.restored == {}


async def test_a_step_that_was_killed_goes_on_waiting(fake):
    """The table is being restored from our backup already: no second restore, though a newer backup has come."""
    tables = Tables(2)
    aws = fake(tables.replies)
    context = FakeActionContext(aws)
    change = ACTION.plan(ACTION.params.model_validate(HOT), EPOCH)
    await context.remember(backup=f"{ARN}2")
    tables.restored["hot-restored"] = f"{ARN}2"
    tables.backups[f"{ARN}1"] = EPOCH - timedelta(hours=1)
    receipt = await ACTION.apply(change, context)
    assert receipt.data["backup"] == f"{ARN}2"
    assert aws.mutations == []


async def test_a_table_of_that_name_is_not_touched(fake):
    """Of an earlier incident, or somebody's."""
    tables = Tables(2)
    tables.restored["hot-restored"] = f"{ARN}99"
    with pytest.raises(ActionError, match="name another one with `to`"):
        await run_action(ACTION, HOT, fake(tables.replies))


async def test_a_table_that_an_earlier_incident_restored_is_not_claimed(fake):
    """From the same backup, but it may be in use since: refused. In a second round of this trip it is ours."""
    tables = Tables(2)
    tables.restored["hot-restored"] = f"{ARN}2"
    tell = tables.tell

    def made(ago):
        def told(*, TableName):
            return {"Table": {**tell(TableName=TableName)["Table"], "CreationDateTime": EPOCH - timedelta(hours=ago)}}

        return fake({**tables.replies, "dynamodb.DescribeTable": told})

    with pytest.raises(ActionError, match="name another one with `to`"):
        await run_action(ACTION, HOT, made(1))
    again = await run_action(ACTION, HOT, made(-1))
    assert not again.receipt.changed


async def test_a_restore_that_lacks_an_index_is_no_success(fake):
    """The step fails for a person to look."""
    tables = Tables(2)
    tables.index = []
    with pytest.raises(ActionError, match="lacks the index Geo"):
        await run_action(ACTION, HOT, fake(tables.replies))
