"""Filter patterns of CloudWatch Logs on one message. Pure.

Source: CloudWatch Logs user guide, "Filter pattern syntax": terms are case-sensitive and must all be there, `?term`
asks for any of those so marked, `-term` must not be there, a phrase stands in double quotes, a regular expression
between `%`; `{ $.field = value }` compares JSON with =, !=, <, <=, >, >=, `*` in texts, IS TRUE | FALSE | NULL, NOT
EXISTS, && and ||. Where `?` terms stand among others, only the others count here (not verified against AWS).
Space-delimited patterns (`[a, b]`) are refused.
"""

from __future__ import annotations

import fnmatch
import json
import re
from typing import Any

_TERM = re.compile(r'([?-]?)(?:"((?:[^"\\]|\\.)*)"|%([^%]+)%|(\S+))')
_COMPARISON = re.compile(
    r"\$\.([\w.\[\]@-]+)\s*(?:(!=|<=|>=|=|<|>)\s*(\"(?:[^\"\\]|\\.)*\"|%[^%]+%|[^\s()&|]+)"
    r"|(IS\s+(?:TRUE|FALSE|NULL)|NOT\s+EXISTS))",
    re.I,
)


class BadPattern(ValueError):
    """AWS would say InvalidParameterException."""


def matches(pattern: str, message: str) -> bool:
    """Raises BadPattern."""
    text = pattern.strip()
    if not text:
        return True
    if text.startswith("{"):
        return _json(text, message)
    if text.startswith("["):
        raise BadPattern("the emulator does not know space-delimited patterns")
    needed: list[bool] = []
    optional: list[bool] = []
    excluded: list[bool] = []
    for sign, phrase, expression, word in _TERM.findall(text):
        found = re.search(expression, message) is not None if expression else (phrase or word) in message
        {"?": optional, "-": excluded, "": needed}[sign].append(found)
    if any(excluded) or not all(needed):
        return False
    return bool(needed or excluded) or any(optional)


def _json(pattern: str, message: str) -> bool:
    """The comparisons are replaced by their outcome; what is left is and, or and parentheses."""
    try:
        document = json.loads(message)
    except ValueError:
        return False
    if not pattern.endswith("}"):
        raise BadPattern(f"unbalanced: {pattern}")
    rest = _COMPARISON.sub(lambda match: "1" if _holds(match, document) else "0", pattern[1:-1])
    tokens = re.findall(r"[01()]|&&|\|\|", rest)
    if "".join(tokens) != "".join(rest.split()):
        raise BadPattern(f"not understood: {pattern}")
    value, left = _either(tokens)
    if left:
        raise BadPattern(f"not understood: {pattern}")
    return value


def _either(tokens: list[str]) -> tuple[bool, list[str]]:
    value, tokens = _both(tokens)
    while tokens and tokens[0] == "||":
        other, tokens = _both(tokens[1:])
        value = value or other
    return value, tokens


def _both(tokens: list[str]) -> tuple[bool, list[str]]:
    value, tokens = _one(tokens)
    while tokens and tokens[0] == "&&":
        other, tokens = _one(tokens[1:])
        value = value and other
    return value, tokens


def _one(tokens: list[str]) -> tuple[bool, list[str]]:
    if tokens and tokens[0] == "(":
        value, rest = _either(tokens[1:])
        if not rest or rest[0] != ")":
            raise BadPattern("unbalanced parentheses")
        return value, rest[1:]
    if not tokens or tokens[0] not in "01":
        raise BadPattern("a comparison is missing")
    return tokens[0] == "1", tokens[1:]


def _holds(match: re.Match[str], document: Any) -> bool:
    is_there, value = lookup(document, match[1])
    if match[4]:
        word = " ".join(match[4].upper().split())
        wanted = {"IS TRUE": True, "IS FALSE": False, "IS NULL": None}
        return not is_there if word == "NOT EXISTS" else is_there and value is wanted[word]
    if not is_there:
        return False
    return compare(value, match[2], match[3])


def lookup(document: Any, path: str) -> tuple[bool, Any]:
    """(is it there, its value) of `a.b[0].c`."""
    value = document
    for part in re.findall(r"[^.\[\]]+", path):
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return False, None
    return True, value


def compare(value: Any, sign: str, text: str) -> bool:
    """One comparison; numbers as numbers, texts with `*`, `%regular expressions%`."""
    if text.startswith("%"):
        return (re.search(text.strip("%"), str(value)) is not None) is (sign == "=")
    plain = text[1:-1] if text.startswith('"') else text
    try:
        number, wanted = float(value), float(plain)
    except (TypeError, ValueError):
        shown = value if isinstance(value, str) else json.dumps(value)
        return sign in ("=", "!=") and fnmatch.fnmatchcase(shown, plain.replace("[", "[[]")) is (sign == "=")
    return {
        "=": number == wanted, "!=": number != wanted, "<": number < wanted, "<=": number <= wanted,
        ">": number > wanted, ">=": number >= wanted,
    }[sign]  # fmt: skip
