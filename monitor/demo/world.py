"""The ETL pipeline of the runbook, built through real AWS calls: S3 -> EventBridge -> Step Functions -> Lambda -> S3.

Names are the runbook's (`etl-workflow`, `etl-s3-events`, ...). Everything that can be tagged carries `pipeline=etl`.
The world is healthy when built; incidents break it.
"""

from __future__ import annotations

import io
import json
import zipfile
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from monitor.demo.emulator.child import ACCOUNT, KEYS, REGION, Side

RAW, PROCESSED = "raw-data-bucket", "processed-data-bucket"
RULE, MACHINE_NAME = "etl-s3-events", "etl-workflow"
INGEST, TRANSFORM = "ingest-handler", "transform-handler"
QUEUE, DEAD = "etl-ingest", "etl-ingest-dlq"
TABLE, BUDGET, FLAG = "etl-metadata", "etl-pipeline", "/etl/mode"
MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{MACHINE_NAME}"
RESERVED = 100
_TAGS = {"pipeline": "etl"}

#: States of the workflow; Extract runs ingest-handler, Transform transform-handler and writes to the processed bucket.
DEFINITION = {
    "StartAt": "Extract",
    "States": {
        "Extract": {
            "Type": "Task",
            "Resource": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{INGEST}",
            "Next": "Transform",
        },
        "Transform": {
            "Type": "Task",
            "Resource": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{TRANSFORM}",
            "Next": "Catalog",
        },
        "Catalog": {"Type": "Task", "Resource": "arn:aws:states:::dynamodb:putItem", "End": True},
    },
}


def pattern(*buckets: str) -> dict[str, Any]:
    """The event pattern of the rule for these buckets; the runbook's has the raw one only."""
    return {"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": {"bucket": {"name": list(buckets)}}}


