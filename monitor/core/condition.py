"""When a breaker wants to trip: a condition over the levels of checks, in three-valued logic.

How terms join. An *assignment* picks one target for each check the condition names; under it every term of that check
speaks of that target. The condition is true if some assignment makes it true, so `all: [a.x, a.y]` needs both signals
on one target of `a`, while `all: [a.x, b.y]` takes any target of either. This holds through any nesting: two terms of
one check in different branches still speak of the same target.

Truth is Kleene's: unknown never makes a condition true, and it is false only if no unknown could have made it true. A
check nothing was ever observed of is unknown. A target without a term's signal, where others have it, is false for it.

Cost: conditions hold no negation, so of each check only the best distinct combinations of its terms' truths matter.
Thousands of targets collapse to a handful before assignments are tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from monitor.core.durations import format_duration
from monitor.core.model import Level
from monitor.core.spec import Combine, Condition, Term
from monitor.core.standing import Standing

Truth = bool | None
Key = tuple[str, str, str]
Vector = tuple[Truth, ...]
Own = dict[str, Standing]

_MAX_REASONS = 20


@dataclass(frozen=True, slots=True)
class Match:
    """`targets`: the (check, target) pairs whose terms make it true (empty unless true). `reasons`: for people."""

    truth: Truth
    targets: frozenset[tuple[str, str]]
    reasons: tuple[str, ...]


def evaluate(condition: Condition, standings: Mapping[Key, Standing]) -> Match:
    """Judge a condition against standings keyed (check, signal, target)."""
    terms = tuple(_terms(condition))
    checks = tuple(dict.fromkeys(term.check for term in terms))
    by_check = {check: _vectors(check, terms, own) for check, own in _by_target(checks, standings).items()}
    best = {check: _maximal(set(vectors)) for check, vectors in by_check.items()}
    if not any(_truth(condition, choice) is True for choice in _assignments(checks, best)):
        possible = any(_truth(condition, choice) is None for choice in _assignments(checks, best))
        return Match(None if possible else False, frozenset(), _open(terms, standings) if possible else ())
    targets: set[tuple[str, str]] = set()
    reasons: dict[str, None] = {}
    for check in checks:
        for vector, names in by_check[check].items():
            told = _contribution(condition, terms, check, {**best, check: frozenset({vector})})
            if told:
                targets.update((check, name) for name in names)
                shown = names[:_MAX_REASONS]
                reasons.update((f"{_term(terms[i])} on {name}", None) for name in shown for i in told)
    return Match(True, frozenset(targets), tuple(reasons)[:_MAX_REASONS])


def describe(condition: Condition) -> str:
    """`execution-rate.started_per_minute critical, or throttles critical for 5m`."""
    if isinstance(condition, Term):
        return _term(condition)
    parts = [f"({describe(part)})" if isinstance(part, Combine) else _term(part) for part in condition.parts]
    if len(parts) == 1:
        return parts[0]
    if condition.need <= 1:
        return ", or ".join(parts)
    if condition.need >= len(parts):
        return " and ".join(parts)
    return f"at least {condition.need} of: {', '.join(parts)}"


def checks_of(condition: Condition) -> tuple[str, ...]:
    """The checks a condition names, each once, in its order."""
    return tuple(dict.fromkeys(term.check for term in _terms(condition)))


def terms_of(condition: Condition) -> tuple[Term, ...]:
    """Its leaves, in its order."""
    return tuple(_terms(condition))


def _terms(condition: Condition) -> Iterator[Term]:
    if isinstance(condition, Term):
        yield condition
    else:
        for part in condition.parts:
            yield from _terms(part)


def _term(term: Term) -> str:
    name = f"{term.check}.{term.signal}" if term.signal else term.check
    hold = f" for {format_duration(term.hold)}" if term.hold else ""
    return f"{name} {term.level}{hold}"


def _by_target(checks: tuple[str, ...], standings: Mapping[Key, Standing]) -> dict[str, dict[str, Own]]:
    """Check -> target -> signal -> standing, for these checks, in one pass."""
    found: dict[str, dict[str, Own]] = {check: {} for check in checks}
    for (check, signal, target), standing in standings.items():
        if check in found:
            found[check].setdefault(target, {})[signal] = standing
    return found


def _vectors(check: str, terms: tuple[Term, ...], targets: Mapping[str, Own]) -> dict[Vector, list[str]]:
    """The truths of all terms on each target of `check` (False where a term is another check's), targets grouped."""
    if not targets:
        return {tuple(None if term.check == check else False for term in terms): []}
    known = {signal for own in targets.values() for signal in own}
    grouped: dict[Vector, list[str]] = {}
    for target in sorted(targets):
        vector = tuple(term.check == check and _holds(term, targets[target], known) for term in terms)
        grouped.setdefault(vector, []).append(target)
    return grouped


def _holds(term: Term, own: Own, known: set[str]) -> Truth:
    seconds = term.hold.total_seconds()
    if term.signal is None:
        return _at_least(1, [standing.holds(term.level, seconds) for standing in own.values()])
    if term.signal in own:
        return own[term.signal].holds(term.level, seconds)
    return False if term.signal in known else None


def _at_least(need: int, truths: list[Truth]) -> Truth:
    certain = truths.count(True)
    if certain >= max(need, 1):
        return True
    return None if certain + truths.count(None) >= max(need, 1) else False


def _maximal(vectors: set[Vector]) -> frozenset[Vector]:
    """Without those another one is at least as true as in every term (False < unknown < True)."""
    rank: dict[Truth, int] = {False: 0, None: 1, True: 2}

    def below(one: Vector, other: Vector) -> bool:
        return one != other and all(rank[a] <= rank[b] for a, b in zip(one, other, strict=True))

    return frozenset(one for one in vectors if not any(below(one, other) for other in vectors))


def _assignments(checks: tuple[str, ...], choices: Mapping[str, frozenset[Vector]]) -> Iterator[Vector]:
    """Every pick of one vector per check, merged: a term is true for its own check's vector only."""
    for picked in product(*(choices[check] for check in checks)):
        yield tuple(_merge(column) for column in zip(*picked, strict=True))


def _merge(column: tuple[Truth, ...]) -> Truth:
    return _at_least(1, list(column))


def _truth(condition: Condition, vector: Vector) -> Truth:
    return _walk(condition, iter(vector))[0]


def _walk(condition: Condition, truths: Iterator[Truth]) -> tuple[Truth, list[bool]]:
    """(truth, which leaves carry it): a leaf carries the root's truth if it and every node above it are true."""
    if isinstance(condition, Term):
        truth = next(truths)
        return truth, [truth is True]
    parts = [_walk(part, truths) for part in condition.parts]
    truth = _at_least(condition.need, [part for part, _ in parts])
    return truth, [truth is True and carries for _, leaves in parts for carries in leaves]


def _contribution(
    condition: Condition, terms: tuple[Term, ...], check: str, choices: Mapping[str, frozenset[Vector]]
) -> list[int]:
    """Indexes of the terms of `check` that carry a true outcome under some assignment from `choices`."""
    carried: set[int] = set()
    checks = tuple(choices)
    for vector in _assignments(checks, choices):
        truth, leaves = _walk(condition, iter(vector))
        if truth is True:
            carried |= {i for i, carries in enumerate(leaves) if carries and terms[i].check == check}
    return sorted(carried)


def _open(terms: tuple[Term, ...], standings: Mapping[Key, Standing]) -> tuple[str, ...]:
    """What is not known, for people."""
    lines: dict[str, None] = {}
    for term in terms:
        own = {key: s for key, s in standings.items() if key[0] == term.check and term.signal in {None, key[1]}}
        if not own:
            name = f"{term.check}.{term.signal}" if term.signal else term.check
            lines[f"{name} not observed yet"] = None
        for (check, signal, target), standing in own.items():
            if standing.holds(term.level, term.hold.total_seconds()) is None:
                kept = f" ({standing.level} was kept)" if standing.level is not Level.UNKNOWN else ""
                lines[f"{check}.{signal} unknown on {target}{kept}"] = None
    return tuple(lines)[:_MAX_REASONS]
