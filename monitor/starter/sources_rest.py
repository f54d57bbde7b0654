"""Reading what is written to and what watches already: tables, Kafka clusters, alarms; and everybody's tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from monitor.starter.inventory import Alarm, Kind, plain_arn
from monitor.starter.reading import Reading

#: What the tagging API is asked for (service or service:type, as its API reference names them).
TAGGED = (
    "sqs", "lambda:function", "states:stateMachine", "events:rule", "dynamodb:table", "s3", "sns", "glue:job", "kafka",
)  # fmt: skip


async def tables(reading: Reading) -> None:
    """Tables and their capacity. Needs dynamodb:ListTables, dynamodb:DescribeTable."""
    aws, found = reading.aws, reading.found
    names = await reading.rows(Kind.TABLE, "dynamodb:ListTables", aws.pages("dynamodb", "ListTables"), "TableNames")

    async def describe(name: str) -> None:
        call = aws.call("dynamodb", "DescribeTable", TableName=name)
        reply = await reading.one("capacity of tables", "dynamodb:DescribeTable", call)
        table: Mapping[str, Any] = (reply or {}).get("Table") or {}
        given = table.get("ProvisionedThroughput") or {}
        on_demand = (table.get("BillingModeSummary") or {}).get("BillingMode") == "PAY_PER_REQUEST"
        read, write = (0 if on_demand else int(given.get(f"{side}CapacityUnits") or 0) for side in ("Read", "Write"))
        found.add(Kind.TABLE, name, found.arn("dynamodb", f"table/{name}"), read=read, write=write)

    await reading.each(names, describe)


async def clusters(reading: Reading) -> None:
    """Kafka clusters. Needs kafka:ListClustersV2."""
    pages = reading.aws.pages("kafka", "ListClustersV2")
    for row in await reading.rows(Kind.CLUSTER, "kafka:ListClustersV2", pages, "ClusterInfoList"):
        serverless = row.get("ClusterType") == "SERVERLESS"
        reading.found.add(
            Kind.CLUSTER, str(row["ClusterName"]), str(row["ClusterArn"]), serverless=serverless, reads=[]
        )


async def alarms(reading: Reading) -> None:
    """Metric alarms. Needs cloudwatch:DescribeAlarms."""
    pages = reading.aws.pages("cloudwatch", "DescribeAlarms", AlarmTypes=["MetricAlarm"], MaxRecords=100)
    for row in await reading.rows("alarms", "cloudwatch:DescribeAlarms", pages, "MetricAlarms"):
        dimensions = list(row.get("Dimensions") or ())
        for query in row.get("Metrics") or ():
            dimensions += ((query.get("MetricStat") or {}).get("Metric") or {}).get("Dimensions") or ()
        values = frozenset(str(one.get("Value")) for one in dimensions)
        reading.found.alarms.append(Alarm(str(row["AlarmName"]), values, str(row.get("StateValue") or "")))


async def tags(reading: Reading) -> None:
    """Tags of what was found, the stack's among them. Needs tag:GetResources."""
    found = reading.found
    pages = reading.aws.pages("resourcegroupstaggingapi", "GetResources", ResourceTypeFilters=list(TAGGED))
    wider = Reading(reading.aws, found, max(reading.limit * 10, 10_000))
    for row in await wider.rows("tags", "tag:GetResources", pages, "ResourceTagMappingList"):
        arn = plain_arn(str(row["ResourceARN"]))
        thing = found.things.get(arn)
        if thing is not None:
            given = {str(tag["Key"]): str(tag["Value"]) for tag in row.get("Tags") or ()}
            found.things[arn] = replace(thing, tags=given)
