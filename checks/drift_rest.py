"""Rules over databases, buckets and alarms, and the one that asks anything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from checks.drift_rule import Finding, Rule, look_at
from checks.metric_source import never_speaks
from checks.query_result import listed, plain, word
from checks.reading import Bare, number
from monitor.plugin import (
    Duration,
    OperationUse,
    Permission,
    ProbeContext,
    ProbeError,
    Reason,
    need,
    target_name,
)


def _names(data: object) -> object:
    """One name or several."""
    return (data,) if isinstance(data, str) else data


_TEXT: dict[str, Any] = {"type": "string"}
Names = Annotated[
    tuple[str, ...],
    BeforeValidator(_names),
    WithJsonSchema({"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]}),
]

#: What YAML writes for one value.
_SCALARS: list[dict[str, Any]] = [{"type": one} for one in ("string", "number", "boolean", "null")]
Wanted = Annotated[
    tuple[str, ...],
    BeforeValidator(listed),
    WithJsonSchema({"anyOf": [*_SCALARS, {"type": "array", "items": {"anyOf": _SCALARS}, "minItems": 1}]}),
]


class ByName(Rule):
    """A rule whose resources are named one by one."""

    @property
    def targets(self) -> tuple[str, ...]:
        """The names."""
        return tuple(getattr(self, next(iter(type(self).model_fields))))

    async def look(self, look: Callable[[Bare], Awaitable[Sequence[str]]]) -> list[Finding]:
        """A finding per name."""
        return await look_at([Bare(name) for name in dict.fromkeys(self.targets)], look)


class Database(ByName):
    """RDS instances are backed up and have a standby."""

    databases: Names = Field(min_length=1, description="RDS instance identifiers.")
    backups: Duration | None = Field(timedelta(days=7), description="Shortest backup retention; null: don't care.")
    multi_az: bool = Field(True, description="A standby in another zone is there.")

    def needs(self) -> list[Permission]:
        """For IAM."""
        return [need("rds:DescribeDBInstances", database=self.databases)]

    async def inspect(self, ctx: ProbeContext) -> list[Finding]:
        """By instance."""

        async def look(database: Bare) -> Sequence[str]:
            reply = await ctx.aws.call("rds", "DescribeDBInstances", DBInstanceIdentifier=database.name)
            instance, wrong = reply["DBInstances"][0], []
            days = int(instance.get("BackupRetentionPeriod") or 0)
            if self.backups is not None and timedelta(days=days) < self.backups:
                wrong.append(f"keeps backups for {days} days: set BackupRetentionPeriod to {self.backups.days}")
            if self.multi_az and not instance.get("MultiAZ"):
                wrong.append("has no standby: set MultiAZ")
            return wrong

        return await self.look(look)


class Bucket(ByName):
    """Buckets keep old versions and, where it matters, a copy in another region; what is cold is moved."""

    buckets: Names = Field(min_length=1, description="Names of the buckets.")
    versioning: bool = Field(True, description="Versioning is enabled.")
    replication: bool = Field(False, description="At least one replication rule is enabled.")
    tiered: bool = Field(False, description="A lifecycle rule moves objects to a cheaper class.")

    def needs(self) -> list[Permission]:
        """For IAM."""
        asked = ["s3:GetBucketVersioning"] if self.versioning else []
        asked += ["s3:GetReplicationConfiguration"] if self.replication else []
        asked += ["s3:GetLifecycleConfiguration"] if self.tiered else []
        return [need(*asked, bucket=self.buckets)] if asked else []

    async def inspect(self, ctx: ProbeContext) -> list[Finding]:
        """By bucket."""

        async def look(bucket: Bare) -> Sequence[str]:
            wrong = []
            if self.versioning:
                status = (await ctx.aws.call("s3", "GetBucketVersioning", Bucket=bucket.name)).get("Status")
                if status != "Enabled":
                    wrong.append(f"versioning is {str(status or 'off').lower()}: enable it")
            if self.replication and not await self._replicates(bucket.name, ctx):
                wrong.append("nothing is replicated: add a replication rule")
            if self.tiered and not await self._tiers(bucket.name, ctx):
                wrong.append("every object stays in its class for ever: add a lifecycle transition (tier_bucket)")
            return wrong

        return await self.look(look)

    @staticmethod
    async def _replicates(bucket: str, ctx: ProbeContext) -> bool:
        try:
            reply = await ctx.aws.call("s3", "GetBucketReplication", Bucket=bucket)
        except ProbeError as error:
            # A bucket on which replication was never set answers with this error, one that is gone with another.
            if "ReplicationConfigurationNotFound" in error.detail:
                return False
            raise
        rules = (reply.get("ReplicationConfiguration") or {}).get("Rules", ())
        return any(rule.get("Status") == "Enabled" for rule in rules)

    @staticmethod
    async def _tiers(bucket: str, ctx: ProbeContext) -> bool:
        try:
            reply = await ctx.aws.call("s3", "GetBucketLifecycleConfiguration", Bucket=bucket)
        except ProbeError as error:
            # As above: a bucket that never had one.
            if "lifecycle configuration" in error.detail.lower() or "NoSuchLifecycle" in error.detail:
                return False
            raise
        rules = reply.get("Rules", ())
        return any(rule.get("Status") == "Enabled" and rule.get("Transitions") for rule in rules)


class RequiredAlarms(ByName):
    """Alarms exist, can tell somebody, and watch something that exists."""

    alarms: Names = Field(min_length=1, max_length=100, description="Names of the alarms.")
    actions: bool = Field(True, description="Actions are enabled, and there is one for ALARM.")

    def needs(self) -> list[Permission]:
        """For IAM."""
        return [need("cloudwatch:DescribeAlarms")]

    async def inspect(self, ctx: ProbeContext) -> list[Finding]:
        """By alarm, all with one call."""
        try:
            known = await self._described(ctx)
        except ProbeError as error:
            return [Finding(name, error=error) for name in self.alarms]
        return [Finding(name, tuple(self._faults(known.get(name)))) for name in dict.fromkeys(self.alarms)]

    async def _described(self, ctx: ProbeContext) -> dict[str, Mapping[str, Any]]:
        known: dict[str, Mapping[str, Any]] = {}
        types = ["MetricAlarm", "CompositeAlarm", "LogAlarm"]
        pages = ctx.aws.pages("cloudwatch", "DescribeAlarms", AlarmNames=list(self.alarms), AlarmTypes=types)
        async for page in pages:
            for kind in types:
                known.update({alarm["AlarmName"]: alarm for alarm in page.get(f"{kind}s", ())})
        return known

    def _faults(self, alarm: Mapping[str, Any] | None) -> list[str]:
        if alarm is None:
            return ["does not exist: create it"]
        wrong = []
        if self.actions and not (alarm.get("ActionsEnabled", True) and alarm.get("AlarmActions")):
            wrong.append("tells nobody: give it an alarm action and enable its actions")
        for metric in _metrics_of(alarm):
            dimensions = {one["Name"]: one["Value"] for one in metric.get("Dimensions", ())}
            impossible = never_speaks(str(metric.get("Namespace")), str(metric.get("MetricName")), dimensions)
            if impossible:
                wrong.append(f"can never fire: {impossible}")
        return wrong


def _metrics_of(alarm: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The metrics that an alarm watches: its own, or those of its math."""
    if alarm.get("MetricName"):
        return [alarm]
    return [one["MetricStat"]["Metric"] for one in alarm.get("Metrics", ()) if one.get("MetricStat")]


