"""Conditions: joins on targets, three-valued truth, and a brute-force oracle over every assignment."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.condition import Truth, checks_of, describe, evaluate, terms_of
from monitor.core.model import Level
from monitor.core.spec import Combine, Condition, Term
from monitor.core.standing import Standing

OK = Standing(level=Level.OK, known=True)
WARN = Standing(level=Level.WARNING, known=True)
CRIT = Standing(level=Level.CRITICAL, known=True)
LOST = Standing()
KEPT = Standing(level=Level.CRITICAL, known=False)
LOW = Standing(level=Level.WARNING, known=True, lower_bound=True)
NAMED = {"OK": OK, "WARN": WARN, "CRIT": CRIT, "LOST": LOST, "KEPT": KEPT, "LOW": LOW}
World = dict[tuple[str, str, str], Standing]

AX, AY, BX = Term("a", "x"), Term("a", "y"), Term("b", "x")


def both(*parts: Condition) -> Combine:
    """All of them."""
    return Combine(len(parts), parts)


def either(*parts: Condition) -> Combine:
    """Any of them."""
    return Combine(1, parts)


def world(text: str) -> World:
    """`a.x.t CRIT, a.y.t OK` as standings keyed (check, signal, target)."""
    pairs = [part.split() for part in text.split(", ") if part]
    return {tuple(key.split(".")): NAMED[name] for key, name in pairs}  # type: ignore[misc]


TABLE = [
    ("a critical term is true", AX, "a.x.t CRIT", True, "a.t"),
    ("warning is not critical", AX, "a.x.t WARN", False, ""),
    ("critical is warning or worse", Term("a", "x", Level.WARNING), "a.x.t CRIT", True, "a.t"),
    ("unknown is neither", AX, "a.x.t LOST", None, ""),
    ("a kept level is not known", AX, "a.x.t KEPT", None, ""),
    ("nothing observed is unknown", AX, "", None, ""),
    ("one known breach is enough beside unknown ones", AX, "a.x.t LOST, a.x.u CRIT", True, "a.u"),
    ("ok beside unknown is not definitely false", AX, "a.x.t LOST, a.x.u OK", None, ""),
    ("all breached targets are named", AX, "a.x.t CRIT, a.x.u CRIT, a.x.v OK", True, "a.t a.u"),
    ("a term without signal is any of the check's", Term("a"), "a.x.t OK, a.y.t CRIT", True, "a.t"),
    (
        "terms of one check join on the same target",
        both(AX, AY),
        "a.x.t CRIT, a.y.t OK, a.x.u OK, a.y.u CRIT",
        False,
        "",
    ),
    ("and hold when it is one target", both(AX, AY), "a.x.t CRIT, a.y.t CRIT, a.x.u CRIT, a.y.u OK", True, "a.t"),
    ("terms of two checks join on any", both(AX, BX), "a.x.t CRIT, b.x.u CRIT", True, "a.t b.u"),
    (
        "the join holds through nesting",
        both(either(AX, BX), AY),
        "a.x.t CRIT, a.y.t OK, a.x.u OK, a.y.u CRIT, b.x.w OK",
        False,
        "",
    ),
    (
        "a branch that is not true names no target",
        either(AX, both(AY, BX)),
        "a.x.t CRIT, a.y.u CRIT, a.x.u OK, a.y.t OK, b.x.w OK",
        True,
        "a.t",
    ),
    ("false and unknown is false", both(AX, BX), "a.x.t OK, b.x.u LOST", False, ""),
    ("true and unknown is unknown", both(AX, BX), "a.x.t CRIT, b.x.u LOST", None, ""),
    ("a target without the signal is false for it", AX, "a.x.t OK, a.y.sum CRIT", False, ""),
    ("two of three", Combine(2, (AX, AY, BX)), "a.x.t CRIT, a.y.t OK, b.x.u CRIT", True, "a.t b.u"),
    ("a lower bound at warning is not known below critical", AX, "a.x.t LOW", None, ""),
]


@pytest.mark.parametrize(("sentence", "condition", "standings", "truth", "targets"), TABLE, ids=[r[0] for r in TABLE])
def test_a_rule(
    sentence: str,
    condition: Condition,
    standings: str,
    truth: Truth,
    targets: str,
) -> None:
    """Each row is the sentence it is named after."""
    match = evaluate(condition, world(standings))
    named = {f"{check}.{target}" for check, target in match.targets}
    assert (match.truth, named) == (truth, set(targets.split())), sentence


@pytest.mark.parametrize(("held", "truth"), [(9.9, False), (10.0, True)])
def test_a_term_waits_for_its_own_time(held: float, truth: bool) -> None:
    """`{signal, for: 10s}` asks how long the level has stood."""
    term = Term("a", "x", hold=timedelta(seconds=10))
    standing = Standing(level=Level.CRITICAL, known=True, held_critical=held)
    assert evaluate(term, {("a", "x", "t"): standing}).truth is truth


def test_reasons_name_the_terms_and_targets() -> None:
    """A trip's first line in the timeline comes from here."""
    assert evaluate(AX, {("a", "x", "t"): CRIT}).reasons == ("a.x critical on t",)
    assert evaluate(AX, {("a", "x", "t"): LOST}).reasons == ("a.x unknown on t",)
    assert evaluate(AX, {}).reasons == ("a.x not observed yet",)


