"""Reading what does the work: queues, functions with what they read from, state machines, Glue jobs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from monitor.plugin import target_name
from monitor.starter.definition import has_wait_token, named_in
from monitor.starter.inventory import Inventory, Kind, plain_arn
from monitor.starter.reading import Reading

_QUEUE = ["QueueArn", "RedrivePolicy", "FifoQueue"]


async def queues(reading: Reading) -> None:
    """Queues and their redrive policies. Needs sqs:ListQueues, sqs:GetQueueAttributes."""
    pages = reading.aws.pages("sqs", "ListQueues", MaxResults=1000)
    urls = await reading.rows(Kind.QUEUE, "sqs:ListQueues", pages, "QueueUrls")

    async def describe(url: str) -> None:
        call = reading.aws.call("sqs", "GetQueueAttributes", QueueUrl=url, AttributeNames=["All"])
        reply = await reading.one("redrive policies of queues", "sqs:GetQueueAttributes", call)
        known = (reply or {}).get("Attributes") or {}
        arn = str(known.get("QueueArn") or reading.found.arn("sqs", target_name(url)))
        reading.found.add(Kind.QUEUE, target_name(url), arn, fifo=known.get("FifoQueue") == "true")
        dead = _json(known.get("RedrivePolicy")).get("deadLetterTargetArn")
        if isinstance(dead, str):
            reading.found.link(arn, dead, "dead letters")

    await reading.each(urls, describe)


async def functions(reading: Reading) -> None:
    """Functions, what their environment names (only compared, never kept), and what they read from."""
    aws, found = reading.aws, reading.found
    listed = await reading.rows(
        Kind.FUNCTION, "lambda:ListFunctions", aws.pages("lambda", "ListFunctions"), "Functions"
    )
    for row in listed:
        arn = plain_arn(str(row["FunctionArn"]))
        environment = (row.get("Environment") or {}).get("Variables") or {}
        found.add(Kind.FUNCTION, str(row["FunctionName"]), arn, environment=dict(environment))
        dead = (row.get("DeadLetterConfig") or {}).get("TargetArn")
        if dead:
            found.link(arn, str(dead), "dead letters")
    pages = aws.pages("lambda", "ListEventSourceMappings")
    mappings = await reading.rows(
        "event source mappings", "lambda:ListEventSourceMappings", pages, "EventSourceMappings"
    )
    for row in mappings:
        _mapping(row, found)


def _mapping(row: Mapping[str, Any], found: Inventory) -> None:
    function, source = str(row.get("FunctionArn") or ""), str(row.get("EventSourceArn") or "")
    if not function:
        return
    if source:
        found.link(source, function, "is read by")
        cluster = found.things.get(source)
        group = (row.get("AmazonManagedKafkaEventSourceConfig") or {}).get("ConsumerGroupId")
        if cluster is not None and cluster.kind is Kind.CLUSTER and group:
            cluster.facts["reads"].extend((str(group), str(topic)) for topic in row.get("Topics") or ())
    failed = ((row.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination")
    if failed:
        found.link(function, str(failed), "dead letters")


async def machines(reading: Reading) -> None:
    """State machines and what their definitions name. Needs states:ListStateMachines, states:DescribeStateMachine."""
    pages = reading.aws.pages("stepfunctions", "ListStateMachines", maxResults=1000)
    listed = await reading.rows(Kind.MACHINE, "states:ListStateMachines", pages, "stateMachines")

    async def describe(row: Mapping[str, Any]) -> None:
        arn = str(row["stateMachineArn"])
        call = reading.aws.call("stepfunctions", "DescribeStateMachine", stateMachineArn=arn)
        reply = await reading.one("definitions of state machines", "states:DescribeStateMachine", call)
        definition = str((reply or {}).get("definition") or "")
        express = str(row.get("type") or "STANDARD") == "EXPRESS"
        reading.found.add(Kind.MACHINE, str(row["name"]), arn, express=express, waits=has_wait_token(definition))
        for kind, name in named_in(definition):
            reading.found.link(arn, _arn_of(kind, name, reading.found), "uses")

    await reading.each(listed, describe)


async def jobs(reading: Reading) -> None:
    """Glue jobs. Needs glue:GetJobs."""
    rows = await reading.rows(Kind.JOB, "glue:GetJobs", reading.aws.pages("glue", "GetJobs"), "Jobs")
    for row in rows:
        reading.found.add(Kind.JOB, str(row["Name"]), reading.found.arn("glue", f"job/{row['Name']}"))


def _arn_of(kind: str, name: str, found: Inventory) -> str:
    if kind == "arn":
        return name
    if kind == "queue":
        owner = name.rstrip("/").split("/")[-2] if name.count("/") >= 3 else found.account
        return f"arn:{found.partition}:sqs:{found.region}:{owner}:{target_name(name)}"
    if kind == "bucket":
        return f"arn:{found.partition}:s3:::{name}"
    if kind == "function":
        return found.arn("lambda", f"function:{name.split(':', maxsplit=1)[0]}")
    return found.arn(*{"table": ("dynamodb", f"table/{name}"), "job": ("glue", f"job/{name}")}[kind])


def _json(text: Any) -> Mapping[str, Any]:
    try:
        value = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
