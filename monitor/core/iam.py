"""IAM as data: what a request needs, what a policy allows, and how resources are named. Pure.

Names of actions and which of them take resources: AWS's Service Authorization Reference, read 2026-11. Evaluation: IAM
user guide, "Policy evaluation logic" and "JSON policy elements" (identity policies only: no boundaries, no SCPs).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: IAM's prefix where it differs from the SDK's name of the service.
PREFIXES: Mapping[str, str] = {
    "stepfunctions": "states", "resourcegroupstaggingapi": "tag", "service-quotas": "servicequotas",
    "apigatewayv2": "apigateway", "elb": "elasticloadbalancing", "elbv2": "elasticloadbalancing",
    "emr": "elasticmapreduce", "opensearch": "es", "efs": "elasticfilesystem", "mwaa": "airflow", "amp": "aps",
    "timestream-query": "timestream", "timestream-write": "timestream", "dynamodbstreams": "dynamodb",
    "accessanalyzer": "access-analyzer", "kinesisanalyticsv2": "kinesisanalytics", "sesv2": "ses", "neptune": "rds",
    "docdb": "rds",
}  # fmt: skip

#: Where the action is not called like the operation.
_ACTIONS: Mapping[str, tuple[str, ...]] = {
    "lambda:Invoke": ("lambda:InvokeFunction",),
    "s3:ListObjects": ("s3:ListBucket",),
    "s3:ListObjectsV2": ("s3:ListBucket",),
    "s3:HeadBucket": ("s3:ListBucket",),
    "s3:HeadObject": ("s3:GetObject",),
    "s3:ListObjectVersions": ("s3:ListBucketVersions",),
    "s3:ListBuckets": ("s3:ListAllMyBuckets",),
    "s3:DeleteObjects": ("s3:DeleteObject",),
    "s3:CopyObject": ("s3:GetObject", "s3:PutObject"),
    "s3:GetBucketReplication": ("s3:GetReplicationConfiguration",),
    "s3:PutBucketReplication": ("s3:PutReplicationConfiguration",),
    "s3:GetBucketNotificationConfiguration": ("s3:GetBucketNotification",),
    "s3:PutBucketNotificationConfiguration": ("s3:PutBucketNotification",),
    "s3:GetBucketLifecycleConfiguration": ("s3:GetLifecycleConfiguration",),
    "s3:PutBucketLifecycleConfiguration": ("s3:PutLifecycleConfiguration",),
    "s3:DeleteBucketLifecycle": ("s3:PutLifecycleConfiguration",),
    "s3:GetBucketIntelligentTieringConfiguration": ("s3:GetIntelligentTieringConfiguration",),
    "s3:PutBucketIntelligentTieringConfiguration": ("s3:PutIntelligentTieringConfiguration",),
    "s3:GetBucketEncryption": ("s3:GetEncryptionConfiguration",),
    "s3:GetPublicAccessBlock": ("s3:GetBucketPublicAccessBlock",),
    "sqs:SendMessageBatch": ("sqs:SendMessage",),
    "sqs:DeleteMessageBatch": ("sqs:DeleteMessage",),
    "sqs:ChangeMessageVisibilityBatch": ("sqs:ChangeMessageVisibility",),
    "sns:PublishBatch": ("sns:Publish",),
    "budgets:DescribeBudget": ("budgets:ViewBudget",),
    "budgets:DescribeBudgets": ("budgets:ViewBudget",),
    "budgets:UpdateBudget": ("budgets:ModifyBudget",),
    "sts:GetCallerIdentity": (),  # needs no permission
    "sts:GetSessionToken": (),
    "dynamodb:TransactWriteItems": (
        "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem",
    ),
    "dynamodb:TransactGetItems": ("dynamodb:GetItem",),
    "dynamodb:ExecuteStatement": ("dynamodb:PartiQLSelect",),
    "dynamodb:DescribeTimeToLive": ("dynamodb:DescribeTimeToLive",),
}  # fmt: skip

_VERBS = (
    ("Get", "GET"), ("Update", "PATCH"), ("Delete", "DELETE"), ("Flush", "DELETE"), ("Create", "POST"),
    ("Put", "PUT"), ("Import", "POST"), ("Tag", "PUT"), ("Untag", "DELETE"), ("Test", "POST"),
)  # fmt: skip


def actions_of(aws_service: str, operation: str) -> tuple[str, ...]:
    """The IAM actions that one call needs; empty for a call that anybody may make."""
    name = f"{aws_service}:{operation}"
    if name in _ACTIONS:
        return _ACTIONS[name]
    prefix = PREFIXES.get(aws_service, aws_service)
    if prefix == "apigateway":  # its actions are the methods of HTTP
        return tuple(f"apigateway:{method}" for verb, method in _VERBS if operation.startswith(verb))[:1]
    return (f"{prefix}:{operation}",)


# --- how resources are named ------------------------------------------------------------------------------------------

#: By kind of resource; `{name}` is what config calls it.
ARNS: Mapping[str, str] = {
    "function": "arn:{partition}:lambda:{region}:{account}:function:{name}",
    "event_source": "arn:{partition}:lambda:{region}:{account}:event-source-mapping:{name}",
    "queue": "arn:{partition}:sqs:{region}:{account}:{name}",
    "topic": "arn:{partition}:sns:{region}:{account}:{name}",
    "machine": "arn:{partition}:states:{region}:{account}:stateMachine:{name}",
    "execution": "arn:{partition}:states:{region}:{account}:execution:{name}:*",
    "rule": "arn:{partition}:events:{region}:{account}:rule/{name}",
    "schedule": "arn:{partition}:scheduler:{region}:{account}:schedule/{name}",
    "table": "arn:{partition}:dynamodb:{region}:{account}:table/{name}",
    "backup": "arn:{partition}:dynamodb:{region}:{account}:table/{name}/backup/*",
    "scalable_target": "arn:{partition}:application-autoscaling:{region}:{account}:scalable-target/{name}",
    "bucket": "arn:{partition}:s3:::{name}",
    "object": "arn:{partition}:s3:::{name}",
    "job": "arn:{partition}:glue:{region}:{account}:job/{name}",
    "log_group": "arn:{partition}:logs:{region}:{account}:log-group:{name}:*",
    "cluster": "arn:{partition}:kafka:{region}:{account}:cluster/{name}/*",
    "stack": "arn:{partition}:cloudformation:{region}:{account}:stack/{name}/*",
    "database": "arn:{partition}:rds:{region}:{account}:db:{name}",
    "deployment_group": "arn:{partition}:codedeploy:{region}:{account}:deploymentgroup:{name}",
    "graphql_api": "arn:{partition}:appsync:{region}:{account}:apis/{name}",
    "user_pool": "arn:{partition}:cognito-idp:{region}:{account}:userpool/{name}",
    "distribution": "arn:{partition}:cloudfront::{account}:distribution/{name}",
    "rest_api": "arn:{partition}:apigateway:{region}::/restapis{name}",
    "alarm": "arn:{partition}:cloudwatch:{region}:{account}:alarm:{name}",
    "budget": "arn:{partition}:budgets::{account}:budget/{name}",
    "parameter": "arn:{partition}:ssm:{region}:{account}:parameter/{name}",
    "secret": "arn:{partition}:secretsmanager:{region}:{account}:secret:{name}",
    "role": "arn:{partition}:iam::{account}:role/{name}",
    "quota": "arn:{partition}:servicequotas:{region}:{account}:{name}",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Where:
    """What stands in an ARN before the name. `*` for what is not known."""

    partition: str = "aws"
    region: str = "*"
    account: str = "*"


def arn_of(kind: str, name: str, where: Where) -> str:
    """The ARN of a resource of a kind by its name, which may be a glob, an ARN or (of a queue) a URL."""
    if name.startswith(("http://", "https://")):
        *_, account, name = name.rstrip("/").split("/")
        where = Where(where.partition, where.region, account)
    if name.startswith("arn:"):
        _, partition, _, region, account, tail = name.split(":", 5)
        if kind == "cluster":
            return name
        where = Where(partition, region or where.region, account or where.account)
        name = _name_in(kind, tail)
    if kind == "parameter":
        name = name.lstrip("/")
    if kind == "role" and name == "*":
        where = Where(where.partition, where.region, where.account)
    return ARNS[kind].format(partition=where.partition, region=where.region, account=where.account, name=name)


def _name_in(kind: str, tail: str) -> str:
    """The name in what follows an ARN's account."""
    if kind in ("queue", "topic", "bucket", "object", "quota"):
        return tail
    if kind == "log_group":
        return tail.removeprefix("log-group:").removesuffix(":*")
    if kind == "function":
        return tail.removeprefix("function:")
    if kind == "execution" and tail.startswith("stateMachine:"):
        return tail.split(":")[1]
    if kind == "rest_api":
        return tail.removeprefix("/restapis")
    head = re.split("[:/]", tail, maxsplit=1)
    name = head[1] if len(head) > 1 else tail
    return name.split("/")[0] if kind in ("backup", "stack") else name