DESCRIBED = [
    (Term("execution-rate", "started_per_minute"), "execution-rate.started_per_minute critical"),
    (either(AX, Term("b", None, Level.WARNING, timedelta(minutes=5))), "a.x critical, or b warning for 5m"),
    (both(AX, either(AY, BX)), "a.x critical and (a.y critical, or b.x critical)"),
    (Combine(2, (AX, AY, BX)), "at least 2 of: a.x critical, a.y critical, b.x critical"),
    (either(AX), "a.x critical"),
]


@pytest.mark.parametrize(("condition", "text"), DESCRIBED, ids=[row[1] for row in DESCRIBED])
def test_conditions_read_as_sentences(condition: Condition, text: str) -> None:
    """What the page shows beside a breaker."""
    assert describe(condition) == text


def test_checks_and_terms_of_a_condition() -> None:
    """Each check once, each term in order."""
    condition = both(AX, either(BX, AY))
    assert (checks_of(condition), terms_of(condition)) == (("a", "b"), (AX, BX, AY))


def test_thousands_of_targets_stay_cheap() -> None:
    """Targets that stand alike are one choice, so three checks of 3,000 targets are no 27 billion assignments."""
    condition = both(AX, AY, BX, Term("c", "x"))
    standings = {
        (check, signal, f"t{i}"): (CRIT if i % 3 else OK)
        for check, signal in (("a", "x"), ("a", "y"), ("b", "x"), ("c", "x"))
        for i in range(3000)
    }
    assert len(evaluate(condition, standings).targets) == 6000


# --- the oracle: every assignment of one target per check, tried in full ----------------------------------------------

leaves = st.builds(
    Term,
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from(["x", "y", None]),
    st.sampled_from([Level.WARNING, Level.CRITICAL]),
)
conditions = st.recursive(
    leaves,
    lambda part: st.lists(part, min_size=1, max_size=3).flatmap(
        lambda parts: st.builds(Combine, st.integers(1, len(parts)), st.just(tuple(parts)))
    ),
    max_leaves=6,
)
worlds = st.dictionaries(
    st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from(["x", "y"]), st.sampled_from(["1", "2", "3"])),
    st.sampled_from([OK, WARN, CRIT, LOST, KEPT]),
    max_size=14,
)


def _number(truth: Truth) -> float:
    return {False: 0.0, None: 0.5, True: 1.0}[truth]


def _value(condition: Condition, seen: World, chosen: dict[str, str | None]) -> float:
    """Kleene truth as a number: at_least n is the n-th largest part."""
    if isinstance(condition, Combine):
        parts = sorted((_value(part, seen, chosen) for part in condition.parts), reverse=True)
        return parts[condition.need - 1]
    check, target = condition.check, chosen[condition.check]
    if target is None:
        return 0.5
    own = {s: v for (c, s, t), v in seen.items() if (c, t) == (check, target)}
    if condition.signal is None:
        return max(_number(v.holds(condition.level)) for v in own.values())
    if condition.signal in own:
        return _number(own[condition.signal].holds(condition.level))
    return 0.0 if any((c, s) == (check, condition.signal) for c, s, _ in seen) else 0.5


def _carried(condition: Condition, seen: World, chosen: dict[str, str | None]) -> set[tuple[str, str | None]]:
    """Targets under the root through true nodes only."""
    if _value(condition, seen, chosen) != 1.0:
        return set()
    if isinstance(condition, Term):
        return {(condition.check, chosen[condition.check])}
    return set().union(*(_carried(part, seen, chosen) for part in condition.parts))


@settings(max_examples=300, deadline=None)
@given(conditions, worlds)
def test_against_every_assignment(condition: Condition, seen: World) -> None:
    """The pruned evaluation says what trying all assignments says."""
    checks = checks_of(condition)
    choices: list[list[str | None]] = [[*sorted({t for c, _, t in seen if c == check})] or [None] for check in checks]
    best, targets = 0.0, set()
    for picked in product(*choices):
        chosen: dict[str, str | None] = dict(zip(checks, picked, strict=True))
        best = max(best, _value(condition, seen, chosen))
        targets |= _carried(condition, seen, chosen)
    match = evaluate(condition, seen)
    assert _number(match.truth) == best
    assert set(match.targets) == targets
    assert bool(match.reasons) is (match.truth is not False)


@settings(max_examples=200, deadline=None)
@given(conditions, worlds, st.data())
def test_losing_sight_never_decides(condition: Condition, seen: World, data: st.DataObject) -> None:
    """Turning known standings unknown never makes a condition true, nor false, that was not so before."""
    blind = {key: (LOST if data.draw(st.booleans()) else standing) for key, standing in seen.items()}
    before, after = evaluate(condition, seen).truth, evaluate(condition, blind).truth
    assert after is None or after is before
