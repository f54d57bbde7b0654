"""RDS events of a time and a kind; Glue runs that start, stop and end."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.process

DATABASE = {
    "DBInstanceClass": "db.t4g.medium",
    "Engine": "postgres",
    "AllocatedStorage": 20,
    "MasterUsername": "m",
    "MasterUserPassword": "only-here-1",
}


async def test_events_are_those_of_the_time_and_the_categories_asked_for(aws):
    """A creation is no failover; a forced failover is one for as long as the duration reaches."""
    rds = await aws("rds")
    await rds.create_db_instance(DBInstanceIdentifier="two", MultiAZ=True, **DATABASE)
    asked = {"SourceType": "db-instance", "SourceIdentifier": "two"}
    assert (await rds.describe_events(**asked))["Events"]
    assert (await rds.describe_events(EventCategories=["failover"], **asked))["Events"] == []
    await rds.reboot_db_instance(DBInstanceIdentifier="two", ForceFailover=True)
    [event] = (await rds.describe_events(EventCategories=["failover"], Duration=15, **asked))["Events"]
    assert event["EventCategories"] == ["failover"]
    early = {"StartTime": "2020-01-01T00:00:00Z", "EndTime": "2020-01-02T00:00:00Z"}
    assert (await rds.describe_events(**early, **asked))["Events"] == []


async def test_without_a_standby_there_is_no_failover(aws):
    """AWS refuses to force one."""
    rds = await aws("rds")
    await rds.create_db_instance(DBInstanceIdentifier="one", MultiAZ=False, **DATABASE)
    with pytest.raises(ClientError, match="Multi-AZ"):
        await rds.reboot_db_instance(DBInstanceIdentifier="one", ForceFailover=True)


async def test_glue_runs_are_listed_newest_first_and_stop_or_end_once(aws, side):
    """Started, one stopped, the other ended by the door; neither can be stopped again."""
    glue = await aws("glue")
    first, second = [(await glue.start_job_run(JobName="curate"))["JobRunId"] for _ in range(2)]
    page = await glue.get_job_runs(JobName="curate", MaxResults=1)
    assert [run["Id"] for run in page["JobRuns"]] == [second]
    rest = await glue.get_job_runs(JobName="curate", MaxResults=1, NextToken=page["NextToken"])
    assert [run["Id"] for run in rest["JobRuns"]] == [first]
    assert "NextToken" not in rest
    told = await glue.batch_stop_job_run(JobName="curate", JobRunIds=[first, "other"])
    assert [one["JobRunId"] for one in told["SuccessfulSubmissions"]] == [first]
    assert [one["ErrorDetail"]["ErrorCode"] for one in told["Errors"]] == ["EntityNotFoundException"]
    assert (await side.post("glue/finish", job="curate", state="SUCCEEDED"))["count"] == 1
    states = [(await glue.get_job_run(JobName="curate", RunId=one))["JobRun"]["JobRunState"] for one in (first, second)]
    assert states == ["STOPPED", "SUCCEEDED"]
    told = await glue.batch_stop_job_run(JobName="curate", JobRunIds=[second])
    assert told["SuccessfulSubmissions"] == []
