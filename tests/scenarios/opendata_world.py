"""OpenData Pulse as its runbook names it. The scenes run it in us-east-1, where the emulator's metrics are put."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from jaunt_world import bundle
from scene import Scene
from traffic import Request

from monitor.demo.emulator.child import ACCOUNT, REGION

RAW, CURATED = f"opendata-pulse-raw-data-{ACCOUNT}", f"opendata-pulse-curated-data-{ACCOUNT}"
INGEST, ETL, API, HEALTH = (f"opendata-pulse-{one}" for one in ("ingest", "etl", "api", "health-check"))
RULE, TABLE, DLQ = "opendata-pulse-hourly-ingestion", "opendata-pulse-hot-aggregates", "opendata-pulse-processing-dlq"
HERE = {"AWS_REGION": REGION}
GOOD = {
    "NSW_API_ENDPOINT": "https://api.nsw.gov.au/air-quality/v1", "S3_BUCKET": RAW, "DYNAMODB_TABLE": TABLE,
    "LOG_LEVEL": "INFO",
}  # fmt: skip


@dataclass(slots=True)
class Pulse:
    """Builds what a scene needs, and looks at it."""

    scene: Scene

    async def buckets(self, *more: str) -> None:
        """Raw, curated and others."""
        s3 = await self.scene.aws("s3")
        for name in (RAW, CURATED, *more):
            await s3.create_bucket(Bucket=name)

    async def put(self, bucket: str, kind: str, name: str) -> None:
        """An object written now, under today's prefix."""
        s3 = await self.scene.aws("s3")
        key = f"nsw-air-quality/{kind}/{self.scene.clock.now():%Y/%m/%d}/{name}.json"
        await s3.put_object(Bucket=bucket, Key=key, Body=b"{}")

    async def function(self, *names: str, alias: str | None = None) -> None:
        """Functions with the good variables; with an alias also version 1 behind it."""
        iam, functions = await self.scene.aws("iam"), await self.scene.aws("lambda")
        role = (await iam.create_role(RoleName="-".join(names)[:60], AssumeRolePolicyDocument="{}"))["Role"]["Arn"]
        for name in names:
            await functions.create_function(
                FunctionName=name, Runtime="python3.11", Role=role, Handler="a.b", Code={"ZipFile": bundle()},
                Environment={"Variables": GOOD},
            )  # fmt: skip
            if alias:
                version = (await functions.publish_version(FunctionName=name))["Version"]
                await functions.create_alias(FunctionName=name, Name=alias, FunctionVersion=version)

    async def publish(self, name: str, note: str) -> str:
        """A version that nobody is sent to."""
        functions = await self.scene.aws("lambda")
        await functions.update_function_configuration(FunctionName=name, Description=note)
        return str((await functions.publish_version(FunctionName=name))["Version"])

    async def release(self, name: str, **variables: str) -> str:
        """A new version, live at once."""
        functions = await self.scene.aws("lambda")
        await functions.update_function_configuration(
            FunctionName=name, Environment={"Variables": {**GOOD, **variables}}, Description=str(variables)
        )
        version = str((await functions.publish_version(FunctionName=name))["Version"])
        await functions.update_alias(FunctionName=name, Name="LIVE", FunctionVersion=version)
        return version

    async def live(self, name: str) -> dict[str, Any]:
        """The alias and the configuration that its callers get."""
        functions = await self.scene.aws("lambda")
        alias = await functions.get_alias(FunctionName=name, Name="LIVE")
        config = await functions.get_function_configuration(FunctionName=name, Qualifier=alias["FunctionVersion"])
        return {**alias, "variables": config["Environment"]["Variables"]}

    async def logs(self, *functions: str) -> None:
        """Log groups."""
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

    async def rule(self, state: str = "ENABLED") -> None:
        """The hourly rule."""
        events = await self.scene.aws("events")
        await events.put_rule(Name=RULE, ScheduleExpression="rate(1 hour)", State=state)

    async def rule_state(self) -> str:
        """ENABLED or DISABLED."""
        return str((await (await self.scene.aws("events")).describe_rule(Name=RULE))["State"])

    async def table(self, *, on_demand: bool = False) -> None:
        """20/20 units and an index of 10/10; or on demand."""
        units = {} if on_demand else {"ProvisionedThroughput": {"ReadCapacityUnits": 20, "WriteCapacityUnits": 20}}
        small = {} if on_demand else {"ProvisionedThroughput": {"ReadCapacityUnits": 10, "WriteCapacityUnits": 10}}
        index = {
            "IndexName": "GeographicIndex", "KeySchema": [{"AttributeName": "suburb", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"}, **small,
        }  # fmt: skip
        names = [{"AttributeName": one, "AttributeType": "S"} for one in ("pk", "suburb")]
        await (await self.scene.aws("dynamodb")).create_table(
            TableName=TABLE, AttributeDefinitions=names, KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            GlobalSecondaryIndexes=[index], BillingMode="PAY_PER_REQUEST" if on_demand else "PROVISIONED", **units,
        )  # fmt: skip

    async def units(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Read and write units of the table and of its index."""
        table = (await (await self.scene.aws("dynamodb")).describe_table(TableName=TABLE))["Table"]
        both = [one["ProvisionedThroughput"] for one in (table, table["GlobalSecondaryIndexes"][0])]
        first, second = [(int(one["ReadCapacityUnits"]), int(one["WriteCapacityUnits"])) for one in both]
        return first, second

    async def invoked(self, function: str) -> list[dict[str, Any]]:
        """Payloads of the daemon's invocations, oldest first."""
        asked = await self.scene.requests("lambda:Invoke")
        return [dict(one.params) for one in asked if f"/{function}/" in one.path]

    def hours_ago(self, hours: int) -> datetime:
        """A full hour."""
        now = self.scene.clock.now().replace(minute=0, second=0, microsecond=0)
        return now - timedelta(hours=hours)


async def pulse(scene: Scene) -> Pulse:
    """Nothing yet but the topic that people are told through."""
    await (await scene.aws("sns")).create_topic(Name="incident-alerts")
    return Pulse(scene)


async def changes(scene: Scene) -> list[Request]:
    """The daemon's mutating requests, notices aside."""
    return [one for one in await scene.requests() if one.name != "sns:Publish"]
