"""What the newer kinds ask, and what they read of replies, exists in AWS's own service models."""

from __future__ import annotations

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

#: (service, operation, parameters as a kind sends them, paths it reads of the reply).
CALLS = [
    ("kafka", "ListClustersV2", {"ClusterNameFilter": "x"},
     ["ClusterInfoList.ClusterName", "ClusterInfoList.ClusterArn"]),
    ("kafka", "ListNodes", {"ClusterArn": "arn"}, ["NodeInfoList.BrokerNodeInfo.BrokerId"]),
    ("glue", "GetJobRuns", {"JobName": "j", "MaxResults": 200},
     ["JobRuns.JobRunState", "JobRuns.StartedOn", "JobRuns.CompletedOn", "JobRuns.LastModifiedOn",
      "JobRuns.ExecutionTime", "NextToken"]),
    ("cloudwatch", "ListMetrics", {"Namespace": "AWS/Kafka", "MetricName": "SumOffsetLag",
                                   "Dimensions": [{"Name": "Topic", "Value": "t"}]}, ["Metrics.MetricName"]),
    ("logs", "StartQuery", {"logGroupNames": ["g"], "startTime": 1, "endTime": 2, "queryString": "q", "limit": 1000},
     ["queryId"]),
    ("logs", "GetQueryResults", {"queryId": "q"}, ["status", "results.field", "results.value"]),
    ("logs", "StopQuery", {"queryId": "q"}, []),
    ("logs", "FilterLogEvents", {"logGroupName": "g", "startTime": 1, "endTime": 2, "filterPattern": "p"},
     ["events.message", "nextToken"]),
    ("cloudtrail", "LookupEvents", {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "x"}]},
     ["Events.CloudTrailEvent", "NextToken"]),
    ("s3", "ListObjectsV2", {"Bucket": "bucket", "Prefix": "p"},
     ["Contents.Key", "Contents.LastModified", "IsTruncated"]),
    ("s3", "GetBucketNotificationConfiguration", {"Bucket": "bucket"},
     ["EventBridgeConfiguration", "LambdaFunctionConfigurations.LambdaFunctionArn", "QueueConfigurations.QueueArn",
      "TopicConfigurations.TopicArn", "QueueConfigurations.Filter.Key.FilterRules.Name"]),
    ("events", "ListRules", {"EventBusName": "default", "NamePrefix": "x"},
     ["Rules.EventPattern", "Rules.State", "Rules.Name"]),
    ("events", "ListTargetsByRule", {"Rule": "r", "EventBusName": "default"}, ["Targets.Arn"]),
    ("sns", "ListSubscriptionsByTopic", {"TopicArn": "arn"}, ["Subscriptions.Protocol", "Subscriptions.Endpoint"]),
    ("lambda", "ListEventSourceMappings", {"EventSourceArn": "arn"},
     ["EventSourceMappings.State", "EventSourceMappings.FunctionArn"]),
    ("lambda", "GetFunctionConfiguration", {"FunctionName": "f"}, ["Environment.Variables"]),
    ("sqs", "ListDeadLetterSourceQueues", {"QueueUrl": "u"}, ["queueUrls"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("service", "name", "params", "paths"), CALLS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_call_fits(service: str, name: str, params: dict[str, object], paths: list[str]) -> None:
    """Parameters are valid, and every field read stands in the reply's model."""
    model = ServiceModel(Loader().load_service_model(service, "service-2"), service).operation_model(name)
    report = ParamValidator().validate(params, model.input_shape)
    assert not report.has_errors(), report.generate_report()
    for path in paths:
        shape = model.output_shape
        for step in path.split("."):
            while shape.type_name == "list":
                shape = shape.member
            assert step in shape.members, f"{name}: {step} of {path}"
            shape = shape.members[step]
