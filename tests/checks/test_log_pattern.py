"""log_pattern: lines by filter pattern, or counted by an Insights query that is polled and ended."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from checks.log_pattern import CHECK, LogPattern
from monitor.plugin import ProbeError, Reason
from monitor.testing import EPOCH, Call, FakeAws, observed, run_probe

GROUP = "/aws/lambda/fluxa-processor"
CARD = "4111-1111"


def rows(*found: Mapping[str, str]) -> list[list[dict[str, str]]]:
    """As GetQueryResults gives them."""
    return [[{"field": name, "value": value} for name, value in row.items()] for row in found]


def logs(*looks: Mapping[str, Any], started: Any = None) -> FakeAws:
    """A query that answers each look in turn, the last one for ever."""
    answers = list(looks)

    def look(**_: Any) -> Mapping[str, Any]:
        return answers.pop(0) if len(answers) > 1 else answers[0]

    replies = {"logs.StartQuery": started or {"queryId": "q1"}, "logs.GetQueryResults": look}
    return FakeAws({**replies, "logs.StopQuery": {"success": True}})


def lines(*pages: Sequence[str]) -> FakeAws:
    """FilterLogEvents in pages."""
    last = len(pages) - 1
    return FakeAws({"logs.FilterLogEvents": [
        {"events": [{"message": text} for text in page]} | ({} if n == last else {"nextToken": "t"})
        for n, page in enumerate(pages)
    ]})  # fmt: skip


def asked(aws: FakeAws, name: str) -> Call:
    """The first call of that name."""
    return next(call for call in aws.calls if call.name == name)


async def test_a_filter_pattern_counts_lines() -> None:
    """All pages, empty ones among them; the window in milliseconds."""
    fake = lines(["ERROR a", "ERROR b"], [], ["ERROR c"])
    seen = await run_probe(CHECK, {"groups": [GROUP], "pattern": "ERROR", "window": "15m"}, fake)
    assert observed(seen) == {("fluxa-processor", "matches"): 3.0}
    params = asked(fake, "logs.FilterLogEvents").params
    end = int(EPOCH.timestamp() * 1000)
    assert params == {"logGroupName": GROUP, "filterPattern": "ERROR", "startTime": end - 900_000, "endTime": end}


async def test_nothing_found_is_a_real_zero() -> None:
    """The group was read to the end."""
    assert (await run_probe(CHECK, {"groups": [GROUP], "pattern": "ERROR"}, lines([])))[0].value == 0.0


async def test_the_page_cap_makes_a_lower_bound() -> None:
    """What was not read can only add."""
    params = {"groups": [GROUP], "pattern": "ERROR", "max_pages": 2}
    (seen,) = await run_probe(CHECK, params, lines(["a"], ["b"], ["c"]))
    assert (seen.value, seen.lower_bound) == (2.0, True)


async def test_groups_by_a_json_field() -> None:
    """A target per value; what has no such field is counted too, and no line is quoted."""
    texts = [json.dumps({"http": {"connector": name}, "card": CARD}) for name in ("google", "tavily", "google")]
    params = {"groups": [GROUP], "pattern": "429", "group_by": "http.connector", "target": "all"}
    seen = await run_probe(CHECK, params, lines([*texts, f"429 {CARD}"]))
    assert observed(seen) == {
        ("all", "matches"): 4.0, ("google", "matches"): 2.0, ("tavily", "matches"): 1.0, ("(none)", "matches"): 1.0,
    }  # fmt: skip
    assert CARD not in repr(seen)
    assert CHECK.discovers(LogPattern.model_validate(params))


async def test_an_insights_query_is_polled_to_its_end() -> None:
    """StartQuery with the pattern, GetQueryResults until Complete: `aws logs insights query` does not exist."""
    fake = logs({"status": "Scheduled"}, {"status": "Running", "results": []},
                {"status": "Complete", "results": rows({"matches": "7"})})  # fmt: skip
    params = {"groups": [GROUP, "/other"], "pattern": "Rate exceeded|a/b", "insights": True, "target": "t"}
    assert observed(await run_probe(CHECK, params, fake)) == {("t", "matches"): 7.0}
    query = asked(fake, "logs.StartQuery").params
    assert query["queryString"] == r"filter @message like /Rate exceeded|a\/b/ | stats count(*) as matches | limit 1000"
    assert query["logGroupNames"] == [GROUP, "/other"]
    assert query["endTime"] - query["startTime"] == 300
    assert fake.count("logs.GetQueryResults") == 3


async def test_a_query_that_takes_too_long_is_stopped() -> None:
    """Unknown, after a bounded wait; and it scans nothing more at our cost."""
    fake = logs({"status": "Running"})
    began = fake.clock.tick()
    (seen,) = await run_probe(CHECK, {"groups": [GROUP], "query": "fields @message", "wait": "5s"}, fake)
    assert seen.reason is Reason.TIMEOUT
    assert fake.clock.tick() - began <= 5.0
    assert asked(fake, "logs.StopQuery").params == {"queryId": "q1"}


@pytest.mark.parametrize(
    ("status", "reason"),
    [("Failed", Reason.UNAVAILABLE), ("Cancelled", Reason.UNAVAILABLE), ("Timeout", Reason.TIMEOUT)],
)
async def test_a_query_that_fails_is_unknown(status: str, reason: Reason) -> None:
    """Never zero."""
    (seen,) = await run_probe(CHECK, {"groups": [GROUP], "pattern": "x", "insights": True}, logs({"status": status}))
    assert seen.reason is reason


async def test_a_query_of_ones_own() -> None:
    """Rows with `matches` are summed by the field, others count one each."""
    counted = rows({"error": "Timeout", "matches": "4"}, {"error": "arn:aws:x:::y", "matches": "1"}, {"other": "z"})
    params = {"groups": [GROUP], "query": "stats count(*) as matches by error", "group_by": "error", "target": "t"}
    assert observed(await run_probe(CHECK, params, logs({"status": "Complete", "results": counted}))) == {
        ("t", "matches"): 6.0, ("Timeout", "matches"): 4.0, ("y", "matches"): 1.0, ("(none)", "matches"): 1.0,
    }  # fmt: skip


async def test_a_group_that_is_gone_is_unknown(gone: ProbeError) -> None:
    """In both ways."""
    for more in ({}, {"insights": True}):
        fake = FakeAws({"logs.FilterLogEvents": gone, "logs.StartQuery": gone})
        (seen,) = await run_probe(CHECK, {"groups": [GROUP], "pattern": "x", **more}, fake)
        assert seen.reason is Reason.NOT_FOUND


@pytest.mark.parametrize(
    "params", [{}, {"pattern": "a", "query": "b"}, {"query": "b", "insights": True}, {"pattern": ""}]
)
def test_one_way_is_chosen(params: dict[str, Any]) -> None:
    """A pattern or a query."""
    with pytest.raises(ValidationError):
        LogPattern.model_validate({"groups": [GROUP], **params})
