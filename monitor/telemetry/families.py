"""Ordinary families as text, with the constant part of each line kept between scrapes.

The client library takes 10 us for a line: it sorts and escapes the same labels at every scrape. Here it does so once
for each series, and later only the value is written. What it can do and we don't use (timestamps, exemplars, native
histograms, `_created`) goes through the library as a whole family.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import Any

from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

#: Of the client library, for one of the two formats.
Encode = Callable[[Any], bytes]
_END = b"# EOF\n"
_LIBRARYS = ("_created", "_gsum", "_gcount")

_Key = tuple[str, ...]


class FamilyText:
    """Renders families; remembers the lines of those it saw at the last scrape, no others."""

    def __init__(self) -> None:
        self._known: dict[_Key, bytes] = {}

    @property
    def remembered(self) -> int:
        """Lines kept for the next scrape."""
        return len(self._known)

    def scrape(self) -> Scrape:
        """One scrape, which may overlap others."""
        return Scrape(self._known, self._keep)

    def _keep(self, seen: dict[_Key, bytes]) -> None:
        self._known = seen


class Scrape:
    """The lines of one scrape; `done` once every family went through."""

    def __init__(self, known: dict[_Key, bytes], keep: Callable[[dict[_Key, bytes]], None]) -> None:
        self._known = known
        self._keep = keep
        self._seen: dict[_Key, bytes] = {}

    def text(self, family: Metric, encode: Encode) -> bytes:
        """The family, to the byte what `encode` would make of it."""
        librarys = {family.name + suffix for suffix in _LIBRARYS}
        if any(_is_special(sample, librarys) for sample in family.samples):
            return _encoded(family, family.samples, encode)
        keys = [(sample.name, *sample.labels, *sample.labels.values()) for sample in family.samples]
        heading = _encoded(family, (), encode)
        new = [(key, sample) for key, sample in zip(keys, family.samples, strict=True) if key not in self._known]
        if new:
            head = heading.count(b"\n")
            lines = _encoded(family, [sample for _, sample in new], encode).split(b"\n")[head:-1]
            self._seen.update((key, line.rpartition(b" ")[0]) for (key, _), line in zip(new, lines, strict=True))
        seen, known = self._seen, self._known
        pieces = [heading]
        for key, sample in zip(keys, family.samples, strict=True):
            line = seen.get(key)
            if line is None:
                line = seen[key] = known[key]
            pieces.append(line + b" " + _number(sample.value) + b"\n")
        return b"".join(pieces)

    def done(self) -> None:
        """The next scrape knows these lines and no others: what vanished is forgotten."""
        self._keep(self._seen)


def _number(value: float) -> bytes:
    text: str = floatToGoString(value)  # type: ignore[no-untyped-call]
    return text.encode()


def _is_special(sample: Any, librarys: Container[str]) -> bool:
    return (
        sample.timestamp is not None
        or sample.exemplar is not None
        or sample.native_histogram is not None
        or sample.name in librarys
    )


def _encoded(family: Metric, samples: Iterable[Any], encode: Encode) -> bytes:
    part = Metric(family.name, family.documentation, family.type, family.unit)
    part.samples = list(samples)
    return encode(_Single(part)).removesuffix(_END)


class _Single(Collector):
    """One family as a registry, so that the library's encoders take families one at a time."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterable[Metric]:
        return (self._family,)
