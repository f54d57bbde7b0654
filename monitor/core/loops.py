"""Loops among triggers: which event patterns an event could match, and the cycles of who triggers whom.

Patterns follow EventBridge's documented operators (user guide, "Comparison operators for use in event patterns"): exact
values, null, `prefix`, `suffix`, `equals-ignore-case`, `wildcard`, `anything-but` (values, prefix, suffix,
equals-ignore-case, wildcard), `numeric`, `cidr`, `exists`, and `$or`. A field's list is an or, fields are an and.

An event that nobody has sent yet has values that are not known: `Text` stands for any text (with a known beginning or
end), so a pattern is asked whether it *could* match. Where that can't be told it could: a warning too many is a look at
the configuration, one too few is the loop.
"""

from __future__ import annotations

import ipaddress
import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Cycles named in one report.
MOST_LOOPS = 50


@dataclass(frozen=True, slots=True)
class Text:
    """Some text that begins and ends so; with `exact` it is `start`, whole."""

    start: str = ""
    end: str = ""
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Anything:
    """A part of an event of which nothing is known, not even its shape."""


# --- patterns -------------------------------------------------------------------------------------------------------


def could_match(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Whether some event of this form matches. `event` nests like the pattern; a leaf is a value or a Text."""
    for field, wanted in pattern.items():
        if field == "$or" and isinstance(wanted, list):
            if not any(could_match(one, event) for one in wanted if isinstance(one, Mapping)):
                return False
            continue
        is_there, value = field in event, event.get(field)
        if isinstance(value, Anything):
            continue
        if isinstance(wanted, Mapping):
            # A missing branch matches only what asks for absence.
            if not could_match(wanted, value if isinstance(value, Mapping) else {}):
                return False
        elif not _any_of(wanted, value, is_there=is_there):
            return False
    return True


def _any_of(wanted: Any, value: Any, *, is_there: bool) -> bool:
    alternatives = wanted if isinstance(wanted, list) else [wanted]
    values = value if isinstance(value, list) else [value]
    for alternative in alternatives:
        if isinstance(alternative, Mapping) and set(alternative) == {"exists"}:
            if bool(alternative["exists"]) is (is_there and not isinstance(value, Mapping)):
                return True
        elif is_there and any(_fits(alternative, one) for one in values):
            return True
    return False


def _fits(alternative: Any, value: Any) -> bool:
    """One alternative of a field's list against one value."""
    if isinstance(alternative, Mapping):
        return all(_operator(name, operand, value) for name, operand in alternative.items())
    if isinstance(value, Text):
        return isinstance(alternative, str) and _may_equal(value, alternative)
    return (type(alternative) is type(value) and alternative == value) or _same_number(alternative, value)


def _same_number(one: Any, other: Any) -> bool:
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in (one, other))
    return numbers and one == other


def _operator(name: str, operand: Any, value: Any) -> bool:
    if name == "anything-but":
        return _anything_but(operand, value)
    if name in ("numeric", "cidr"):
        return _ranged(name, operand, value)
    if not isinstance(value, (str, Text)):
        return False
    text = value if isinstance(value, Text) else Text(value, exact=True)
    if name in ("prefix", "suffix") and isinstance(operand, Mapping):
        inner, text = str(operand.get("equals-ignore-case", "")).lower(), _lower(text)
        return _may_begin(text, inner) if name == "prefix" else _may_end(text, inner)
    simple = {
        "prefix": lambda: _may_begin(text, str(operand)),
        "suffix": lambda: _may_end(text, str(operand)),
        "equals-ignore-case": lambda: _may_equal(_lower(text), str(operand).lower()),
        "wildcard": lambda: _may_be_wild(text, str(operand)),
    }
    # An operator that is newer than this module: it could match.
    return simple[name]() if name in simple else True


def _anything_but(operand: Any, value: Any) -> bool:
    if isinstance(value, Text) and not value.exact:
        # Of infinitely many texts some other one is left, unless all of them begin (or end) as forbidden.
        if isinstance(operand, Mapping):
            begins = _listed(operand.get("prefix"))
            ends = _listed(operand.get("suffix"))
            sure = any(value.start.startswith(one) for one in begins) or any(
                value.end.endswith(one) for one in ends if one
            )
            return not sure
        return True
    plain = value.start if isinstance(value, Text) else value
    if isinstance(operand, Mapping):
        return not any(_operator(name, one, plain) for name, many in operand.items() for one in _listed(many))
    return not any(_fits(one, plain) for one in _listed(operand))