# --- what a request is about ------------------------------------------------------------------------------------------

#: (service, parameter in lower case) -> kind of resource it names.
_NAMED: Mapping[str, Mapping[str, str]] = {
    "lambda": {"uuid": "event_source", "functionname": "function"},
    "sqs": {"queueurl": "queue", "queuename": "queue", "sourcearn": "queue"},
    "sns": {"topicarn": "topic", "targetarn": "topic"},
    "stepfunctions": {"executionarn": "execution", "statemachinearn": "machine"},
    "dynamodb": {"backuparn": "backup", "tablename": "table"},
    "glue": {"jobname": "job"},
    "logs": {"loggroupname": "log_group", "loggroupnames": "log_group"},
    "kafka": {"clusterarn": "cluster"},
    "ssm": {"name": "parameter"},
    "secretsmanager": {"secretid": "secret"},
    "cloudformation": {"stackname": "stack"},
    "rds": {"dbinstanceidentifier": "database"},
    "appsync": {"apiid": "graphql_api"},
    "cognito-idp": {"userpoolid": "user_pool"},
    "cloudfront": {"id": "distribution"},
    "budgets": {"budgetname": "budget"},
    "iam": {"rolename": "role"},
    "sts": {"rolearn": "role"},
}  # fmt: skip

#: Actions on which IAM knows no resource (or, of DescribeAlarms and composite alarms, only all of them).
_ACCOUNT_WIDE = re.compile(
    r"cloudwatch:(Get|List|Describe|Put(?!MetricAlarm)).*|tag:.*|ce:.*|cloudtrail:LookupEvents|synthetics:Describe.*"
    r"|appsync:(List.*|.*ApiCache|.*Resolver)|application-autoscaling:Describe.*|codedeploy:StopDeployment"
    r"|cloudfront:List.*|cognito-idp:ListUserPools|dynamodb:(ListTables|ListBackups)|kafka:ListClusters.*"
    r"|events:(ListEventBuses|ListRuleNamesByTarget|ListRules|TestEventPattern)"
    r"|lambda:(GetAccountSettings|ListFunctions|ListEventSourceMappings)"
    r"|logs:(DescribeExportTasks|DescribeLogGroups|StopQuery|GetQueryResults)"
    r"|s3:ListAllMyBuckets|scheduler:ListSchedules|sqs:ListQueues|states:ListStateMachines"
    r"|servicequotas:(GetAWSDefaultServiceQuota|List.*)|iam:(?!(Get|Put|Delete)RolePolicy$).*(?<!PassRole)(?<!CreateServiceLinkedRole)"
)


