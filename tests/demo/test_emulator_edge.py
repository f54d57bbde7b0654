"""CloudFront, AWS Health, Access Analyzer, and requests for quotas."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.process

ORIGIN = {"Id": "site", "DomainName": "site.s3.amazonaws.com", "S3OriginConfig": {"OriginAccessIdentity": ""}}
CONFIG = {
    "CallerReference": "id:ESITE00",
    "Origins": {"Quantity": 1, "Items": [ORIGIN]},
    "DefaultCacheBehavior": {"TargetOriginId": "site", "ViewerProtocolPolicy": "https-only", "CachePolicyId": "c"},
    "Comment": "kept",
    "Enabled": True,
}


async def test_a_distribution_is_a_document_under_an_etag(aws, side):
    """Written back whole, only under the present ETag; the rest of it stays as it was sent."""
    front = await aws("cloudfront")
    made = await front.create_distribution(DistributionConfig=CONFIG)
    assert made["Distribution"]["Id"] == "ESITE00"
    told = await front.get_distribution_config(Id="ESITE00")
    assert told["ETag"] == made["ETag"]
    config = told["DistributionConfig"]
    assert (config["Comment"], config["Origins"]["Items"][0]["DomainName"]) == ("kept", ORIGIN["DomainName"])
    assert "CustomErrorResponses" not in config

    page = {"ErrorCode": 503, "ResponsePagePath": "/m.html", "ResponseCode": "503", "ErrorCachingMinTTL": 5}
    config["CustomErrorResponses"] = {"Quantity": 1, "Items": [page]}
    await front.update_distribution(Id="ESITE00", IfMatch=told["ETag"], DistributionConfig=config)
    now = await front.get_distribution(Id="ESITE00")
    assert now["Distribution"]["DistributionConfig"]["CustomErrorResponses"]["Items"] == [page]
    assert now["ETag"] != told["ETag"]
    with pytest.raises(ClientError, match="PreconditionFailed"):
        await front.update_distribution(Id="ESITE00", IfMatch=told["ETag"], DistributionConfig=config)
    page.pop("ResponseCode")
    with pytest.raises(ClientError, match="InvalidArgument"):
        await front.update_distribution(Id="ESITE00", IfMatch=now["ETag"], DistributionConfig=config)
    with pytest.raises(ClientError, match="NoSuchDistribution"):
        await front.get_distribution_config(Id="EGONE00")


async def test_health_wants_a_support_plan_and_then_filters(aws, side):
    """Refused without a plan; with one, events by service and status."""
    health = await aws("health")
    with pytest.raises(ClientError, match="SubscriptionRequiredException"):
        await health.describe_events(filter={"services": ["LAMBDA"]})
    events = [
        {"arn": "a", "service": "LAMBDA", "region": "us-east-1", "statusCode": "open"},
        {"arn": "b", "service": "RDS", "region": "us-east-1", "statusCode": "closed"},
    ]
    await side.post("health", events=events)
    told = await health.describe_events(filter={"services": ["LAMBDA", "RDS"], "eventStatusCodes": ["open"]})
    assert [one["arn"] for one in told["events"]] == ["a"]
    assert len((await health.describe_events())["events"]) == 2


async def test_an_analyzer_tells_its_findings_and_policies_are_checked(aws, side):
    """No analyzer until one is told; archived findings can be left out; a star where it hurts is found."""
    analyzer = await aws("accessanalyzer")
    assert (await analyzer.list_analyzers())["analyzers"] == []
    await side.post("analyzer", findings=[{"resource": "arn:aws:s3:::open"}, {"resource": "x", "status": "ARCHIVED"}])
    (one,) = (await analyzer.list_analyzers())["analyzers"]
    told = await analyzer.list_findings(analyzerArn=one["arn"], filter={"status": {"eq": ["ACTIVE"]}})
    assert [finding["resource"] for finding in told["findings"]] == ["arn:aws:s3:::open"]

    async def codes(*statements: dict[str, object]) -> set[str]:
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        told = await analyzer.validate_policy(policyDocument=document, policyType="IDENTITY_POLICY")
        return {finding["issueCode"] for finding in told["findings"]}

    assert await codes({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::raw/*"}) == set()
    assert await codes({"Effect": "Allow", "Action": ["iam:PassRole"], "Resource": "*"}) == {
        "PASS_ROLE_WITH_STAR_IN_RESOURCE"
    }
    assert await codes({"Effect": "Allow", "Action": "getobject", "Resource": "*"}) == {"INVALID_ACTION"}


async def test_one_request_for_a_quota_is_open_at_a_time(aws, side):
    """A second is refused while AWS decides; approved, the value is applied."""
    quotas = await aws("service-quotas")
    asked = {"ServiceCode": "lambda", "QuotaCode": "L-B99A9384"}
    await side.post("service-quotas", quotas=[{"service": "lambda", "code": "L-B99A9384", "default": 1000}])
    with pytest.raises(ClientError, match="IllegalArgumentException"):
        await quotas.request_service_quota_increase(**asked, DesiredValue=900)
    made = await quotas.request_service_quota_increase(**asked, DesiredValue=2000)
    assert made["RequestedQuota"]["Status"] == "PENDING"
    with pytest.raises(ClientError, match="ResourceAlreadyExistsException"):
        await quotas.request_service_quota_increase(**asked, DesiredValue=3000)
    assert (await side.post("quota-requests", status="APPROVED"))["count"] == 1
    assert (await quotas.get_service_quota(**asked))["Quota"]["Value"] == 2000
    told = await quotas.list_requested_service_quota_change_history_by_quota(**asked)
    assert [one["Status"] for one in told["RequestedQuotas"]] == ["APPROVED"]


async def test_a_bucket_that_is_not_there_is_not_found(aws, side):
    """HeadBucket has no body to say it with: the status does."""
    s3 = await aws("s3")
    with pytest.raises(ClientError) as told:
        await s3.head_bucket(Bucket="nowhere-at-all")
    assert told.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


async def test_a_topic_gets_partitions_and_never_loses_any(aws, side):
    """Created, widened; fewer are refused, and so is a topic that is not there."""
    kafka = await aws("kafka")
    group = {"InstanceType": "kafka.m5.large", "ClientSubnets": ["subnet-1"]}
    made = await kafka.create_cluster(
        ClusterName="c", KafkaVersion="3.6.0", NumberOfBrokerNodes=3, BrokerNodeGroupInfo=group
    )
    topic = {"ClusterArn": made["ClusterArn"], "TopicName": "events"}
    with pytest.raises(ClientError, match="NotFoundException"):
        await kafka.describe_topic(**topic)
    await kafka.create_topic(**topic, PartitionCount=12, ReplicationFactor=3)
    await kafka.update_topic(**topic, PartitionCount=24)
    told = await kafka.describe_topic(**topic)
    assert (told["PartitionCount"], told["ReplicationFactor"]) == (24, 3)
    with pytest.raises(ClientError, match="can't be decreased"):
        await kafka.update_topic(**topic, PartitionCount=6)


async def test_a_security_group_can_be_given_its_id(aws, side):
    """By the tag; without it moto chooses."""
    ec2 = await aws("ec2")
    tags = [{"ResourceType": "security-group", "Tags": [{"Key": "_custom_id_", "Value": "sg-chosen"}]}]
    assert (await ec2.create_security_group(GroupName="a", Description="a", TagSpecifications=tags))[
        "GroupId"
    ] == "sg-chosen"
    other = (await ec2.create_security_group(GroupName="b", Description="b"))["GroupId"]
    told = await ec2.describe_security_groups(GroupIds=["sg-chosen", other])
    assert {one["GroupName"] for one in told["SecurityGroups"]} == {"a", "b"}
