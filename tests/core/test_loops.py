"""Loops: EventBridge's own pattern rules, on events that nobody has sent yet, and the cycles they close."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.loops import Anything, Edge, Text, could_match, loops_in


@pytest.mark.parametrize(
    ("wanted", "value", "fits"),
    [
        (["a", "b"], "b", True),
        (["a"], "c", False),
        ([1], 1.0, True),
        (["1"], 1, False),
        ([None], None, True),
        ([{"prefix": "in/"}], "in/a", True),
        ([{"prefix": "in/"}], "out/a", False),
        ([{"prefix": {"equals-ignore-case": "IN/"}}], "in/a", True),
        ([{"suffix": ".json"}], "a.json", True),
        ([{"suffix": ".json"}], "a.csv", False),
        ([{"equals-ignore-case": "ABC"}], "abc", True),
        ([{"wildcard": "in/*.json"}], "in/x/y.json", True),
        ([{"wildcard": "in/*.json"}], "in/x.csv", False),
        ([{"wildcard": r"a\*b"}], "a*b", True),
        ([{"wildcard": r"a\*b"}], "axb", False),
        ([{"anything-but": ["a", "b"]}], "c", True),
        ([{"anything-but": "a"}], "a", False),
        ([{"anything-but": {"prefix": "out/"}}], "out/a", False),
        ([{"anything-but": {"prefix": "out/"}}], "in/a", True),
        ([{"anything-but": {"suffix": [".tmp", ".bak"]}}], "a.bak", False),
        ([{"anything-but": {"wildcard": "*/out/*"}}], "x/out/y", False),
        ([{"numeric": [">", 0, "<=", 5]}], 5, True),
        ([{"numeric": [">", 0, "<=", 5]}], 6, False),
        ([{"numeric": [">", 0]}], "5", False),
        ([{"cidr": "10.0.0.0/24"}], "10.0.0.7", True),
        ([{"cidr": "10.0.0.0/24"}], "10.0.1.7", False),
        ([{"exists": True}], "x", True),
        ([{"exists": False}], "x", False),
        ("a", "a", True),
        (["b"], ["a", "b"], True),
    ],
)
def test_a_known_value(wanted: Any, value: Any, fits: bool) -> None:
    """What is known is matched as EventBridge matches it."""
    assert could_match({"field": wanted}, {"field": value}) is fits


@pytest.mark.parametrize(
    ("wanted", "key", "fits"),
    [
        (["out/a"], Text("out/"), True),
        (["in/a"], Text("out/"), False),
        ([{"prefix": "out/2026/"}], Text("out/"), True),
        ([{"prefix": "in/"}], Text("out/"), False),
        ([{"prefix": "in/"}], Text(), True),
        ([{"suffix": ".json"}], Text("out/", ".csv"), False),
        ([{"suffix": ".json"}], Text("out/"), True),
        ([{"anything-but": {"prefix": "out/"}}], Text("out/x/"), False),
        ([{"anything-but": {"prefix": "out/"}}], Text(), True),
        ([{"anything-but": ["out/a"]}], Text("out/"), True),
        ([{"wildcard": "in/*.json"}], Text("out/"), False),
        ([{"wildcard": "*.json"}], Text("out/"), True),
        ([{"wildcard": "*.json"}], Text("out/", ".csv"), False),
        ([{"equals-ignore-case": "OUT/A"}], Text("out/"), True),
        ([{"numeric": [">", 0]}], Text("out/"), False),
        ([{"exists": True}], Text(), True),
        ([{"exists": False}], Text(), False),
        ([{"of a later year": 1}], Text("out/"), True),
        (["in/a"], Anything(), True),
    ],
)
def test_a_value_that_is_only_partly_known(wanted: Any, key: Any, fits: bool) -> None:
    """A key with a known beginning could be any such key, and no other."""
    assert could_match({"field": wanted}, {"field": key}) is fits


@given(
    start=st.text("ab", max_size=2), end=st.text("ab", max_size=2), middle=st.text("ab", max_size=3),
    wanted=st.one_of(
        st.text("ab", max_size=4), st.builds(lambda t: {"prefix": t}, st.text("ab", max_size=3)),
        st.builds(lambda t: {"suffix": t}, st.text("ab", max_size=3)),
        st.builds(lambda t: {"wildcard": t}, st.text("ab*", max_size=4).filter(lambda t: "**" not in t)),
        st.builds(lambda t: {"anything-but": t}, st.text("ab", max_size=3)),
        st.builds(lambda t: {"anything-but": {"prefix": t}}, st.text("ab", min_size=1, max_size=3)),
        st.builds(lambda t: {"anything-but": {"suffix": t}}, st.text("ab", min_size=1, max_size=3)),
    ),
)  # fmt: skip
def test_no_possible_match_is_missed(start: str, end: str, middle: str, wanted: Any) -> None:
    """If any text of a form matches, the form could match: a loop is never overlooked."""
    if could_match({"f": [wanted]}, {"f": start + middle + end}):
        assert could_match({"f": [wanted]}, {"f": Text(start, end)})


def test_fields_are_an_and_and_or_is_an_or() -> None:
    """All fields must match; of `$or` one."""
    pattern = {"source": ["aws.s3"], "$or": [{"a": [1]}, {"b": [2]}]}
    assert could_match(pattern, {"source": "aws.s3", "a": 9, "b": 2})
    assert not could_match(pattern, {"source": "aws.s3", "a": 9, "b": 9})
    assert not could_match(pattern, {"source": "other", "a": 1})


def test_a_missing_branch_matches_only_what_asks_for_absence() -> None:
    """detail.object.size does not exist in an event without an object."""
    assert not could_match({"detail": {"object": {"size": [{"numeric": [">", 0]}]}}}, {"detail": {}})
    assert could_match({"detail": {"object": {"size": [{"exists": False}]}}}, {"detail": {}})


def edges(text: str) -> list[Edge]:
    """`a-b b-c`."""
    return [Edge(*pair.split("-")) for pair in text.split()]


@pytest.mark.parametrize(
    ("graph", "loops"),
    [
        ("a-b b-c", []),
        ("a-a", [("a",)]),
        ("b-a a-b", [("a", "b")]),
        ("a-b b-c c-a x-a c-y", [("a", "b", "c")]),
        ("a-b b-a c-d d-e e-c", [("a", "b"), ("c", "d", "e")]),
        ("a-b b-c c-d d-a b-a", [("a", "b")]),
        ("r-m m-p p-r m-q q-x", [("m", "p", "r")]),
    ],
)
def test_one_shortest_loop_per_knot_is_named(graph: str, loops: list[tuple[str, ...]]) -> None:
    """The loop begins with its smallest name, and what merely leads in or out is no part of it."""
    assert loops_in(edges(graph)) == loops


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")), max_size=20))
def test_every_loop_is_real_and_none_is_missed(pairs: list[tuple[str, str]]) -> None:
    """Each named loop runs along edges; a graph without one has no way back to anywhere."""
    graph = {Edge(*pair) for pair in pairs}
    found = loops_in(graph)
    for loop in found:
        assert all(Edge(one, other) in graph for one, other in zip(loop, (*loop[1:], loop[0]), strict=True))
    reach = {edge.source: {edge.target} for edge in graph}
    reach = {node: {e.target for e in graph if e.source == node} for node in reach}
    for _ in range(6):
        reach = {node: ends | {far for end in ends for far in reach.get(end, ())} for node, ends in reach.items()}
    assert bool(found) is any(node in ends for node, ends in reach.items())
    named = {node for loop in found for node in loop}
    assert all(any(other in named for other in reach[node]) for node in reach if node in reach[node])


def test_a_long_chain_needs_no_recursion() -> None:
    """Three thousand components in a ring are one loop."""
    ring = [Edge(f"n{number:05}", f"n{(number + 1) % 3000:05}") for number in range(3000)]
    assert len(loops_in([*ring])[0]) == 3000