class Custom(Rule):
    """Any read of AWS whose result has to be something."""

    service: str = Field(description="AWS service as the SDK or the CLI names it.")
    operation: str = Field(
        description="Operation, `GetBucketVersioning` or `get-bucket-versioning`; it must only read."
    )
    parameters: Mapping[str, Any] = Field(default_factory=dict, description="Its parameters, in AWS's spelling.")
    query: str = Field(description="JMESPath over the reply: one text, number, true, false or null.")
    expect: Wanted | None = Field(None, description="What the result has to be, or a list of what it may be.")
    at_least: float | None = Field(None, description="Smallest number that is right.")
    at_most: float | None = Field(None, description="Largest number that is right.")
    target: str = Field(min_length=1, description="What the target is called.")
    what: str = Field("the setting", description="What is looked at, for people.")
    fix: str = Field("", description="What to do if it is wrong.")

    @field_validator("query")
    @classmethod
    def _compiles(cls, query: str) -> str:
        try:
            jmespath.compile(query)
        except JMESPathError as error:
            raise ValueError(f"not a JMESPath expression: {str(error).splitlines()[0]}") from error
        return query

    @model_validator(mode="after")
    def _judges(self) -> Custom:
        bounded = self.at_least is not None or self.at_most is not None
        if bounded == (self.expect is not None):
            raise ValueError("give either expect or bounds (at_least, at_most)")
        return self

    @property
    def targets(self) -> tuple[str, ...]:
        """The one that is named."""
        return (target_name(self.target),)

    def use(self, path: tuple[str | int, ...]) -> OperationUse:
        """For the service model to check at load."""
        return OperationUse(self.service, self.operation, self.parameters, mutating=False, query=self.query, path=path)

    def needs(self) -> list[Permission]:
        """For IAM."""
        return []  # known by its operation

    async def inspect(self, ctx: ProbeContext) -> list[Finding]:
        """One call."""

        async def look(_: Bare) -> Sequence[str]:
            reply = await ctx.aws.call(self.service, self.operation, **self.parameters)
            try:
                result = jmespath.search(self.query, plain(reply))
            except JMESPathError as error:
                raise ProbeError(Reason.INVALID, f"{self.query}: {error}") from error
            if isinstance(result, list | Mapping):
                raise ProbeError(Reason.INVALID, f"{self.query} yields a {type(result).__name__}, not one value")
            told = self._judge(result)
            return [told + (f": {self.fix}" if self.fix else "")] if told else []

        return await look_at([Bare(self.targets[0])], look)

    def _judge(self, result: object) -> str:
        """What is wrong; never the value itself, which may be a secret."""
        if self.expect is not None:
            return "" if word(result) in self.expect else f"{self.what} is not {' or '.join(self.expect)}"
        value = number(result, self.query)
        if self.at_least is not None and value < self.at_least:
            return f"{self.what} is {value:g}, less than {self.at_least:g}"
        if self.at_most is not None and value > self.at_most:
            return f"{self.what} is {value:g}, more than {self.at_most:g}"
        return ""
