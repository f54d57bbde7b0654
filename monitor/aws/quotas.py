"""What AWS allows per account and region: burst (requests) and refill (requests per second) of each API bucket.

Defaults only: a bucket is corrected by what AWS refuses, and settings override any entry by `service:Operation` or
`service`. Sources, all read 2026-11: Step Functions, CloudWatch, Lambda, EventBridge, Logs service-quota pages;
CloudTrail LookupEvents and Service Quotas API references. Where AWS publishes no figure (SQS, tagging, most control
planes) the value is a deliberately low guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: Regions with the larger Step Functions buckets.
LARGE_REGIONS = frozenset({"us-east-1", "us-west-2", "eu-west-1"})

#: Other names people use for a service, and its name in the SDK.
ALIASES: Mapping[str, str] = {
    "states": "stepfunctions", "sfn": "stepfunctions", "monitoring": "cloudwatch", "eventbridge": "events",
    "tagging": "resourcegroupstaggingapi", "tag": "resourcegroupstaggingapi", "costexplorer": "ce",
    "apigatewayv1": "apigateway", "cloudwatchlogs": "logs",
}  # fmt: skip


def sdk_service(name: str) -> str:
    """The SDK's name of a service (`states` -> `stepfunctions`)."""
    return ALIASES.get(name, name)


@dataclass(frozen=True, slots=True)
class Quota:
    """`burst` requests at once, then `refill` per second. `bucket` names who shares it within (account, region)."""

    bucket: str
    burst: float
    refill: float


#: operation: (burst, refill) in large regions, (burst, refill) elsewhere.
_STEP_FUNCTIONS: Mapping[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "ListExecutions": ((200, 5), (100, 2)),
    "DescribeExecution": ((300, 15), (250, 10)),
    "GetExecutionHistory": ((400, 20), (400, 20)),
    "StopExecution": ((1000, 200), (500, 25)),
    "StartExecution": ((1300, 300), (800, 150)),
    "RedriveExecution": ((1300, 300), (800, 150)),
    "ListStateMachines": ((100, 5), (100, 5)),
    "DescribeStateMachine": ((200, 20), (200, 20)),
    "": ((100, 5), (100, 5)),
}

#: Operations with a bucket of their own; the rest of the service shares the entry "".
_SERVICES: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "cloudwatch": {
        "GetMetricData": (50, 50), "GetMetricStatistics": (400, 400), "ListMetrics": (25, 25),
        "DescribeAlarms": (9, 9), "DescribeAlarmHistory": (20, 20), "PutMetricData": (500, 500),
        "SetAlarmState": (3, 3), "PutMetricAlarm": (3, 3), "EnableAlarmActions": (3, 3),
        "DisableAlarmActions": (3, 3), "": (10, 10),
    },
    "lambda": {"GetFunction": (100, 100), "GetPolicy": (15, 15), "Invoke": (1000, 1000), "": (15, 15)},
    "events": {"PutEvents": (600, 600), "": (50, 50)},
    "scheduler": {"": (50, 50)},
    "pipes": {"": (10, 10)},
    "sqs": {"StartMessageMoveTask": (10, 10), "": (3000, 3000)},
    "dynamodb": {
        "ListTables": (100, 50), "DescribeTable": (500, 500), "UpdateTable": (10, 10), "CreateBackup": (50, 10),
        "": (4000, 4000),
    },
    "s3": {"": (3500, 3500)},
    "logs": {
        "FilterLogEvents": (5, 5), "StartQuery": (5, 5), "GetQueryResults": (5, 5), "DescribeLogGroups": (10, 10),
        "DescribeLogStreams": (25, 25), "GetLogEvents": (10, 10), "": (5, 5),
    },
    "ce": {"": (5, 1)},
    "budgets": {"": (5, 2)},
    "cloudtrail": {"LookupEvents": (2, 2), "": (10, 10)},
    "resourcegroupstaggingapi": {"": (5, 5)},
    "service-quotas": {"GetServiceQuota": (5, 5), "": (10, 10)},
    "sts": {"": (600, 600)},
    "ssm": {"GetParameter": (40, 40), "": (10, 10)},
    "secretsmanager": {"GetSecretValue": (5000, 5000), "": (40, 40)},
    "apigateway": {"GetRestApis": (5, 5), "": (40, 10)},
    "sns": {"Publish": (300, 300), "": (30, 30)},
    "glue": {"": (20, 10)},
    "kafka": {"": (10, 5)},
}  # fmt: skip

_UNKNOWN_SERVICE = (20.0, 10.0)


def quota(aws_service: str, operation: str, region: str, overrides: Mapping[str, tuple[float, float]]) -> Quota:
    """The bucket that `operation` draws from in `region`. `overrides` wins: `service:Operation`, then `service`."""
    service = sdk_service(aws_service)
    if service == "stepfunctions":
        table = {op: large if region in LARGE_REGIONS else small for op, (large, small) in _STEP_FUNCTIONS.items()}
    else:
        table = dict(_SERVICES.get(service, {"": _UNKNOWN_SERVICE}))
    for name, limits in overrides.items():
        given, _, own = name.partition(":")
        if sdk_service(given) == service:
            table[own] = limits
    own = operation if operation in table else ""
    burst, refill = table[own]
    return Quota(f"{service}:{own or '*'}", float(burst), float(refill))