#: A resource that the request itself does not name: it is taken as allowed wherever its action is.
UNKNOWN = ""


def is_account_wide(action: str) -> bool:
    """Whether a policy can't narrow this action to resources."""
    return _ACCOUNT_WIDE.fullmatch(action) is not None


def resources_of(
    aws_service: str, operation: str, params: Mapping[str, Any], where: Where, action: str
) -> tuple[str, ...]:
    """The ARNs that a request's action is authorised on; `*` where it names none (or none that we know)."""
    if is_account_wide(action):
        return ("*",)
    low = {name.lower(): value for name, value in params.items()}
    special = _special(aws_service, operation, low, where)
    if special is not None:
        return special
    for name, kind in _NAMED.get(aws_service, {}).items():
        if value := low.get(name):
            values = value if isinstance(value, (list, tuple)) else [value]
            return tuple(_requested(kind, str(one), low, where) for one in values)
    return ("*",)


def _requested(kind: str, name: str, low: Mapping[str, Any], where: Where) -> str:
    if kind == "execution":  # an execution's ARN is exact
        return name
    if kind == "backup":
        return name
    if kind == "function" and low.get("qualifier") and ":" not in name.removeprefix("arn:").split("function:")[-1]:
        name = f"{name}:{low['qualifier']}"
    found = arn_of(kind, name, where)
    return f"{found[:-1]}log-stream:" if kind == "log_group" else found


