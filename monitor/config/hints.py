"""What to write instead, for complaints that don't say it themselves: every problem a reader gets has a way out."""

from __future__ import annotations

import re
from collections.abc import Sequence

#: A complaint that ends with its own hint in brackets.
_OWN = re.compile(r"(?s)(.+) \(([^()]+)\)")
#: What a bracket at the end says of a bound is no hint.
_NO_HINT = re.compile(r"above |below ")

#: (what is complained about, what helps); `\\1` is what the first group matched.
_HINTS: Sequence[tuple[str, str]] = (
    (r"is required$", "add '{key}'"),
    (r"greater than or equal to (\S+?),", r"write \1 or more"),
    (r"less than or equal to (\S+?),", r"write \1 or less"),
    (r"greater than (\S+?),", r"write more than \1"),
    (r"less than (\S+?),", r"write less than \1"),
    (r"at least (\d+) item", r"write at least \1 of them"),
    (r"longer than zero", "write for example 30s"),
    (r"longer than the interval", "shorten it, or lengthen the interval"),
    (r"must not be empty", "write a value, or leave the key out"),
    (r"must be a whole number", "write for example 5"),
    (r"must be a number", "write for example 0.5"),
    (r"must be true or false", "write true or false, without quotes"),
    (r"must be text", "write a word, in quotes if it has special characters"),
    (r"must be a list of conditions", "write for example [CHECK.SIGNAL]"),
    (r"must be a list", "write [a, b], or items that begin with -"),
    (r"must be a mapping", "write its keys below it, indented"),
    (r"is not one of", "write one of these words"),
    (r"changes things", "put it into a breaker as an aws_call step"),
    (r"unknown (parameter|operation)", r"the service's API reference names its \1s"),
    (r"needs at least one check", "write checks: {NAME: {kind: KIND}}; `tripswitch explain` lists the kinds"),
    (r"can never (hold|be reached)", "ask for fewer, or name more"),
    (r"can never succeed", "lengthen 'within', or shorten 'for'"),
    (r"can't be ramped", "ramp an action that `tripswitch explain` shows with an undo"),
    (r"cannot be undone", "leave this step out, or undo another one"),
    (r"have the id", "give one of them another id"),
    (r"belongs beside an action", "move it to a step that names one"),
    (r"together are always breached", "leave room between them, or drop one"),
    (r"while still breached", "clear on the other side of the bound"),
    (r"is not a number$", "write for example 10"),
    (r"is a percentage, but|is a size, but", "write a plain number of that unit"),
    (r"has a value only in a breaker's steps", "write it out here"),
    (r"go round in a circle", "write one of them out"),
    (r"keys must be plain text", "put the key in quotes"),
    (r"may not contain itself", "write out what you mean instead of the alias"),
    (r"is not defined above", "define it with & before it is used"),
    (r"not valid YAML", "look at brackets, quotes and indentation just above"),
    (r"select something", "write a name, or '*' for all of them"),
    (r"a second document", "put it into a file of its own"),
)
_COMPILED = tuple((re.compile(pattern), hint) for pattern, hint in _HINTS)
_ANYWHERE = "see `tripswitch explain` and the editor's help"


def with_hint(message: str, key: object) -> tuple[str, str]:
    """(the complaint, what to write instead): the bracket at its end, else what fits its words."""
    own = _OWN.fullmatch(message)
    if own is not None and not _NO_HINT.match(own[2]):
        return own[1], own[2]
    for pattern, hint in _COMPILED:
        if (found := pattern.search(message)) is not None:
            return message, found.expand(hint).replace("{key}", str(key))
    return message, _ANYWHERE
