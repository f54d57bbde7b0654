"""Bounds from the past, groups, names, links and refusals, each by itself."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from starter_worlds import ACCOUNT, NOW, REGION

from monitor.core.model import Reason
from monitor.plugin import ProbeError, Registry
from monitor.starter import Inventory, Kind, Wishes, draft, survey
from monitor.starter.bounds import COUNT, SHARE, SPAN, Given, bound
from monitor.starter.definition import has_wait_token, named_in
from monitor.starter.desk import Desk
from monitor.starter.grouping import groups_of
from monitor.starter.history import Past, Range
from monitor.starter.naming import Names, slug
from monitor.starter.survey import PERMISSIONS
from monitor.starter.watching import watch
from monitor.starter.writing import Entry, comment, flow, scalar
from monitor.testing import FakeAws

DAY = timedelta(days=1)


def empty() -> Inventory:
    """An account that holds nothing."""
    return Inventory(ACCOUNT, REGION, "aws")


def past_of(arn: str, what: str, known: Range) -> Past:
    """A past that knows one number."""
    return Past(14 * DAY, {(arn, what): known}, {})


@pytest.mark.parametrize(
    ("known", "value", "said"),
    [
        (Range(37, None, 300, 13 * DAY), 60, "highest in 14 days: 37; 1.5 times that, rounded up"),
        (Range(3, None, 300, 13 * DAY), 10, "highest in 14 days: 3; the shipped default"),
        (Range(37, None, 300, timedelta(hours=5)), 10, "only 5 hours of history: the shipped default"),
        (Range(900, 40, 4000, 13 * DAY), 60, "but 40 for all but a thousandth of the time"),
        (Range(90, 40, 4000, 13 * DAY), 150, "highest in 14 days: 90; 1.5 times that"),
    ],
)
def test_a_bound_says_where_it_comes_from(known: Range, value: float, said: str) -> None:
    """The default or 1.5 times the highest, whichever is more; an outlier is not built on; little history is none."""
    queue = empty().add(Kind.QUEUE, "q", "arn:q")
    found = bound(past_of("arn:q", "visible", known), queue, "visible", Given(10), COUNT)
    assert found.value == value
    assert said in found.why
    assert found.usual == (value == 10)


def test_numbers_are_rounded_up_to_what_people_write() -> None:
    """Never down, and idempotent."""
    assert [COUNT.up(value) for value in (0, 0.2, 7.5, 10, 11, 37, 101, 1234, 99_999)] == [
        0, 1, 8, 10, 12, 40, 120, 1500, 100_000,
    ]  # fmt: skip
    assert [SPAN.written(SPAN.up(value)) for value in (1, 61, 2000, 90_000, 3_000_000)] == [
        "1m", "2m", "45m", "2d", "35d",
    ]  # fmt: skip
    assert [SHARE.said(SHARE.up(value)) for value in (0.001, 0.051, 0.3, 2)] == ["1%", "10%", "30%", "100%"]
    for value in (0.3, 5, 17, 240, 8_001, 10**7 + 1):
        assert COUNT.up(value) >= value
        assert COUNT.up(COUNT.up(value)) == COUNT.up(value)


def test_names_are_names_and_each_is_given_once() -> None:
    """Letters that can stay, stay; what differs stays apart, also where case is ignored."""
    assert slug("Påy & Ship (prod)") == "Pay-Ship-prod"
    assert slug("支払い") != slug("配送")
    assert slug("x" * 90) != slug("x" * 91)
    assert len(slug("x" * 90)) <= 48
    names = Names()
    assert [names.take(text) for text in ("etl", "ETL", "etl")] == ["etl", "ETL-2", "etl-3"]


@pytest.mark.parametrize("text", ["yes", "1e5", "0x1f", "a: b", "${HOME}", "- x", "", "é\u2028", "null", "5 m", "~"])
def test_a_text_stays_a_text(text: str) -> None:
    """Whatever a reader of YAML could take it for, it is quoted; variables are not begun."""
    assert scalar(text).startswith('"')
    assert json.loads(scalar(text)) == text.replace("$", "$$")
    assert flow({"a": [text]}).startswith('{a: ["')


def test_a_comment_stays_on_its_lines() -> None:
    """Line ends in names from AWS begin no new line of the file."""
    assert comment("a\nb: {}\u2028c") == ["# a?b: {}?c"]
    assert all(line.startswith("  # ") and len(line) <= 120 for line in comment("word " * 100, 2))


def test_what_hangs_on_a_tagged_thing_belongs_to_it() -> None:
    """The nearest tag wins; a lone function is left out with the reason; linked things without tags are one group."""
    found = empty()
    for kind, name, tags in (
        (Kind.QUEUE, "a", {"App": "shop"}), (Kind.QUEUE, "a-dlq", {}), (Kind.QUEUE, "b", {"project": "news"}),
        (Kind.MACHINE, "flow-one", {}), (Kind.FUNCTION, "flow-two", {}), (Kind.FUNCTION, "odd", {}),
    ):  # fmt: skip
        found.things[name] = type(found.add(kind, name, name))(kind, name, name, {}, tags)
    found.link("a", "a-dlq", "dead letters")
    found.link("flow-one", "flow-two", "uses")
    groups = {group.name: {thing.name for thing in group.things} for group in groups_of(found)}
    assert groups == {"shop": {"a", "a-dlq"}, "news": {"b"}, "flow": {"flow-one", "flow-two"}}
    assert {one.name for one in found.left} == {"odd"}
    chosen = groups_of(found, [("App", "shop")])
    assert [(group.name, len(group.things)) for group in chosen] == [("shop", 2)]
    assert groups_of(found, [("App", "other")]) == []


def test_a_definition_names_what_its_tasks_use() -> None:
    """Within Parallel and Map, in JSONPath and JSONata; what is chosen at run time is left out."""
    task = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": {"QueueUrl": "https://x/1/q"}}
    table = {"Type": "Task", "Resource": "arn:aws:states:::dynamodb:putItem", "Arguments": {"TableName": "t"}}
    chosen = {"Type": "Task", "Resource": "arn:aws:states:::glue:startJobRun", "Parameters": {"JobName": "$.job"}}
    inner = {"ItemProcessor": {"States": {"T": table}}, "Type": "Map"}
    both = {"Type": "Parallel", "Branches": [{"States": {"S": task}}, {"States": {"M": inner, "C": chosen}}]}
    definition = json.dumps({"States": {"P": both}})
    assert named_in(definition) == [("queue", "https://x/1/q"), ("table", "t")]
    assert named_in("no JSON") == []
    assert has_wait_token('{"Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken"}')
    assert not has_wait_token(definition)


def test_a_machine_that_waits_for_people_is_not_judged_by_idleness(registry: Registry) -> None:
    """Its check says `idle: off`."""
    found = empty()
    found.add(Kind.MACHINE, "patient", found.arn("states", "stateMachine:patient"), express=False, waits=True)
    (group,) = groups_of(found)
    watches = {one.role: one for one in watch(Desk(group, found, Past(14 * DAY, {}, {}), registry))}
    assert "waiting" in watches
    assert "stuck" not in watches


@pytest.mark.parametrize(("machines", "rate", "rest"), [(1, "10s", "1m"), (40, "2m", "10m"), (2000, "1h", "1h")])
def test_many_machines_are_read_less_often(registry: Registry, machines: int, rate: str, rest: str) -> None:
    """So that the proposals of a large account stay within the quota of ListExecutions."""
    found = empty()
    for n in range(machines):
        found.add(Kind.MACHINE, f"m-{n}", found.arn("states", f"stateMachine:m-{n}"), express=False, waits=False)
    (group,) = groups_of(found)
    intervals: dict[str, set[object]] = {}
    for one in watch(Desk(group, found, Past(14 * DAY, {}, {}), registry)):
        assert isinstance(one.entry.value, tuple)
        keys = {entry.key: entry.value for entry in one.entry.value if isinstance(entry, Entry)}
        intervals.setdefault(one.role, set()).add(keys["interval"])
    assert intervals == {"rate": {rate}, "failures": {rest}, "stuck": {rest}}


class Refusing(FakeAws):
    """Knows who it is and may read nothing."""

    async def call(self, aws_service, operation, *, region=None, **params):  # type: ignore[no-untyped-def]
        """Denied."""
        raise ProbeError(Reason.DENIED, "no")

    async def pages(self, aws_service, operation, *, region=None, **params):  # type: ignore[no-untyped-def]
        """Denied."""
        raise ProbeError(Reason.DENIED, "no")
        yield {}


async def test_an_account_that_may_read_nothing_names_every_missing_permission(registry: Registry) -> None:
    """No source ends the survey; the IAM actions are those of the manual."""
    found = await survey(Refusing(), 10)
    drafts = await draft(Refusing(), found, Wishes(), registry, NOW)
    assert drafts.files == ()
    listed = {gap.action for gap in found.gaps}
    assert all(gap.denied for gap in found.gaps)
    assert listed <= set(PERMISSIONS)
    later = {"cloudwatch:GetMetricData", "dynamodb:DescribeTable", "events:ListTargetsByRule", "glue:GetJobRuns",
             "s3:GetBucketNotification", "sqs:GetQueueAttributes", "states:DescribeStateMachine"}  # fmt: skip
    assert set(PERMISSIONS) - listed == later
