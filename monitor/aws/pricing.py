"""What the daemon's own requests cost, in list-price dollars (us-east-1, before any free tier).

Sources, 2026-11: the pricing pages of CloudWatch, Cost Management, SQS, S3, DynamoDB (on demand), Secrets Manager, KMS.
Control planes not named here are free. StartQuery is billed by the data it scans, which no reply says beforehand.
"""

from __future__ import annotations

from collections.abc import Mapping

#: Per metric asked of GetMetricData.
METRIC = 0.01 / 1000

_REQUESTS: Mapping[str, Mapping[str, float]] = {
    "ce": {"": 0.01},  # each page counts
    "sqs": {"": 0.40 / 1e6},
    "cloudwatch": {
        "GetMetricStatistics": 0.01 / 1000, "ListMetrics": 0.01 / 1000, "DescribeAlarms": 0.01 / 1000,
        "PutMetricData": 0.01 / 1000,
    },
    "s3": {
        "ListObjectsV2": 0.005 / 1000, "ListObjects": 0.005 / 1000, "ListObjectVersions": 0.005 / 1000,
        "PutObject": 0.005 / 1000, "CopyObject": 0.005 / 1000, "HeadObject": 0.0004 / 1000,
        "GetObject": 0.0004 / 1000, "HeadBucket": 0.0004 / 1000,
    },
    "dynamodb": {"GetItem": 0.125 / 1e6, "Query": 0.125 / 1e6, "PutItem": 0.625 / 1e6, "UpdateItem": 0.625 / 1e6},
    "secretsmanager": {"": 0.05 / 10_000},
    "sns": {"Publish": 0.50 / 1e6},
    "lambda": {"Invoke": 0.20 / 1e6},
    "events": {"PutEvents": 1.00 / 1e6},
}  # fmt: skip


def request_price(aws_service: str, operation: str) -> float:
    """Dollars of one successful request; 0 for a free one. GetMetricData is priced per metric by its caller."""
    prices = _REQUESTS.get(aws_service)
    if prices is None:
        return 0.0
    return prices.get(operation, prices.get("", 0.0))
