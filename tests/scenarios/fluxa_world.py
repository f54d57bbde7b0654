"""Fluxa as its runbook names it: functions, queues, database, table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from scene import Scene, Span

from monitor.demo.emulator.child import ACCOUNT, REGION
from monitor.demo.world import _bundle as bundle

QUEUE, DEAD, DATABASE = "fluxa-events", "fluxa-dlq", "fluxa-dev"
INGEST, PROCESSOR, QUERY = "fluxa-ingest", "fluxa-processor", "fluxa-query"
PAYLOADS, QUARANTINE = "fluxa-payloads", "fluxa-quarantine"


@dataclass(slots=True)
class Fluxa:
    """What exists, and looks at it."""

    scene: Scene

    async def queues(self, **settings: str) -> None:
        """The events' queue, which hides them for six times the processor's timeout, and its dead letters."""
        sqs = await self.scene.aws("sqs")
        await sqs.create_queue(QueueName=DEAD, Attributes={"MessageRetentionPeriod": "1209600"})
        redrive = {"deadLetterTargetArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{DEAD}", "maxReceiveCount": 3}
        given = {"VisibilityTimeout": "180", **settings, "RedrivePolicy": json.dumps(redrive)}
        await sqs.create_queue(QueueName=QUEUE, Attributes=given)

    async def function(self, name: str = PROCESSOR, releases: int = 0, **variables: str) -> None:
        """A function with a timeout of 30 s; with releases also that many versions, the alias `live` on the last."""
        iam, functions = await self.scene.aws("iam"), await self.scene.aws("lambda")
        role = (await iam.create_role(RoleName=f"role-{name}", AssumeRolePolicyDocument="{}"))["Role"]["Arn"]
        await functions.create_function(
            FunctionName=name,
            Runtime="python3.11",
            Role=role,
            Handler="a.b",
            Code={"ZipFile": bundle()},
            Timeout=30,
            Environment={"Variables": variables},
        )
        if releases:
            await functions.publish_version(FunctionName=name, Description="release 1")
            await functions.create_alias(FunctionName=name, Name="live", FunctionVersion="1")

    async def release(self, name: str) -> None:
        """Another version goes live, now."""
        functions = await self.scene.aws("lambda")
        await functions.update_function_configuration(FunctionName=name, Description="another")
        version = (await functions.publish_version(FunctionName=name))["Version"]
        await functions.update_alias(FunctionName=name, Name="live", FunctionVersion=version)

    async def version(self, name: str) -> str:
        """The one that is live."""
        told = await (await self.scene.aws("lambda")).get_alias(FunctionName=name, Name="live")
        return str(told["FunctionVersion"])

    async def reads(self, batch: int = 10) -> str:
        """The processor reads the queue; the id of its mapping."""
        functions = await self.scene.aws("lambda")
        made = await functions.create_event_source_mapping(
            FunctionName=PROCESSOR, EventSourceArn=f"arn:aws:sqs:{REGION}:{ACCOUNT}:{QUEUE}", BatchSize=batch
        )
        return str(made["UUID"])

    async def reading(self, uuid: str) -> bool:
        """Whether the mapping is on (or about to be)."""
        told = await (await self.scene.aws("lambda")).get_event_source_mapping(UUID=uuid)
        return str(told["State"]).startswith("Enabl")

    async def reserved(self, name: str) -> int | None:
        """Reserved concurrency; None: unset."""
        told = await (await self.scene.aws("lambda")).get_function_concurrency(FunctionName=name)
        reserved: int | None = told.get("ReservedConcurrentExecutions")
        return reserved

    async def reserve(self, name: str, count: int) -> None:
        """What it was given long ago."""
        functions = await self.scene.aws("lambda")
        await functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=count)

    async def database(self, *, backups: int = 7, standby: bool = True) -> None:
        """The instance, available."""
        await (await self.scene.aws("rds")).create_db_instance(
            DBInstanceIdentifier=DATABASE,
            DBInstanceClass="db.t4g.medium",
            Engine="postgres",
            AllocatedStorage=20,
            MasterUsername="fluxa",
            MasterUserPassword="only-here-1",
            BackupRetentionPeriod=backups,
            MultiAZ=standby,
        )

    async def bucket(self, name: str) -> None:
        """An empty bucket."""
        await (await self.scene.aws("s3")).create_bucket(Bucket=name)

    async def logs(self, *functions: str) -> None:
        """Their log groups."""
        logs = await self.scene.aws("logs")
        for name in functions:
            await logs.create_log_group(logGroupName=f"/aws/lambda/{name}")
            await logs.create_log_stream(logGroupName=f"/aws/lambda/{name}", logStreamName="s")

    async def say(self, function: str, *lines: str) -> None:
        """Log lines now."""
        logs = await self.scene.aws("logs")
        at = int(self.scene.clock.now().timestamp() * 1000)
        events = [{"timestamp": at, "message": line} for line in lines]
        await logs.put_log_events(logGroupName=f"/aws/lambda/{function}", logStreamName="s", logEvents=events)

    async def messages(self, queue: str) -> list[dict[str, Any]]:
        """All of them, in flight ones too; their bodies decoded where they can be."""
        found = (await self.scene.side.get("sqs/messages", queue=queue))["messages"]
        return [json.loads(one["body"]) for one in found if one["body"].startswith('{"')]

    async def works(self, name: str, invocations: float, errors: float, since: Span = 0) -> None:
        """Invocations and errors of a function a minute."""
        await self.scene.meter("AWS/Lambda", "Invocations", invocations, since=since, FunctionName=name)
        await self.scene.meter("AWS/Lambda", "Errors", errors, since=since, FunctionName=name)

    async def throttled(self, name: str, count: float, since: Span = 0) -> None:
        """Throttles of a function a minute, with the traffic that causes them."""
        for metric, value in (("Throttles", count), ("Invocations", 600), ("ConcurrentExecutions", 10)):
            await self.scene.meter("AWS/Lambda", metric, value, since=since, FunctionName=name)

    async def count(self, metric: str, value: float, since: Span = 0) -> None:
        """One of Fluxa's own metrics, a minute."""
        await self.scene.meter("Fluxa", metric, value, since=since)
