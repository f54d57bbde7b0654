"""List prices of what pipelines use, for cost rates: dollars, us-east-1, before free tiers, read 2026-11.

Pure data. Each price names the page it stands on and its unit, so that a reader can check it; config may override any
of them, because contracts and regions differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars for one `unit`; `source` is the AWS pricing page."""

    dollars: float
    unit: str
    source: str


USAGE: Mapping[str, Price] = {
    "states.transition": Price(0.025 / 1000, "state transition (standard)", "AWS Step Functions pricing"),
    "states.express_request": Price(1.00 / 1e6, "request (express)", "AWS Step Functions pricing"),
    "states.express_gb_second": Price(0.00001667, "GB-second (express)", "AWS Step Functions pricing"),
    "lambda.request": Price(0.20 / 1e6, "request", "AWS Lambda pricing"),
    "lambda.gb_second": Price(0.0000166667, "GB-second (x86)", "AWS Lambda pricing"),
    "lambda.gb_second_arm": Price(0.0000133334, "GB-second (Arm)", "AWS Lambda pricing"),
    "s3.put": Price(0.005 / 1000, "PUT, COPY, POST or LIST request (Standard)", "Amazon S3 pricing"),
    "s3.get": Price(0.0004 / 1000, "GET request (Standard)", "Amazon S3 pricing"),
    "dynamodb.write_unit": Price(0.625 / 1e6, "write request unit (on demand)", "Amazon DynamoDB on-demand pricing"),
    "dynamodb.read_unit": Price(0.125 / 1e6, "read request unit (on demand)", "Amazon DynamoDB on-demand pricing"),
    "events.event": Price(1.00 / 1e6, "custom event", "Amazon EventBridge pricing"),
    "sqs.request": Price(0.40 / 1e6, "request (standard)", "Amazon SQS pricing"),
    "sqs.fifo_request": Price(0.50 / 1e6, "request (FIFO)", "Amazon SQS pricing"),
    "sns.publish": Price(0.50 / 1e6, "publish", "Amazon SNS pricing"),
    "logs.gb_ingested": Price(0.50, "GB ingested", "Amazon CloudWatch pricing"),
    "logs.gb_scanned": Price(0.005, "GB scanned by Insights", "Amazon CloudWatch pricing"),
    "cloudwatch.metric": Price(0.01 / 1000, "metric asked of GetMetricData", "Amazon CloudWatch pricing"),
    "apigateway.rest_request": Price(3.50 / 1e6, "REST request", "Amazon API Gateway pricing"),
    "glue.dpu_hour": Price(0.44, "DPU-hour", "AWS Glue pricing"),
    "ce.request": Price(0.01, "Cost Explorer request (each page)", "AWS Cost Management pricing"),
}
