"""One look at an account: every source side by side, then tags, then what functions' environments name."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from monitor.plugin import Reads
from monitor.starter import sources_rest, sources_triggers, sources_work
from monitor.starter.inventory import Inventory, Kind, Left, Thing
from monitor.starter.reading import Reading

Source = Callable[[Reading], Awaitable[None]]

#: Clusters come before functions, whose mappings say which group reads which topic.
_FIRST: Sequence[Source] = (sources_rest.clusters,)
_SOURCES: Sequence[Source] = (
    sources_work.queues,
    sources_work.functions,
    sources_work.machines,
    sources_work.jobs,
    sources_triggers.rules,
    sources_triggers.schedules,
    sources_triggers.pipes,
    sources_triggers.topics,
    sources_triggers.buckets,
    sources_rest.tables,
    sources_rest.alarms,
)
#: IAM actions of a whole survey, for the manual and for tests.
PERMISSIONS = (
    "cloudwatch:DescribeAlarms", "cloudwatch:GetMetricData", "dynamodb:DescribeTable", "dynamodb:ListTables",
    "events:ListEventBuses", "events:ListRules", "events:ListTargetsByRule", "glue:GetJobRuns", "glue:GetJobs",
    "kafka:ListClustersV2", "lambda:ListEventSourceMappings", "lambda:ListFunctions", "pipes:ListPipes",
    "s3:GetBucketNotification", "s3:ListAllMyBuckets", "scheduler:ListSchedules", "sns:ListSubscriptions",
    "sqs:GetQueueAttributes", "sqs:ListQueues", "states:DescribeStateMachine", "states:ListStateMachines",
    "tag:GetResources",
)  # fmt: skip


async def survey(aws: Reads, limit: int, told: Callable[[str], None] = lambda what: None) -> Inventory:
    """What the account holds in this region; reads only. `told` hears of each source that ended.

    At most `limit` resources of a kind are read. Raises ProbeError only if not even the identity can be had: whatever
    else is refused becomes a Gap.
    """
    account = await aws.account()
    found = Inventory(account, aws.region, partition_of(aws.region))
    reading = Reading(aws, found, limit)
    for source in _FIRST:
        await source(reading)
    async with asyncio.TaskGroup() as group:
        for source in _SOURCES:
            group.create_task(_told(source, reading, told), name=f"starter:{source.__name__}")
    await sources_rest.tags(reading)
    _environments(found)
    _foreign(found)
    return found


async def _told(source: Source, reading: Reading, told: Callable[[str], None]) -> None:
    await source(reading)
    told(source.__name__)


def partition_of(region: str) -> str:
    """`aws`, `aws-cn` or `aws-us-gov`."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def _environments(found: Inventory) -> None:
    """A function whose environment names a queue, table, bucket, topic or machine (name, ARN or URL) uses it."""
    known: dict[str, Thing] = {}
    for thing in found.of(Kind.QUEUE, Kind.TABLE, Kind.BUCKET, Kind.TOPIC, Kind.MACHINE, Kind.JOB):
        known.setdefault(thing.name, thing)
        known[thing.arn] = thing
    for function in found.of(Kind.FUNCTION):
        for variable, value in function.facts["environment"].items():
            named = known.get(_bare(str(value)))
            if named is not None:
                found.link(function.arn, named.arn, f"names in {variable}")
        # Only compared: an environment may hold secrets, and none of it is needed any more.
        function.facts["environment"].clear()


def _bare(value: str) -> str:
    """A queue's name from its URL, a bucket's from `s3://bucket/prefix`; anything else as it is."""
    if value.startswith("s3://"):
        return value.removeprefix("s3://").split("/", maxsplit=1)[0]
    if value.startswith(("http://", "https://")) and value.count("/") >= 4:
        return value.rstrip("/").rsplit("/", 1)[-1]
    return value


def _foreign(found: Inventory) -> None:
    """Links that lead out of what was read are told and dropped."""
    for link in sorted(found.links):
        for arn in (link.source, link.target):
            if arn in found.things:
                continue
            other = found.things.get(link.target if arn == link.source else link.source)
            parts = arn.split(":")
            if other is not None and len(parts) > 5 and parts[4] and parts[4] != found.account:
                why = f"{link.why} by or to {other.kind} {other.name}; another account's: watch it with its own role"
                found.left.add(Left(parts[2], arn, why))
            elif other is not None and len(parts) > 5 and parts[3] and parts[3] != found.region:
                found.left.add(Left(parts[2], arn, f"in another region ({parts[3]}): run init --region {parts[3]} too"))
            elif other is not None and len(parts) > 5 and _gone(found, parts[2]):
                found.left.add(Left(parts[2], arn, f"{other.kind} {other.name} points at it, but it does not exist"))
    found.links = {link for link in found.links if link.source in found.things and link.target in found.things}


def _gone(found: Inventory, service: str) -> bool:
    """Whether all things of this service were listed, so that one that is missing does not exist."""
    words = {"sqs": "queues", "lambda": "functions", "states": "state machines", "dynamodb": "tables"}
    word = words.get(service)
    if word is None:
        return False
    unread = any(gap.what == word for gap in found.gaps)
    return not unread and not any(text.startswith(f"{word}:") for text in found.bounded)