def _listed(value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    return value if isinstance(value, list) else (value,)


def _ranged(name: str, operand: Any, value: Any) -> bool:
    if isinstance(value, Text) and not value.exact:
        return name == "cidr" or not value.start
    plain = value.start if isinstance(value, Text) else value
    if name == "cidr":
        try:
            return ipaddress.ip_address(str(plain)) in ipaddress.ip_network(str(operand), strict=False)
        except ValueError:
            return False
    if isinstance(plain, bool) or not isinstance(plain, (int, float)) or not isinstance(operand, list):
        return False
    compare = {
        "=": plain.__eq__, "<": plain.__lt__, "<=": plain.__le__, ">": plain.__gt__, ">=": plain.__ge__,
    }  # fmt: skip
    pairs = zip(operand[::2], operand[1::2], strict=False)
    return all(sign in compare and compare[sign](bound) is True for sign, bound in pairs)


def _lower(text: Text) -> Text:
    return Text(text.start.lower(), text.end.lower(), text.exact)


def _may_equal(text: Text, wanted: str) -> bool:
    if text.exact:
        return text.start == wanted
    return wanted.startswith(text.start) and wanted.endswith(text.end)


def _may_begin(text: Text, prefix: str) -> bool:
    return text.start.startswith(prefix) or (not text.exact and prefix.startswith(text.start))


def _may_end(text: Text, suffix: str) -> bool:
    if text.exact:
        return text.start.endswith(suffix)
    return text.end.endswith(suffix) or suffix.endswith(text.end)


def _may_be_wild(text: Text, wild: str) -> bool:
    """`*` is any text, `\\*` and `\\\\` are themselves."""
    parts = re.findall(r"\\[*\\]|\*|[^*\\]+|\\", wild)
    if text.exact:
        expression = "".join(
            ".*" if part == "*" else re.escape(part[-1] if part[0] == "\\" else part) for part in parts
        )
        return re.fullmatch(expression, text.start, re.S) is not None
    literal = [part if part == "*" else (part[-1] if part[0] == "\\" else part) for part in parts]
    if "*" not in parts:
        return _may_equal(text, "".join(literal))
    first = "".join(literal[: parts.index("*")])
    last = "".join(literal[len(parts) - parts[::-1].index("*") :])
    return _may_begin(text, first) and _may_end(text, last)


# --- cycles ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """`source` can set off `target`."""

    source: str
    target: str


def loops_in(edges: Iterable[Edge]) -> list[tuple[str, ...]]:
    """One shortest loop through each knot of the graph (nodes that reach each other), from its smallest name; sorted.

    A loop is its nodes in order; the last sets off the first again.
    """
    after: dict[str, list[str]] = {}
    for edge in sorted(set(edges)):
        after.setdefault(edge.source, []).append(edge.target)
    found = []
    for knot in _knots(after):
        first = min(knot)
        loop = min((_shortest(node, knot, after) for node in knot), key=lambda one: (len(one), one), default=())
        if loop:
            turn = loop.index(first) if first in loop else loop.index(min(loop))
            found.append(loop[turn:] + loop[:turn])
    return sorted(found)[:MOST_LOOPS]


def _knots(after: Mapping[str, Sequence[str]]) -> list[set[str]]:
    """Tarjan's strongly connected components that hold a cycle, without recursion."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    knots: list[set[str]] = []
    for root in sorted(after):
        if root in index:
            continue
        work: list[tuple[str, int]] = [(root, 0)]
        while work:
            node, step = work.pop()
            if step == 0:
                index[node] = low[node] = len(index)
                stack.append(node)
                on_stack.add(node)
            descended = False
            targets = after.get(node, ())
            for number in range(step, len(targets)):
                target = targets[number]
                if target not in index:
                    work += [(node, number + 1), (target, 0)]
                    descended = True
                    break
                if target in on_stack:
                    low[node] = min(low[node], index[target])
            if descended:
                continue
            if low[node] == index[node]:
                knot: set[str] = set()
                while node not in knot:
                    member = stack.pop()
                    on_stack.discard(member)
                    knot.add(member)
                if len(knot) > 1 or node in targets:
                    knots.append(knot)
            if work:
                parent = work[-1][0]
                low[parent] = min(low[parent], low[node])
    return knots


def _shortest(start: str, knot: set[str], after: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The shortest way from `start` back to itself inside the knot."""
    came: dict[str, str] = {}
    queue = deque([start])
    while queue:
        node = queue.popleft()
        for target in after.get(node, ()):
            if target == start:
                way = [node]
                while way[-1] != start:
                    way.append(came[way[-1]])
                return tuple(reversed(way))
            if target in knot and target not in came:
                came[target] = node
                queue.append(target)
    return (start,)
