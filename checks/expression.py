"""Arithmetic over named numbers, computed here and not by CloudWatch: `errors / calls`, `per_minute(started)`.

Numbers, names, `+ - * /`, brackets and a few functions; nothing else parses. A missing number makes the whole result
missing, and so does a division by zero: a ratio of nothing is no ratio. Pure.

- `rate(x)`, `per_minute(x)`, `per_hour(x)`: a sum over the window, per second, minute or hour;
- `previous(x)`: x in the window before this one, so `calls / previous(calls)` is growth;
- `min(a, b)`, `max(a, b)`, `abs(x)`.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Values = Mapping[str, float | None]

#: Longer expressions are a program, and a deep one could exhaust the stack.
MAX_LENGTH = 300

_OPERATORS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}

#: Seconds per unit of the functions that make a rate of a sum.
_RATES: Mapping[str, float] = {"rate": 1.0, "per_minute": 60.0, "per_hour": 3600.0}

#: Name -> (how many arguments at least, at most, what it computes).
_FUNCTIONS: Mapping[str, tuple[int, int, Callable[..., float]]] = {
    "min": (2, 8, min),
    "max": (2, 8, max),
    "abs": (1, 1, abs),
}

_PREVIOUS = "previous"

RESERVED = frozenset({*_RATES, *_FUNCTIONS, _PREVIOUS})


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression. `rated` are the names that stand inside a rate; `looks_back` says that `previous` occurs."""

    text: str
    root: ast.expr
    names: frozenset[str]
    rated: frozenset[str]
    looks_back: bool

    def evaluate(self, values: Values, before: Values, seconds: float) -> float | None:
        """The result over a window of `seconds`; `before` are the values of the window before it."""
        result = _evaluate(self.root, values, before, seconds)
        return result if result is not None and math.isfinite(result) else None


def parse(text: str) -> Expression:
    """Raises ValueError, with what to write instead, for anything but the arithmetic above."""
    if len(text) > MAX_LENGTH:
        raise ValueError(f"an expression has at most {MAX_LENGTH} characters")
    try:
        root = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"{text!r} is no arithmetic: write e.g. errors / calls") from error
    _allow(root, text)
    called = {node.func for node in ast.walk(root) if isinstance(node, ast.Call)}
    names = frozenset(node.id for node in _names(root) if node not in called)
    rates = [node for node in _calls(root) if _name(node) in _RATES]
    rated = frozenset(name.id for node in rates for part in node.args for name in _names(part)) - RESERVED
    if not names:
        raise ValueError(f"{text!r} names no metric")
    return Expression(text, root, names, rated, any(_name(node) == _PREVIOUS for node in _calls(root)))


def _names(root: ast.AST) -> Iterator[ast.Name]:
    return (node for node in ast.walk(root) if isinstance(node, ast.Name))


def _calls(root: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(root) if isinstance(node, ast.Call))


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _allow(node: ast.expr, text: str, *, in_past: bool = False) -> None:
    """Raises ValueError unless the node and all below it are of the language."""
    match node:
        case ast.Constant(value=bool()):
            raise ValueError(f"{text!r}: true and false are no numbers")
        case ast.Constant(value=int() | float()):
            return
        case ast.Name(id=name):
            if name in RESERVED:
                raise ValueError(f"{text!r}: {name} is a function: write {name}(...)")
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            _allow(operand, text, in_past=in_past)
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATORS:
            _allow(left, text, in_past=in_past)
            _allow(right, text, in_past=in_past)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            _allow_call(name, len(args), text, in_past=in_past)
            for part in args:
                _allow(part, text, in_past=in_past or name == _PREVIOUS)
        case _:
            raise ValueError(f"{text!r}: only numbers, metric names, + - * /, brackets and {_known()}")


def _allow_call(name: str, count: int, text: str, *, in_past: bool) -> None:
    least, most, _ = _FUNCTIONS.get(name, (1, 1, abs))
    if name not in RESERVED:
        raise ValueError(f"{text!r}: there is no function {name}; there are {_known()}")
    if not least <= count <= most:
        raise ValueError(f"{text!r}: {name} takes {least if least == most else f'{least} to {most}'} arguments")
    if name == _PREVIOUS and in_past:
        raise ValueError(f"{text!r}: previous stands only once above a name")


def _known() -> str:
    return ", ".join(f"{name}()" for name in sorted(RESERVED))


def _evaluate(node: ast.expr, values: Values, before: Values, seconds: float) -> float | None:
    match node:
        case ast.Constant(value=number):
            return float(number)  # type: ignore[arg-type]  # only numbers were let in
        case ast.Name(id=name):
            return values[name]
        case ast.UnaryOp(operand=operand):
            below = _evaluate(operand, values, before, seconds)
            return None if below is None else -below
        case ast.BinOp(left=left, op=sign, right=right):
            return _apply(_OPERATORS[type(sign)], [_evaluate(part, values, before, seconds) for part in (left, right)])
        case ast.Call(args=args):
            name = _name(node)
            if name == _PREVIOUS:
                return _evaluate(args[0], before, before, seconds)
            parts = [_evaluate(part, values, before, seconds) for part in args]
            if name in _RATES:
                return _apply(lambda total: total / seconds * _RATES[name], parts)
            return _apply(_FUNCTIONS[name][2], parts)
    raise AssertionError(f"{type(node).__name__} was let in")


def _apply(function: Callable[..., Any], parts: list[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    try:
        return float(function(*known))
    except ZeroDivisionError:
        return None
