"""CloudWatch Logs, CloudTrail and S3's settings: what is found, and what is refused."""

import json
import time

import pytest
from botocore.exceptions import ClientError

from monitor.demo.emulator.insights import BadQuery, event_row, run
from monitor.demo.emulator.log_words import BadPattern, matches

GROUP = "/aws/lambda/ingest"
NOTE = json.dumps({"status": 429, "connector": "google", "http": {"ok": False}, "gone": None})


@pytest.mark.parametrize(
    ("pattern", "message", "found"),
    [
        ("", "anything", True),
        ("ERROR", "an ERROR here", True),
        ("ERROR", "an error here", False),
        ("ERROR db", "ERROR in web", False),
        ('"too many connections"', "FATAL: too many connections", True),
        ('"too many connections"', "too many open connections", False),
        ("?ERROR ?WARN", "a WARN", True),
        ("?ERROR ?WARN", "an INFO", False),
        ("ERROR -Timeout", "ERROR Timeout", False),
        ("-Timeout", "ERROR", True),
        ("%4[0-9]9%", "status 429", True),
        ("{ $.status = 429 }", NOTE, True),
        ("{ $.status >= 500 }", NOTE, False),
        ('{ $.connector = "goo*" }', NOTE, True),
        ('{ $.connector != "google" }', NOTE, False),
        ("{ $.status = 429 && $.http.ok IS FALSE }", NOTE, True),
        ("{ ($.status = 1) || ($.gone IS NULL) }", NOTE, True),
        ("{ $.nothing NOT EXISTS }", NOTE, True),
        ("{ $.nothing = 1 }", NOTE, False),
        ("{ $.status = 429 }", "no JSON", False),
    ],
)
def test_filter_patterns(pattern: str, message: str, found: bool) -> None:
    """By "Filter pattern syntax" of the user guide."""
    assert matches(pattern, message) is found


@pytest.mark.parametrize("pattern", ["[a, b]", "{ $.a = 1 && }", "{ ($.a = 1 }", "{ nonsense }"])
def test_what_is_not_understood_is_refused(pattern: str) -> None:
    """Rather than returning everything."""
    with pytest.raises(BadPattern):
        matches(pattern, "{}")


ROWS = [
    event_row(GROUP, "s", 1_000 * number, json.dumps({"type": kind, "took": took}))
    for number, (kind, took) in enumerate([("Timeout", 5), ("Timeout", 7), ("KeyError", 1)])
] + [event_row(GROUP, "s", 9_000, "REPORT Init Duration: 900 ms")]


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("filter @message like /Timeout/ | stats count(*) as n", [{"n": "2"}]),
        ("filter @message like /timeout/i | stats count() as n", [{"n": "2"}]),
        ('filter @message like "nothing" | stats count(*) as n', [{"n": "0"}]),
        ("filter ispresent(type) | stats count(*) as n, max(took) as most by type | sort n desc",
         [{"type": "Timeout", "n": "2", "most": "7"}, {"type": "KeyError", "n": "1", "most": "1"}]),
        ('filter type = "Timeout" and (took > 5 or took < 1) | fields took', [{"took": "7"}]),
        ("filter type in ['KeyError', 'x'] | display type, took", [{"type": "KeyError", "took": "1"}]),
        ("filter not ispresent(type) | fields @message", [{"@message": "REPORT Init Duration: 900 ms"}]),
        ("filter type not like /Time/ | stats count(*) as n", [{"n": "1"}]),
        ("fields took | sort took asc | limit 1", [{"took": "1"}]),
        ("stats count(*) by bin(5s)", [{"bin(5s)": "1970-01-01 00:00:05.000", "count(*)": "1"},
                                       {"bin(5s)": "1970-01-01 00:00:00.000", "count(*)": "3"}]),
        ("stats avg(took) as mean, count_distinct(type) as kinds", [{"mean": "4.333333333", "kinds": "2"}]),
    ],
)  # fmt: skip
def test_insights_queries(query: str, rows: list[dict[str, str]]) -> None:
    """By the query language's reference, newest event first."""
    assert run(query, ROWS, 100) == rows


@pytest.mark.parametrize(
    "query", ["parse @message /x/", "filter", "stats pct(took, 99)", "filter a = 1 b", "fields | ", "?"]
)
def test_a_query_that_is_not_understood_is_refused(query: str) -> None:
    """An answer that ignores half of the question would be a wrong one."""
    with pytest.raises((BadQuery, IndexError, ValueError)):
        run(query, ROWS, 100)


async def make_group(aws, *messages):
    """A group with these messages, now."""
    logs = await aws("logs")
    await logs.create_log_group(logGroupName=GROUP)
    await logs.create_log_stream(logGroupName=GROUP, logStreamName="s")
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": text} for text in messages]
    await logs.put_log_events(logGroupName=GROUP, logStreamName="s", logEvents=events)
    return logs


