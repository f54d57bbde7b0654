"""Inventories of any shape for the property tests, and a past for them."""

from __future__ import annotations

import random
import string
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from monitor.plugin import MetricQuery, MetricSeries, ProbeError, Reason
from monitor.starter import Inventory, Kind
from monitor.starter.inventory import Alarm

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
ACCOUNT, REGION = "123456789012", "eu-west-1"

_SAFE = string.ascii_letters + string.digits + "-_"
safe = st.text(_SAFE, min_size=1, max_size=80)
dotted = st.text(_SAFE + ".", min_size=3, max_size=60)
#: Step Functions takes any letters, Glue and CloudWatch nearly anything at all.
lettered = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=40)
_TRICKY = (
    "${HOME}",
    "$",
    "*",
    "[a]",
    "a: b # c",
    "yes",
    "null",
    "1e5",
    "- x",
    "{x}",
    '"',
    "é\u2028ü",
    "~",
    "0x1f",
    "5m",
)
anything = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=60) | st.sampled_from(_TRICKY)
tags = st.dictionaries(st.sampled_from(["pipeline", "App", "data-pipeline", "team", "Stack"]), anything, max_size=2)


@st.composite
def inventories(draw: st.DrawFn) -> Inventory:
    """A few resources of each kind with names AWS allows, linked at random, some links leading nowhere."""
    found = Inventory(ACCOUNT, REGION, "aws")
    for name in draw(st.lists(safe, max_size=4, unique=True)):
        fifo = draw(st.booleans())
        whole = f"{name[:70]}.fifo" if fifo else name
        found.add(Kind.QUEUE, whole, found.arn("sqs", whole), fifo=fifo)
    for name in draw(st.lists(safe, max_size=3, unique=True)):
        found.add(Kind.FUNCTION, name, found.arn("lambda", f"function:{name}"), environment={})
    for name in draw(st.lists(safe | lettered, max_size=3, unique=True)):
        express, waits = draw(st.booleans()), draw(st.booleans())
        found.add(Kind.MACHINE, name, found.arn("states", f"stateMachine:{name}"), express=express, waits=waits)
    for name in draw(st.lists(dotted, max_size=4, unique=True)):
        bus = draw(st.sampled_from(["default", "orders", "aws.partner/x.com/1"]))
        path = name if bus == "default" else f"{bus}/{name}"
        found.add(
            Kind.RULE, name, found.arn("events", f"rule/{path}"), bus=bus, enabled=draw(st.booleans()),
            managed=draw(st.sampled_from(["", "", "states.amazonaws.com"])), pattern=draw(st.booleans()),
        )  # fmt: skip
    for name in draw(st.lists(dotted, max_size=2, unique=True)):
        group = draw(st.sampled_from(["default", "night"]))
        arn = found.arn("scheduler", f"schedule/{group}/{name}")
        found.add(Kind.SCHEDULE, name, arn, group=group, enabled=draw(st.booleans()))
    for name in draw(st.lists(dotted, max_size=2, unique=True)):
        found.add(Kind.BUCKET, name.lower(), f"arn:aws:s3:::{name.lower()}")
    for name in draw(st.lists(dotted, max_size=2, unique=True)):
        units = draw(st.integers(0, 40_000))
        found.add(Kind.TABLE, name, found.arn("dynamodb", f"table/{name}"), read=units, write=units)
    for name in draw(st.lists(anything, max_size=2, unique=True)):
        found.add(Kind.JOB, name, found.arn("glue", f"job/{name}"))
    for name in draw(st.lists(safe, max_size=2, unique=True)):
        reads = draw(st.lists(st.tuples(anything, dotted), max_size=2))
        serverless = draw(st.booleans())
        found.add(Kind.CLUSTER, name, found.arn("kafka", f"cluster/{name}/1"), serverless=serverless, reads=reads)
    return _linked(draw, found)


def _linked(draw: st.DrawFn, found: Inventory) -> Inventory:
    arns = sorted(found.things)
    if not arns:
        return found
    for arn in arns:
        if draw(st.booleans()):
            thing = found.things[arn]
            found.things[arn] = type(thing)(thing.kind, thing.name, arn, thing.facts, draw(tags))
    whys = ["starts", "is read by", "dead letters", "uses", "names in BUCKET", "notifies"]
    for _ in range(draw(st.integers(0, 12))):
        found.link(draw(st.sampled_from(arns)), draw(st.sampled_from(arns)), draw(st.sampled_from(whys)))
    for name in draw(st.lists(anything, max_size=2)):
        values = frozenset({found.things[draw(st.sampled_from(arns))].name})
        found.alarms.append(Alarm(name, values, draw(st.sampled_from(["OK", "ALARM"]))))
    return found


class PastReads:
    """Reads that know histories only: of any length and size, denied, or none."""

    region = REGION

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    async def account(self) -> str:
        """Account id."""
        return ACCOUNT

    async def metrics(self, queries: Sequence[MetricQuery]) -> list[MetricSeries]:
        """Points without pattern, from none to all, up to huge values."""
        if self._random.random() < 0.1:
            raise ProbeError(Reason.DENIED, "not allowed")
        return [MetricSeries(query, self._points(query)) for query in queries]

    def _points(self, query: MetricQuery) -> tuple[tuple[datetime, float], ...]:
        count = self._random.choice([0, 1, 30, min(query.points, 1200)])
        top = 10 ** self._random.uniform(-2, 9)
        return tuple((NOW - query.period * n, self._random.uniform(0, top)) for n in range(count, 0, -1))

    async def call(self, service: str, operation: str, **params: Any) -> Mapping[str, Any]:
        """Glue's runs."""
        assert (service, operation) == ("glue", "GetJobRuns")
        runs = self._random.choice([0, 1, 5])
        return {
            "JobRuns": [
                {"JobRunState": "SUCCEEDED", "StartedOn": NOW - timedelta(days=n + 3), "ExecutionTime": 10**n}
                for n in range(runs)
            ]
        }
