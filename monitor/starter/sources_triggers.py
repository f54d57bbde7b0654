"""Reading what sets work off: rules with their targets, schedules, pipes, topics, bucket notifications."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from monitor.starter.inventory import Kind, Thing
from monitor.starter.reading import Reading


async def rules(reading: Reading) -> None:
    """Rules of every bus. Needs events:ListEventBuses, events:ListRules, events:ListTargetsByRule."""
    aws, found = reading.aws, reading.found
    rows = await reading.rows(
        "event buses", "events:ListEventBuses", aws.pages("events", "ListEventBuses"), "EventBuses"
    )
    seen: list[tuple[Thing, str]] = []
    for bus in sorted({"default", *(str(row["Name"]) for row in rows)}):
        listed = await reading.rows(
            Kind.RULE, "events:ListRules", aws.pages("events", "ListRules", EventBusName=bus), "Rules"
        )
        for row in listed:
            rule = found.add(
                Kind.RULE, str(row["Name"]), str(row["Arn"]), bus=bus, enabled=row.get("State") != "DISABLED",
                managed=str(row.get("ManagedBy") or ""), pattern=bool(row.get("EventPattern")),
            )  # fmt: skip
            for bucket in _buckets_in(row.get("EventPattern")):
                found.link(f"arn:{found.partition}:s3:::{bucket}", rule.arn, "sets off")
            seen.append((rule, bus))

    async def targets(one: tuple[Thing, str]) -> None:
        rule, bus = one
        call = aws.call("events", "ListTargetsByRule", Rule=rule.name, EventBusName=bus)
        reply = await reading.one("targets of rules", "events:ListTargetsByRule", call)
        for target in (reply or {}).get("Targets") or ():
            found.link(rule.arn, str(target["Arn"]), "starts")
            dead = (target.get("DeadLetterConfig") or {}).get("Arn")
            if dead:
                found.link(rule.arn, str(dead), "dead letters")

    await reading.each(seen, targets)


async def schedules(reading: Reading) -> None:
    """Schedules of EventBridge Scheduler. Needs scheduler:ListSchedules."""
    pages = reading.aws.pages("scheduler", "ListSchedules")
    for row in await reading.rows(Kind.SCHEDULE, "scheduler:ListSchedules", pages, "Schedules"):
        group = str(row.get("GroupName") or "default")
        enabled = row.get("State") != "DISABLED"
        thing = reading.found.add(Kind.SCHEDULE, str(row["Name"]), str(row["Arn"]), group=group, enabled=enabled)
        target = (row.get("Target") or {}).get("Arn")
        if target:
            reading.found.link(thing.arn, str(target), "starts")


async def pipes(reading: Reading) -> None:
    """Pipes are links only: their source feeds their target. Needs pipes:ListPipes."""
    for row in await reading.rows("pipes", "pipes:ListPipes", reading.aws.pages("pipes", "ListPipes"), "Pipes"):
        if row.get("Source") and row.get("Target"):
            reading.found.link(str(row["Source"]), str(row["Target"]), "is piped to")


async def topics(reading: Reading) -> None:
    """Topics by their subscriptions. Needs sns:ListSubscriptions."""
    pages = reading.aws.pages("sns", "ListSubscriptions")
    for row in await reading.rows("subscriptions", "sns:ListSubscriptions", pages, "Subscriptions"):
        arn, endpoint = str(row.get("TopicArn") or ""), str(row.get("Endpoint") or "")
        if row.get("Protocol") in ("sqs", "lambda", "firehose") and arn:
            reading.found.add(Kind.TOPIC, arn.rsplit(":", 1)[-1], arn)
            reading.found.link(arn, endpoint, "notifies")


async def buckets(reading: Reading) -> None:
    """Buckets of the region and their notifications. Needs s3:ListAllMyBuckets, s3:GetBucketNotification."""
    aws, found = reading.aws, reading.found
    pages = aws.pages("s3", "ListBuckets", BucketRegion=found.region, MaxBuckets=1000)
    rows = await reading.rows(Kind.BUCKET, "s3:ListAllMyBuckets", pages, "Buckets")

    async def notifications(row: Mapping[str, Any]) -> None:
        name = str(row["Name"])
        thing = found.add(Kind.BUCKET, name, f"arn:{found.partition}:s3:::{name}")
        call = aws.call("s3", "GetBucketNotificationConfiguration", Bucket=name)
        reply = await reading.one("notifications of buckets", "s3:GetBucketNotification", call)
        for kind, field_name in (("LambdaFunction", "LambdaFunctionArn"), ("Queue", "QueueArn"), ("Topic", "TopicArn")):
            for notice in (reply or {}).get(f"{kind}Configurations") or ():
                found.link(thing.arn, str(notice[field_name]), "notifies")

    await reading.each(rows, notifications)


def _buckets_in(pattern: Any) -> list[str]:
    """The buckets that a rule's pattern names in plain words."""
    try:
        found = json.loads(pattern or "{}").get("detail", {}).get("bucket", {}).get("name", [])
    except (ValueError, AttributeError):
        return []
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []
