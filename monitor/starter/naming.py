"""Names for pipelines, checks and breakers: letters, digits, _ and -, unique, and like what they stand for."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

LONGEST = 48
_BAD = re.compile(r"[^A-Za-z0-9_-]+")
_DASHES = re.compile(r"-{2,}")


def slug(text: str) -> str:
    """`Påy & Ship (prod)` -> `Pay-Ship-prod`; what has no letter that could stay gets a name from its hash."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = _DASHES.sub("-", _BAD.sub("-", plain)).strip("-_")
    if not name:
        return f"p-{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:8]}"
    if len(name) <= LONGEST:
        return name
    # A hash keeps apart what differs only in the part that is cut off.
    return f"{name[: LONGEST - 7].rstrip('-_')}-{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:6]}"


class Names:
    """Hands out names, each once; file systems that ignore case must not merge two of them."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, text: str) -> str:
        """`text` as a name; `-2`, `-3` is added to one that is taken."""
        wanted = name = slug(text)
        number = 2
        while name.casefold() in self._taken:
            name = f"{wanted}-{number}"
            number += 1
        self._taken.add(name.casefold())
        return name


def common(names: Iterable[str]) -> str:
    """The words that all names begin with (`etl` of etl-ingest and etl-ingest-dlq); "" if they share none."""
    split = [re.split(r"[-_./ ]+", name) for name in names]
    shared: list[str] = []
    for words in zip(*split, strict=False):
        if len(set(words)) > 1:
            break
        shared.append(words[0])
    return "-".join(word for word in shared if word)