class World:
    """AWS clients against one emulator, its side door, and the pipeline inside it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stack = AsyncExitStack()
        self._session = get_session()
        self._clients: dict[str, Any] = {}
        self.side = Side(url)

    async def __aenter__(self) -> World:
        await self._stack.enter_async_context(self.side)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def aws(self, service: str) -> Any:
        """The client of a service, made once."""
        if service not in self._clients:
            maker = self._session.create_client(
                service,
                region_name=REGION,
                endpoint_url=self._url,
                aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
                config=AioConfig(max_pool_connections=20, retries={"total_max_attempts": 3}),
            )
            self._clients[service] = await self._stack.enter_async_context(maker)
        return self._clients[service]

    async def build(self) -> None:
        """Everything, healthy."""
        await self._build_queues()
        await self._build_functions()
        await self._build_machine()
        await self._build_buckets_and_rule()
        await self._build_the_rest()

    async def _build_queues(self) -> None:
        sqs = await self.aws("sqs")
        await sqs.create_queue(QueueName=DEAD, tags=_TAGS)
        redrive = json.dumps({"deadLetterTargetArn": queue_arn(DEAD), "maxReceiveCount": 3})
        attributes = {"RedrivePolicy": redrive, "VisibilityTimeout": "30"}
        await sqs.create_queue(QueueName=QUEUE, Attributes=attributes, tags=_TAGS)

    async def _build_functions(self) -> None:
        iam, functions = await self.aws("iam"), await self.aws("lambda")
        trust = json.dumps({"Version": "2012-10-17", "Statement": []})
        role = (await iam.create_role(RoleName="lambda-execution-role", AssumeRolePolicyDocument=trust))["Role"]["Arn"]
        code = {"ZipFile": _bundle()}
        logs = await self.aws("logs")
        for name, memory in ((INGEST, 512), (TRANSFORM, 1024)):
            group = f"/aws/lambda/{name}"
            await logs.create_log_group(logGroupName=group, tags=_TAGS)
            await logs.put_retention_policy(logGroupName=group, retentionInDays=30)
            await functions.create_function(
                FunctionName=name, Runtime="python3.11", Role=role, Handler="handler.main",
                Code=code, MemorySize=memory, Timeout=300, Tags=_TAGS,
            )  # fmt: skip
        await functions.put_function_concurrency(FunctionName=INGEST, ReservedConcurrentExecutions=RESERVED)
        await functions.create_event_source_mapping(FunctionName=INGEST, EventSourceArn=queue_arn(QUEUE), BatchSize=10)

    async def _build_machine(self) -> None:
        await (await self.aws("stepfunctions")).create_state_machine(
            name=MACHINE_NAME,
            definition=json.dumps(DEFINITION),
            roleArn=f"arn:aws:iam::{ACCOUNT}:role/etl-workflow-role",
            type="STANDARD",
            tags=[{"key": key, "value": value} for key, value in _TAGS.items()],
        )

    async def _build_buckets_and_rule(self) -> None:
        s3, events = await self.aws("s3"), await self.aws("events")
        for bucket in (RAW, PROCESSED):
            await s3.create_bucket(Bucket=bucket)
            await s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": _tag_list()})
            switch: dict[str, Any] = {"EventBridgeConfiguration": {}}
            await s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=switch)
        await events.put_rule(Name=RULE, EventPattern=json.dumps(pattern(RAW)), State="ENABLED", Tags=_tag_list())
        target = {"Id": MACHINE_NAME, "Arn": MACHINE, "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/events-start"}
        await events.put_targets(Rule=RULE, Targets=[target])

    async def _build_the_rest(self) -> None:
        tables, budgets, parameters = await self.aws("dynamodb"), await self.aws("budgets"), await self.aws("ssm")
        await tables.create_table(
            TableName=TABLE,
            AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
            ProvisionedThroughput={"ReadCapacityUnits": 20, "WriteCapacityUnits": 20},
            Tags=_tag_list(),
        )
        limit = {"Amount": "100", "Unit": "USD"}
        budget = {"BudgetName": BUDGET, "BudgetType": "COST", "TimeUnit": "MONTHLY", "BudgetLimit": limit}
        await budgets.create_budget(AccountId=ACCOUNT, Budget=budget)
        await self.side.post("budgets", budget=BUDGET, actual=31.0, forecasted=62.0)
        await parameters.put_parameter(Name=FLAG, Value="normal", Type="String", Tags=_tag_list())

    # --- looking at it ------------------------------------------------------------------------------------------------

    async def rule_state(self) -> str:
        """ENABLED or DISABLED."""
        return str((await (await self.aws("events")).describe_rule(Name=RULE))["State"])

    async def executions(self) -> dict[str, int]:
        """Number of executions of the workflow by status; `total`: all; `recent`: started in the last 60 s."""
        told = await self.side.get("executions", state_machine=MACHINE_NAME)
        return {"RUNNING": 0, **told["counts"], "total": told["total"], "recent": told["recent"]}

    async def rule_pattern(self) -> dict[str, Any]:
        """The rule's event pattern as it stands."""
        rule = await (await self.aws("events")).describe_rule(Name=RULE)
        found: dict[str, Any] = json.loads(rule["EventPattern"])
        return found

    async def reserved(self, function: str = INGEST) -> int | None:
        """Reserved concurrency; None where it is unset."""
        told = await (await self.aws("lambda")).get_function_concurrency(FunctionName=function)
        found: int | None = told.get("ReservedConcurrentExecutions")
        return found

    async def depth(self, queue: str) -> int:
        """Messages in a queue, in flight ones too."""
        sqs = await self.aws("sqs")
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        told = await sqs.get_queue_attributes(QueueUrl=await self.queue_url(queue), AttributeNames=names)
        return sum(int(told["Attributes"][name]) for name in names)

    async def flag(self) -> str:
        """The value of the pipeline's flag."""
        return str((await (await self.aws("ssm")).get_parameter(Name=FLAG))["Parameter"]["Value"])

    async def economies(self) -> dict[str, Any]:
        """What the cost runbook changes: memory, billing mode, log retention."""
        function = await (await self.aws("lambda")).get_function_configuration(FunctionName=TRANSFORM)
        table = await (await self.aws("dynamodb")).describe_table(TableName=TABLE)
        groups = await (await self.aws("logs")).describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{TRANSFORM}")
        return {
            "memory": function["MemorySize"],
            "billing": table["Table"].get("BillingModeSummary", {}).get("BillingMode"),
            "retention": groups["logGroups"][0].get("retentionInDays"),
        }

    async def queue_url(self, queue: str) -> str:
        """A queue's URL."""
        return str((await (await self.aws("sqs")).get_queue_url(QueueName=queue))["QueueUrl"])


def queue_arn(name: str) -> str:
    """ARN of a queue of this world."""
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"


def _tag_list() -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in _TAGS.items()]


def _bundle() -> bytes:
    """A deployment package; no function ever runs in the emulator."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("handler.py", "def main(event, context):\n    return None\n")
    return packed.getvalue()
