"""Alarms, service quotas, canaries and clusters."""

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.process


async def alarm(client, name, **more):
    """A metric alarm."""
    await client.put_metric_alarm(
        AlarmName=name, Namespace="N", MetricName="M", Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=1,
        ComparisonOperator="GreaterThanThreshold", **more,
    )  # fmt: skip


async def test_a_new_alarm_knows_nothing_and_an_update_keeps_its_state(aws, side):
    """INSUFFICIENT_DATA until somebody evaluates it."""
    client = await aws("cloudwatch")
    await alarm(client, "a")
    (new,) = (await client.describe_alarms())["MetricAlarms"]
    assert new["StateValue"] == "INSUFFICIENT_DATA"
    await client.set_alarm_state(AlarmName="a", StateValue="ALARM", StateReason="x")
    await alarm(client, "a", AlarmDescription="changed")
    (kept,) = (await client.describe_alarms())["MetricAlarms"]
    assert (kept["StateValue"], kept["AlarmDescription"]) == ("ALARM", "changed")


@pytest.mark.parametrize(
    ("rule", "state"),
    [
        ("ALARM(a)", "ALARM"),
        ('OK("b") AND ALARM("a")', "ALARM"),
        ("NOT ALARM(a) OR ALARM(b)", "OK"),
        ("(ALARM(b) OR TRUE) AND INSUFFICIENT_DATA(c)", "ALARM"),
        ("FALSE OR NOT (OK(b) AND ALARM(a))", "OK"),
        ("ALARM(arn:aws:cloudwatch:us-east-1:123456789012:alarm:a)", "ALARM"),
    ],
)
async def test_a_composite_alarm_is_its_rule(aws, side, rule, state):
    """Names, quoted names and ARNs; AND binds closer than OR."""
    client = await aws("cloudwatch")
    for name in "abc":
        await alarm(client, name)
    await client.set_alarm_state(AlarmName="a", StateValue="ALARM", StateReason="x")
    await client.set_alarm_state(AlarmName="b", StateValue="OK", StateReason="x")
    await client.put_composite_alarm(AlarmName="all", AlarmRule=rule)
    (found,) = (await client.describe_alarms(AlarmTypes=["CompositeAlarm"]))["CompositeAlarms"]
    assert (found["StateValue"], found["AlarmRule"]) == (state, rule)


@pytest.mark.parametrize("rule", ["ALARM(nowhere)", "ALARM(a", "MAYBE(a)", ""])
async def test_a_rule_that_cannot_be_read_is_refused(aws, side, rule):
    """Also one that names no alarm."""
    client = await aws("cloudwatch")
    await alarm(client, "a")
    with pytest.raises((ClientError, ValueError), match=r"AlarmRule|length"):
        await client.put_composite_alarm(AlarmName="all", AlarmRule=rule or "()")


async def test_composite_alarms_are_shown_to_who_asks(aws, side):
    """Without AlarmTypes only metric alarms are."""
    client = await aws("cloudwatch")
    await alarm(client, "a")
    await client.put_composite_alarm(AlarmName="all", AlarmRule="ALARM(a)")
    plain = await client.describe_alarms()
    assert ([one["AlarmName"] for one in plain["MetricAlarms"]], plain["CompositeAlarms"]) == (["a"], [])
    only = await client.describe_alarms(AlarmTypes=["CompositeAlarm"])
    assert ([one["AlarmName"] for one in only["CompositeAlarms"]], only["MetricAlarms"]) == (["all"], [])


async def test_alarms_come_in_pages_and_filters_combine(aws, side):
    """Fifty unless asked; prefix and state together."""
    client = await aws("cloudwatch")
    for number in range(60):
        await alarm(client, f"{'xy'[number % 2]}{number:02}")
    await client.set_alarm_state(AlarmName="x00", StateValue="ALARM", StateReason="x")
    first = await client.describe_alarms()
    rest = await client.describe_alarms(NextToken=first["NextToken"])
    assert (len(first["MetricAlarms"]), len(rest["MetricAlarms"])) == (50, 10)
    assert "NextToken" not in rest
    few = await client.describe_alarms(MaxRecords=3, AlarmNamePrefix="y")
    assert [one["AlarmName"] for one in few["MetricAlarms"]] == ["y01", "y03", "y05"]
    bad = await client.describe_alarms(AlarmNamePrefix="x", StateValue="ALARM")
    assert [one["AlarmName"] for one in bad["MetricAlarms"]] == ["x00"]


async def test_quotas_are_what_the_door_says(aws, side):
    """A default everywhere, an applied value only where one was applied."""
    client = await aws("service-quotas")
    usage = {"MetricNamespace": "AWS/Usage", "MetricName": "CallCount", "MetricDimensions": {"Service": "S"}}
    period = {"PeriodValue": 1, "PeriodUnit": "SECOND"}
    quota = {"service": "states", "code": "L-00000001", "default": 200, "usage": usage, "period": period}
    await side.post("service-quotas", quotas=[quota])
    asked = {"ServiceCode": "states", "QuotaCode": "L-00000001"}
    with pytest.raises(ClientError, match="NoSuchResource"):
        await client.get_service_quota(**asked)
    default = (await client.get_aws_default_service_quota(**asked))["Quota"]
    assert (default["Value"], default["UsageMetric"], default["Period"]) == (200.0, usage, period)
    await side.post("service-quotas", quotas=[{**quota, "applied": 500}])
    assert (await client.get_service_quota(**asked))["Quota"]["Value"] == 500.0
    await side.post("reset")
    with pytest.raises(ClientError, match="NoSuchResource"):
        await client.get_aws_default_service_quota(**asked)


async def test_canaries_have_last_runs(aws, side):
    """Those that ran; by name if asked."""
    client = await aws("synthetics")
    assert (await client.describe_canaries_last_run())["CanariesLastRun"] == []
    await side.post("canaries", name="a", state="PASSED")
    await side.post("canaries", name="b", state="FAILED", reason="timeout")
    (found,) = (await client.describe_canaries_last_run(Names=["b"]))["CanariesLastRun"]
    assert found["LastRun"]["Status"] == {"State": "FAILED", "StateReason": "timeout"}


async def test_clusters_get_ready(aws, side):
    """ACTIVE, then whatever the door says."""
    client = await aws("kafka")
    nodes = {"InstanceType": "kafka.m5.large", "ClientSubnets": ["subnet-1"]}
    await client.create_cluster(ClusterName="x", KafkaVersion="3.6.0", NumberOfBrokerNodes=3, BrokerNodeGroupInfo=nodes)
    assert (await client.list_clusters_v2())["ClusterInfoList"][0]["State"] == "ACTIVE"
    await side.post("kafka/state", cluster="x", state="REBOOTING_BROKER")
    assert (await client.list_clusters_v2())["ClusterInfoList"][0]["State"] == "REBOOTING_BROKER"
