"""aws_query: what each shape of result becomes, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from checks.aws_query import CHECK, AwsQuery
from monitor.plugin import ProbeError, Reason
from monitor.testing import EPOCH, FakeAws, observed, run_probe

CALL: Mapping[str, Any] = {"service": "lambda", "operation": "GetFunction", "parameters": {"FunctionName": "ingest"}}


async def value_of(result: Any, **params: Any) -> Any:
    """What a reply `{"r": result}` becomes on the default target."""
    aws = FakeAws({"lambda.GetFunction": {"r": result}})
    seen = observed(await run_probe(CHECK, {**CALL, "query": "r", **params}, aws))
    return seen["ingest", "value"]


@pytest.mark.parametrize(
    ("result", "params", "value"),
    [
        (3, {}, 3.0),
        (0, {}, 0.0),
        ("17", {}, 17.0),
        (True, {}, 1.0),
        (False, {}, 0.0),
        ([1, 2, 3], {"query": "length(r)"}, 3.0),
        ([1, 2, 3], {"query": "r[0]"}, 1.0),
        (None, {}, None),
        ("", {}, None),
        ([], {}, None),
        ("Active", {"equals": "Active"}, 0.0),
        ("Failed", {"equals": "Active"}, 1.0),
        ("Pending", {"equals": ["Active", "Pending"]}, 0.0),
        (True, {"equals": True}, 0.0),
        (None, {"equals": "Active"}, None),
        ("Active", {"values": {"Active": 0, "else": 1}}, 0.0),
        ("Inactive", {"values": {"Active": 0, "else": 1}}, 1.0),
        (True, {"values": {True: 0, False: 1}}, 0.0),
        (None, {"values": {None: 1, "else": 0}}, 1.0),
        (None, {"values": {"else": 0}}, None),
        (EPOCH - timedelta(minutes=5), {"age": True}, 300.0),
        ("2026-03-04T11:59:00.000+0000", {"age": True}, 60.0),
        (EPOCH.timestamp() * 1000 - 2000, {"age": True}, 2.0),
    ],
)
async def test_a_scalar_becomes_a_number(result: Any, params: Mapping[str, Any], value: float | None) -> None:
    """Numbers, numeric text, truth, mapped text, times; null and empty are absent."""
    assert await value_of(result, **params) == value


@pytest.mark.parametrize(
    ("result", "params", "message"),
    [
        ("Active", {}, "'Active', not a number; use equals, values or age"),
        ("hunter2-is-the-password", {}, "text of 23 characters, not a number"),
        ([1, 2, 3], {}, "length"),
        ([["a", 1], ["a", 2]], {}, "more than once"),
        ("nan", {}, "not a finite number"),
        ("Gone", {"values": {"Active": 0}}, "does not name"),
        ("soon", {"age": True}, "not a time"),
        ({"a": {"b": 1}}, {}, "a dict, not a number"),
        ("text", {"query": "abs(r)"}, "abs"),
    ],
)
async def test_a_result_without_one_meaning_is_invalid(result: Any, params: Mapping[str, Any], message: str) -> None:
    """The message says what to write instead, and shows no value that might be a secret."""
    with pytest.raises(ProbeError, match=message) as caught:
        await value_of(result, **params)
    assert caught.value.reason is Reason.INVALID
    assert "hunter2" not in caught.value.detail


@pytest.mark.parametrize(
    "result",
    [[["orders", 3], ["arn:aws:sqs:us-east-1:1:returns", "4"]], {"orders": 3, "returns": 4}],
    ids=["pairs", "mapping"],
)
async def test_names_become_targets(result: Any) -> None:
    """A mapping, or a list of pairs, is one observation per name."""
    seen = await run_probe(CHECK, {**CALL, "query": "r"}, FakeAws({"lambda.GetFunction": {"r": result}}))
    assert observed(seen) == {("orders", "value"): 3.0, ("returns", "value"): 4.0}


async def test_pages_are_joined_before_the_query() -> None:
    """Lists grow over all pages; what is no list keeps the first page's value."""
    pages = [{"Functions": [{"n": 1}, {"n": 2}], "Region": "a"}, {"Functions": [{"n": 3}], "Region": "b"}]
    query = {"service": "lambda", "operation": "ListFunctions", "query": "sum(Functions[].n)"}
    assert observed(await run_probe(CHECK, query, FakeAws({"lambda.ListFunctions": pages}))) == {
        ("ListFunctions", "value"): 6.0
    }
    first = FakeAws({"lambda.ListFunctions": pages})
    assert observed(await run_probe(CHECK, {**query, "paginate": False}, first)) == {("ListFunctions", "value"): 3.0}
    with pytest.raises(ProbeError, match="more than 1 pages"):
        await run_probe(CHECK, {**query, "max_pages": 1}, FakeAws({"lambda.ListFunctions": pages}))


def test_the_target_is_the_only_text_or_what_config_says() -> None:
    """A short name of the only text parameter; `target` overrides; two texts leave the operation's name."""

    def named(**params: Any) -> str:
        return AwsQuery.model_validate({"service": "s", "operation": "O", "query": "r", **params}).reading.target

    arn = "arn:aws:states:us-east-1:1:stateMachine:etl"
    assert named(parameters={"machine": arn}) == "etl"
    assert named(parameters={"a": "x", "b": "y"}) == "O"
    assert named(parameters={"a": "x"}, target="t") == "t"


async def test_a_failed_call_is_unknown_on_a_named_target_and_raises_otherwise(down: ProbeError) -> None:
    """Without a name it can't be said of what; it never becomes absent or a value."""
    aws = FakeAws({"lambda.GetFunction": down})
    assert observed(await run_probe(CHECK, {**CALL, "query": "r", "target": "t"}, aws)) == {
        ("t", "value"): Reason.UNAVAILABLE
    }
    with pytest.raises(ProbeError):
        await run_probe(CHECK, {**CALL, "query": "r"}, aws)


async def test_an_absent_result_says_that_the_call_succeeded() -> None:
    """`missing: zero` may count: the resource answered."""
    (one,) = await run_probe(CHECK, {**CALL, "query": "r", "unit": "files"}, FakeAws({"lambda.GetFunction": {}}))
    assert (one.value, one.reason, one.exists, one.unit) == (None, None, True, "files")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"query": "a["}, "not a JMESPath expression"),
        ({"query": "r", "equals": "x", "values": {"x": 1}}, "one of equals, values and age"),
        ({"query": "r", "valeus": {}}, "Extra inputs"),
        ({"query": "r", "values": {"x": "high"}}, "valid number"),
    ],
)
def test_bad_parameters_are_refused_at_load(params: Mapping[str, Any], message: str) -> None:
    """Config errors, not surprises at run time."""
    with pytest.raises(ValidationError, match=message):
        AwsQuery.model_validate({**CALL, **params})


def test_the_operation_is_declared_for_the_service_model() -> None:
    """Config validates the call, its parameters and the query's fields before anything runs."""
    assert CHECK.operations is not None
    (use,) = CHECK.operations(AwsQuery.model_validate({**CALL, "query": "Configuration.State"}))
    assert (use.aws_service, use.operation, use.mutating, use.query) == (
        "lambda",
        "GetFunction",
        False,
        "Configuration.State",
    )
    assert use.path == ("parameters",)