@pytest.mark.process
async def test_filtering_and_querying(aws) -> None:
    """Both ways find the same lines; a query is first seen running, and can be stopped while it does."""
    logs = await make_group(aws, NOTE, "ERROR plain", "fine")
    found = await logs.filter_log_events(logGroupName=GROUP, filterPattern="?ERROR ?429")
    assert [event["message"] for event in found["events"]] == [NOTE, "ERROR plain"]
    now = int(time.time())
    asked = {"logGroupNames": [GROUP], "startTime": now - 60, "endTime": now}
    query = "filter @message like /ERROR|429/ | stats count(*) as matches"
    number = (await logs.start_query(queryString=query, **asked))["queryId"]
    looks = [await logs.get_query_results(queryId=number) for _ in range(2)]
    assert [look["status"] for look in looks] == ["Running", "Complete"]
    assert looks[1]["results"] == [[{"field": "matches", "value": "2"}]]
    with pytest.raises(ClientError, match="InvalidParameterException"):
        await logs.stop_query(queryId=number)
    other = (await logs.start_query(queryString=query, **asked))["queryId"]
    assert (await logs.stop_query(queryId=other))["success"]
    assert (await logs.get_query_results(queryId=other))["status"] == "Cancelled"


@pytest.mark.process
async def test_bad_questions(aws) -> None:
    """A missing group, a bad query and a bad pattern are refused by name."""
    logs = await make_group(aws, "fine")
    asked = {"startTime": 0, "endTime": 1, "queryString": "fields @message"}
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        await logs.start_query(logGroupNames=["nowhere"], **asked)
    with pytest.raises(ClientError, match="MalformedQueryException"):
        await logs.start_query(logGroupNames=[GROUP], **{**asked, "queryString": "select 1"})
    with pytest.raises(ClientError, match="InvalidParameterException"):
        await logs.filter_log_events(logGroupName=GROUP, filterPattern="[a, b]")


@pytest.mark.process
async def test_event_history(aws, side) -> None:
    """Newest first, by one attribute, in pages, management events only; errorCode stands inside the event's JSON."""
    record = {"eventSource": "s3.amazonaws.com", "eventName": "PutBucketPolicy", "errorCode": "AccessDenied",
              "userIdentity": {"arn": "arn:aws:sts::1:assumed-role/etl/f"}}  # fmt: skip
    records = [{**record, "ago": number} for number in (30, 10, 20)]
    records += [{**record, "eventName": "PutObject", "managementEvent": False}, {**record, "eventName": "DeleteBucket"}]
    await side.post("cloudtrail", records=records)
    trail = await aws("cloudtrail")
    wanted = [{"AttributeKey": "EventName", "AttributeValue": "PutBucketPolicy"}]
    first = await trail.lookup_events(LookupAttributes=wanted, MaxResults=2)
    rest = await trail.lookup_events(LookupAttributes=wanted, MaxResults=2, NextToken=first["NextToken"])
    times = [event["EventTime"] for event in first["Events"] + rest["Events"]]
    assert len(times) == 3
    assert times == sorted(times, reverse=True)
    assert "errorCode" not in first["Events"][0]
    assert json.loads(first["Events"][0]["CloudTrailEvent"])["errorCode"] == "AccessDenied"
    assert {event["EventName"] for event in (await trail.lookup_events())["Events"]} == {
        "PutBucketPolicy",
        "DeleteBucket",
    }


@pytest.mark.process
async def test_a_buckets_eventbridge_setting_is_read_back(aws, side) -> None:
    """Alone, beside a queue's notification, and gone again; objects can be made older."""
    s3, sqs = await aws("s3"), await aws("sqs")
    await s3.create_bucket(Bucket="raw")
    await sqs.create_queue(QueueName="copy")
    queue = {"QueueArn": "arn:aws:sqs:us-east-1:123456789012:copy", "Events": ["s3:ObjectCreated:*"]}
    for setting, is_on in (
        ({"EventBridgeConfiguration": {}}, True),
        ({"EventBridgeConfiguration": {}, "QueueConfigurations": [queue]}, True),
        ({"QueueConfigurations": [queue]}, False),
        ({}, False),
    ):
        await s3.put_bucket_notification_configuration(Bucket="raw", NotificationConfiguration=setting)
        reply = await s3.get_bucket_notification_configuration(Bucket="raw")
        assert ("EventBridgeConfiguration" in reply) is is_on
        assert len(reply.get("QueueConfigurations", [])) == len(setting.get("QueueConfigurations", []))
    await s3.put_object(Bucket="raw", Key="in/a", Body=b"1")
    before = (await s3.list_objects_v2(Bucket="raw"))["Contents"][0]["LastModified"]
    assert (await side.post("s3/age", bucket="raw", prefix="in/", seconds=3600))["count"] == 1
    after = (await s3.list_objects_v2(Bucket="raw"))["Contents"][0]["LastModified"]
    assert (before - after).total_seconds() == 3600
