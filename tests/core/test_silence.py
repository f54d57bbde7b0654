"""Silences: whom they match, when, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from monitor.core.silence import Silence, matches, matching

NOW = datetime(2026, 11, 21, 23, 51, tzinfo=UTC)
LABELS = {"pipeline": "etl", "breaker": "s3-event-loop", "severity": "SEV1", "target": "arn:aws:x:[a]"}


def silence(name: str = "s1", hours: float = 1, **matchers: str) -> Silence:
    """From now, for some hours."""
    return Silence(name, matchers or {"pipeline": "etl"}, NOW, NOW + timedelta(hours=hours), "ann", "deploy")


MATCHES = [
    ("an exact value", {"pipeline": "etl"}, True),
    ("a glob", {"breaker": "s3-*"}, True),
    ("all matchers must match", {"pipeline": "etl", "breaker": "other"}, False),
    ("a label that is absent matches nothing, not even *", {"check": "*"}, False),
    ("case counts", {"severity": "sev1"}, False),
    ("a breaker as people address it", {"breaker": "etl/s3-event-loop"}, True),
    ("with a glob on the pipeline", {"breaker": "e*/s3-*"}, True),
    ("of another pipeline", {"breaker": "fluxa/s3-event-loop"}, False),
    ("a target with brackets names itself", {"target": "arn:aws:x:[a]"}, True),
]


@pytest.mark.parametrize(("sentence", "matchers", "expected"), MATCHES, ids=[row[0] for row in MATCHES])
def test_a_match(sentence: str, matchers: dict[str, str], expected: bool) -> None:
    """Each row is the sentence it is named after."""
    assert matches(matchers, LABELS) is expected, sentence


@pytest.mark.parametrize(("hours", "count"), [(-0.01, 0), (0, 1), (0.99, 1), (1, 0)])
def test_a_silence_has_a_start_and_an_end(hours: float, count: int) -> None:
    """The start belongs to it, the end does not."""
    assert len(matching([silence()], LABELS, NOW + timedelta(hours=hours))) == count


def test_the_longest_comes_first() -> None:
    """What people are shown is how long it stays quiet."""
    found = matching([silence("a", 1), silence("b", 3), silence("c", 2, pipeline="x")], LABELS, NOW)
    assert [each.id for each in found] == ["b", "a"]


BROKEN = [({}, "needs a matcher"), ({"region": "eu"}, "not a label"), ({"check": ""}, "is empty")]


@pytest.mark.parametrize(("matchers", "says"), BROKEN, ids=[row[1] for row in BROKEN])
def test_what_would_match_all_or_nothing_is_refused(matchers: dict[str, str], says: str) -> None:
    """With an example of what to write."""
    with pytest.raises(ValueError, match=says) as error:
        Silence("s", matchers, NOW, NOW + timedelta(hours=1), "ann")
    assert "for example" in str(error.value)


def test_a_silence_that_ends_before_it_starts_is_refused() -> None:
    """Also one without length."""
    with pytest.raises(ValueError, match="ends after"):
        Silence("s", {"pipeline": "etl"}, NOW, NOW, "ann")


def test_a_silence_survives_the_store() -> None:
    """What was written is read back, and shown."""
    first = silence(check="dlq-*")
    assert Silence.from_json(first.to_json()) == first
    assert first.to_view().matchers == {"check": "dlq-*"}