def _special(aws_service: str, operation: str, low: Mapping[str, Any], where: Where) -> tuple[str, ...] | None:
    if aws_service == "s3" and low.get("bucket"):
        key = low.get("key")
        kind, name = ("object", f"{low['bucket']}/{key}") if key else ("bucket", str(low["bucket"]))
        return (arn_of(kind, name, where),)
    if aws_service == "events":
        if arn := low.get("resourcearn"):
            return (str(arn),)
        rule, bus = low.get("rule") or low.get("name"), str(low.get("eventbusname") or "default").rsplit("/", 1)[-1]
        if rule:
            return (arn_of("rule", str(rule) if bus == "default" else f"{bus}/{rule}", where),)
    if aws_service == "scheduler" and low.get("name"):
        return (arn_of("schedule", f"{low.get('groupname') or 'default'}/{low['name']}", where),)
    if aws_service == "codedeploy":
        if low.get("applicationname"):
            return (
                arn_of("deployment_group", f"{low['applicationname']}/{low.get('deploymentgroupname', '*')}", where),
            )
        return (UNKNOWN,)  # a deployment's id says nothing of its group
    if aws_service == "budgets" and isinstance(new := low.get("newbudget"), Mapping):
        return (arn_of("budget", str(new.get("BudgetName")), where),)
    if aws_service == "application-autoscaling":
        return (arn_of("scalable_target", "*", where),)
    if aws_service in ("service-quotas", "servicequotas") and low.get("quotacode"):
        return (arn_of("quota", f"{low.get('servicecode')}/{low.get('quotacode')}", where),)
    if aws_service == "apigateway":
        path = "".join(
            f"/{part}{low[name]}" for part, name in (("", "restapiid"), ("stages/", "stagename")) if low.get(name)
        )
        return (arn_of("rest_api", path, where),)
    if aws_service == "rds" and operation == "DescribeDBInstances":
        return (arn_of("database", str(low.get("dbinstanceidentifier") or "*"), where),)
    if aws_service == "cloudformation" and operation == "DescribeStacks" and not low.get("stackname"):
        return (arn_of("stack", "*", where),)
    return None


# --- what a policy allows ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Demand:
    """One thing to be authorised. `tags` are the resource's; `keys` condition keys in lower case."""

    action: str
    resource: str
    keys: Mapping[str, str] = field(default_factory=dict)


def matches(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    """IAM's wildcards: `*` any run of characters, `?` exactly one."""
    rule = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.fullmatch(rule, text, re.DOTALL | (re.IGNORECASE if ignore_case else 0)) is not None


def allows(statements: Sequence[Mapping[str, Any]], demand: Demand) -> bool:
    """Whether identity policies with these statements allow it: some Allow applies and no Deny does."""
    effects = {str(one.get("Effect", "Allow")) for one in statements if _applies(one, demand)}
    return "Allow" in effects and "Deny" not in effects


def _applies(statement: Mapping[str, Any], demand: Demand) -> bool:
    if not any(matches(one, demand.action, ignore_case=True) for one in _listed(statement.get("Action"))):
        return False
    resources = _listed(statement.get("Resource"))
    if demand.resource != UNKNOWN and not any(matches(one, demand.resource) for one in resources):
        return False
    for operator, wanted in (statement.get("Condition") or {}).items():
        for key, values in wanted.items():
            if not _holds(operator, demand.keys.get(key.lower()), _listed(values)):
                return False
    return True


def _holds(operator: str, given: str | None, values: Sequence[str]) -> bool:
    if given is None:
        return operator.endswith("IfExists")
    operator = operator.removesuffix("IfExists")
    if operator == "StringEquals":
        return given in values
    if operator in ("StringLike", "ArnLike", "ArnEquals"):
        return any(matches(one, given) for one in values)
    raise ValueError(f"the condition operator {operator} is not known here")


def _listed(value: Any) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)
