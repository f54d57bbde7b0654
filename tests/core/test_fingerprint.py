"""Fingerprints: the error class and ids of a dead letter, and nothing else of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.fingerprint import MALFORMED, NO_ERROR, fingerprint


@pytest.mark.parametrize(
    ("body", "attributes", "error", "is_transient"),
    [
        ({"error": "ConnectionTimeoutError: db-1 did not answer"}, {}, "ConnectionTimeoutError", True),
        ({"errorType": "ValidationError", "errorMessage": "city is missing"}, {}, "ValidationError", False),
        ({"city": "Oslo"}, {"ErrorCode": "429", "ErrorMessage": "Rate exceeded"}, "429", True),
        ({"city": "Oslo"}, {"ErrorMessage": "RequestId: 1 Error: Task timed out after 3 s"}, "Timeout", True),
        ({"responsePayload": {"errorType": "KeyError", "errorMessage": "'id'"}}, {}, "KeyError", False),
        ({"Message": json.dumps({"exception": "ThrottlingException"})}, {}, "ThrottlingException", True),
        ({"detail": {"error": {"type": "HashMismatchError"}}}, {}, "HashMismatchError", False),
        ({"cause": "botocore.errorfactory.ThrottlingException: slow down"}, {},
         "botocore.errorfactory.ThrottlingException", True),
        ({"errorMessage": "the customer Jane Doe was rude"}, {}, NO_ERROR, None),
        ({"Records": [{"s3": {"object": {"key": "a"}}}]}, {}, NO_ERROR, None),
    ],
)  # fmt: skip
def test_the_error_class(body: Any, attributes: dict[str, str], error: str, is_transient: bool | None) -> None:
    """Lambda's records, destinations, envelopes and plain bodies each tell what went wrong, and whether it may pass."""
    seen = fingerprint(json.dumps(body), attributes)
    assert (seen.error, seen.is_transient) == (error, is_transient)


@pytest.mark.parametrize("body", ["", "{'a': 1}", "{", "plain words", "3", '"text"'])
def test_what_should_be_json_and_is_not_is_malformed(body: str) -> None:
    """Those can be deleted without redrive: they can't be parsed again either."""
    seen = fingerprint(body)
    assert (seen.error, seen.is_transient) == (MALFORMED, False)


def test_ids_are_found_at_any_depth() -> None:
    """Classified by event_id and correlation_id, as the runbook asks."""
    body = {"detail": {"event_id": "evt-1"}, "headers": {"X-Correlation-Id": "c:7"}}
    seen = fingerprint(json.dumps(body))
    assert (seen.event_id, seen.correlation_id) == ("evt-1", "c:7")


def test_fields_part_groups() -> None:
    """The same error in two cities is two groups when grouped by city, else one."""
    oslo, rome = (json.dumps({"error": "TimeoutError", "city": city}) for city in ("Oslo", "Rome"))
    assert fingerprint(oslo).key == fingerprint(rome).key
    parted = fingerprint(oslo, fields=("city",))
    assert parted.fields == {"city": "Oslo"}
    assert parted.key != fingerprint(rome, fields=("city",)).key


@given(st.text(max_size=300) | st.recursive(st.none() | st.text(), lambda inner: st.lists(inner) |
       st.dictionaries(st.text(), inner), max_leaves=20).map(json.dumps))  # fmt: skip
def test_any_body_has_a_bounded_fingerprint(body: str) -> None:
    """No body makes it fail, and what it says stays short."""
    seen = fingerprint(body)
    assert len(seen.error) <= 80
    assert len(seen.key) == 8


def test_a_deep_or_huge_body_ends() -> None:
    """Nesting and size are bounded: the letter of an attacker is only malformed, or has no error."""
    assert fingerprint("[" * 100_000).error == MALFORMED
    assert fingerprint(json.dumps({"a": "x" * 300_000})).error == MALFORMED
    assert fingerprint(json.dumps([[{}] * 50] * 50)).error == NO_ERROR
