"""Settings that are not what they have to be, before they hurt: rules as data, from the runbooks' prevention lists.

    rules:
      - visibility_timeout: {lambda_functions: processor}
      - retention: {queues: "fluxa-*", at_least: 4d}
      - custom: {target: ingest, service: lambda, operation: get-function-configuration,
                 parameters: {FunctionName: ingest}, query: MemorySize, at_least: 512, fix: raise MemorySize}

Every resource that a rule looks at is a target, and `violations` counts what is wrong with it over all rules; the
detail says each fault and its fix. A resource that one of its rules can't read is unknown, because the count would be
too small. Nothing is repaired here, and no value of an environment variable is ever told.

The defaults of the rules are the runbooks': six times the function's timeout, batches of 10, retention of 4 days, 7
days of backups and a standby, versioning, 5 minutes per function and 10 per execution. Any violation is a warning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from pydantic import Field, model_validator

from checks.drift_code import Environment, FunctionTimeout, MachineTimeout
from checks.drift_policies import Policies
from checks.drift_queues import BatchSize, DeadLetterQueue, Retention, VisibilityTimeout
from checks.drift_rest import Bucket, Custom, Database, RequiredAlarms
from checks.drift_rule import Finding, Rule
from checks.executions import DISCOVERY
from checks.reading import attempt, observe, unknown
from monitor.plugin import (
    Bound,
    Check,
    Observation,
    OperationUse,
    Params,
    Permission,
    ProbeContext,
    ProbeError,
    Signal,
    SignalSpec,
)

VIOLATIONS = Signal("violations", "settings", "Settings of this resource that break a rule.")


class RuleChoice(Params):
    """One rule: its name, and what it looks at."""

    visibility_timeout: VisibilityTimeout | None = Field(None, description="Queues hide messages long enough.")
    batch_size: BatchSize | None = Field(None, description="Functions take small batches.")
    retention: Retention | None = Field(None, description="Queues keep messages long enough.")
    dead_letter_queue: DeadLetterQueue | None = Field(None, description="Queues have one that outlives them.")
    function_timeout: FunctionTimeout | None = Field(None, description="Functions give up in time.")
    environment: Environment | None = Field(None, description="A function's variables are the last good ones.")
    machine_timeout: MachineTimeout | None = Field(None, description="State machines give up, waiting tasks heartbeat.")
    database: Database | None = Field(None, description="RDS instances have backups and a standby.")
    bucket: Bucket | None = Field(None, description="Buckets are versioned, replicated or tiered.")
    policies: Policies | None = Field(None, description="Policies pass IAM Access Analyzer's checks.")
    alarms: RequiredAlarms | None = Field(None, description="Alarms exist, tell somebody and can fire.")
    custom: Custom | None = Field(None, description="Any read whose result has to be something.")

    @model_validator(mode="after")
    def _one(self) -> RuleChoice:
        if len(self.model_fields_set) != 1 or self.rule is None:
            raise ValueError(f"a rule is one of {', '.join(type(self).model_fields)}, with its parameters")
        return self

    @property
    def name(self) -> str:
        """Which one was chosen."""
        return next(iter(self.model_fields_set), "")

    @property
    def rule(self) -> Rule:
        """The chosen one."""
        chosen: Rule = getattr(self, self.name)
        return chosen


class ConfigDrift(Params):
    """The rules."""

    rules: tuple[RuleChoice, ...] = Field(min_length=1, max_length=100, description="Rules, each over its resources.")


async def probe(params: ConfigDrift, ctx: ProbeContext) -> Sequence[Observation]:
    """All rules at once, their findings joined by target."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_inspect(choice.rule, ctx)) for choice in params.rules]
    by_target: dict[str, list[Finding]] = {}
    for task in tasks:
        findings = task.result()
        if isinstance(findings, ProbeError):
            raise findings
        for finding in findings:
            by_target.setdefault(finding.target, []).append(finding)
    return [_observe(target, findings, ctx) for target, findings in sorted(by_target.items())]


async def _inspect(rule: Rule, ctx: ProbeContext) -> list[Finding] | ProbeError:
    """Its findings; resources that can't even be listed are unknown if config names them, else nobody knows whom."""
    found = await attempt(rule.inspect(ctx))
    if isinstance(found, ProbeError) and not rule.discovers:
        return [Finding(target, error=found) for target in rule.targets]
    return found


def _observe(target: str, findings: Sequence[Finding], ctx: ProbeContext) -> Observation:
    failed = next((finding.error for finding in findings if finding.error), None)
    if failed is not None:
        return unknown([VIOLATIONS], target, failed)[0]
    wrong = [text for finding in findings for text in finding.wrong]
    return observe(VIOLATIONS, target, len(wrong), ctx.now, detail="; ".join(wrong))


def operations(params: ConfigDrift) -> list[OperationUse]:
    """The reads of custom rules."""
    return [
        choice.custom.use(("rules", index, "custom", "parameters"))
        for index, choice in enumerate(params.rules)
        if choice.custom is not None
    ]


class _Kind(Check[ConfigDrift]):
    """Targets are inside the rules."""

    def targets(self, params: ConfigDrift) -> tuple[str, ...]:
        """Those that config names."""
        return tuple(dict.fromkeys(name for choice in params.rules for name in choice.rule.targets))


def needs(params: ConfigDrift) -> list[Permission]:
    """For IAM: what one configuration asks; a custom rule's call is known by its operation."""
    return [permission for choice in params.rules for permission in choice.rule.needs()]


CHECK: Check[ConfigDrift] = _Kind(
    kind="config_drift",
    summary="Settings that break a rule: timeouts, retention, dead-letter queues, backups, alarms, variables.",
    params=ConfigDrift,
    probe=probe,
    signals=(VIOLATIONS,),
    defaults={"violations": SignalSpec(warning=Bound(above=0))},
    permissions=(
        "lambda:GetFunctionConfiguration",
        "lambda:ListEventSourceMappings",
        "lambda:ListFunctions",
        "sqs:GetQueueUrl",
        "sqs:GetQueueAttributes",
        "sqs:ListQueues",
        "states:DescribeStateMachine",
        *DISCOVERY,
        "rds:DescribeDBInstances",
        "s3:GetBucketVersioning",
        "s3:GetReplicationConfiguration",
        "s3:GetLifecycleConfiguration",
        "s3:GetBucketPolicy",
        "iam:ListRolePolicies",
        "iam:GetRolePolicy",
        "access-analyzer:ValidatePolicy",
        "cloudwatch:DescribeAlarms",
    ),
    cost="Per resource and rule one to three free calls; settings change rarely, so an hour between runs is enough.",
    example="""\
prevention:
  kind: config_drift
  rules:
    - visibility_timeout: {lambda_functions: fluxa-processor}
    - retention: {queues: fluxa-events, at_least: 4d}
    - machine_timeout: {state_machines: etl-workflow, at_most: 10m}
    - database: {databases: fluxa, backups: 7d}
""",
    interval=timedelta(hours=1),
    operations=operations,
    roaming=lambda params: any(choice.rule.discovers for choice in params.rules),
    needs=needs,
)
