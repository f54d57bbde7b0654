"""The storm brake: when the observer is doubted and when not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.storm import Place, Storm, Wish, lift, record, suspect

NOW = datetime(2026, 11, 21, 23, 51, tzinfo=UTC)
HERE: Place = ("111122223333", "us-east-1")
THERE: Place = ("111122223333", "eu-west-1")


def storm(*wishes: tuple[str, Place, int]) -> Storm:
    """Wishes as (pipeline, place, seconds before now)."""
    told = Storm()
    for pipeline, place, ago in sorted(wishes, key=lambda wish: -wish[2]):
        told = record(told, Wish(NOW - timedelta(seconds=ago), pipeline, place))
    return told


TABLE = [
    ("three of five in one place", [("a", HERE, 0), ("b", HERE, 30), ("c", HERE, 60)], {HERE: 5}, True),
    ("three of six is not more than half", [("a", HERE, 0), ("b", HERE, 0), ("c", HERE, 0)], {HERE: 6}, False),
    ("two of two is too few", [("a", HERE, 0), ("b", HERE, 0)], {HERE: 2}, False),
    ("three breakers of one pipeline are one", [("a", HERE, 0), ("a", HERE, 1), ("a", HERE, 2)], {HERE: 1}, False),
    ("older than the window", [("a", HERE, 61), ("b", HERE, 0), ("c", HERE, 0)], {HERE: 3}, False),
    ("spread over two places", [("a", HERE, 0), ("b", HERE, 0), ("c", THERE, 0)], {HERE: 2, THERE: 1}, False),
    ("in a place nobody counted", [("a", HERE, 0), ("b", HERE, 0), ("c", HERE, 0)], {}, True),
]


@pytest.mark.parametrize(("sentence", "wishes", "pipelines", "doubted"), TABLE, ids=[row[0] for row in TABLE])
def test_a_storm(
    sentence: str, wishes: list[tuple[str, Place, int]], pipelines: dict[Place, int], doubted: bool
) -> None:
    """Each row is the sentence it is named after."""
    assert (suspect(storm(*wishes), pipelines, {}, NOW) is not None) is doubted, sentence


def test_a_broken_identity_is_enough() -> None:
    """One place whose calls are all denied doubts the observer without any wish."""
    assert suspect(Storm(), {}, {HERE: "every call is denied"}, NOW) == "111122223333/us-east-1: every call is denied"


def test_a_person_lifts_it_for_a_while() -> None:
    """Their word holds until its end, also over a restart."""
    told = lift(storm(("a", HERE, 0), ("b", HERE, 0), ("c", HERE, 0)), "ann", NOW)
    assert suspect(told, {}, {HERE: "broken"}, NOW) is None
    kept = Storm.from_json(told.to_json())
    assert suspect(kept, {}, {HERE: "broken"}, NOW + timedelta(minutes=59)) is None
    assert suspect(kept, {}, {HERE: "broken"}, NOW + timedelta(minutes=60)) is not None


def test_the_reason_counts() -> None:
    """People read how many of how many."""
    told = storm(("a", HERE, 0), ("b", HERE, 0), ("c", HERE, 0))
    assert suspect(told, {HERE: 4}, {}, NOW) == "3 of 4 pipelines in 111122223333/us-east-1 want to trip within 60 s"


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from([HERE, THERE]), st.integers(0, 200))))
def test_against_counting(wishes: list[tuple[str, Place, int]]) -> None:
    """Recording one by one says what counting the window says, and keeps one wish per pipeline and place."""
    told = storm(*wishes)
    counts = {p: len({w[0] for w in wishes if w[1] == p and w[2] <= 60}) for p in (HERE, THERE)}
    doubted = any(n >= 3 and n > 2.5 for n in counts.values())
    assert (suspect(told, {HERE: 5, THERE: 5}, {}, NOW) is not None) is doubted
    assert len(told.wishes) <= 12
