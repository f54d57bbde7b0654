"""`trip_when:` as a Condition whose every term names a signal that can breach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from monitor.config.checks import Known
from monitor.config.document import Document
from monitor.config.models import TermSection
from monitor.config.problems import KeyPath, did_you_mean, one_of
from monitor.config.thresholds import levels_that_can_breach
from monitor.config.validation import shape, validate
from monitor.core.model import Json, Level
from monitor.core.spec import Combine, Condition, SignalSpec, Term

_COMBINERS = ("any", "all", "at_least")


def read_condition(data: Json, path: KeyPath, checks: Mapping[str, Known], document: Document) -> Condition | None:
    """The condition, or None after telling why there is none. A bare term or a list means any of it."""
    if isinstance(data, str):
        check, _, signal = data.partition(".")
        term = Term(check, signal or None)
        return term if _can_trip(term, path, checks, document) else None
    if isinstance(data, list):
        return _combined(1, data, path, checks, document)
    if not isinstance(data, Mapping):
        document.report.add(path, f"must be check, check.signal, any, all or at_least, not {shape(data)}")
        return None
    used = [key for key in _COMBINERS if key in data]
    if not used and "signal" not in data:
        for key in data:
            if key not in {"level", "for"}:
                document.report.unknown((*path, key), "key", key, (*_COMBINERS, "signal"))
                return None
    if not used:
        return _written_term(data, path, checks, document)
    if len(used) > 1:
        document.report.add((*path, used[1]), f"'{used[1]}' beside '{used[0]}'", "nest one inside the other")
        return None
    legal = {"any": ("any",), "all": ("all",), "at_least": ("at_least", "of")}[used[0]]
    if strangers := [key for key in data if key not in legal]:
        for key in strangers:
            document.report.unknown((*path, key), "key", key, legal)
        return None
    if used[0] == "at_least":
        return _at_least(data, path, checks, document)
    parts = data[used[0]]
    inner = (*path, used[0])
    need = 1 if used[0] == "any" or not isinstance(parts, list) else len(parts)
    return _combined(need, parts, inner, checks, document)


def _at_least(
    data: Mapping[str, Json], path: KeyPath, checks: Mapping[str, Known], document: Document
) -> Condition | None:
    """`at_least: 2, of: [...]` or `at_least: {count: 2, of: [...]}`."""
    inner = data["at_least"]
    where = (*path, "at_least")
    if isinstance(inner, Mapping):
        if strangers := [key for key in inner if key not in {"count", "of"}]:
            for key in strangers:
                document.report.unknown((*where, key), "key", key, ("count", "of"))
            return None
        return _counted(inner.get("count"), inner.get("of"), (*where, "count"), (*where, "of"), checks, document)
    return _counted(inner, data.get("of"), where, (*path, "of"), checks, document)


def _counted(
    count: Json, parts: Json, at: KeyPath, of: KeyPath, checks: Mapping[str, Known], document: Document
) -> Condition | None:
    number = int(count) if isinstance(count, str) and count.isdigit() else count
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        document.report.add(at, "must be a whole number from 1", "write at_least: 2, of: [a, b, c]")
        return None
    if not isinstance(parts, list) or not parts:
        document.report.add(of, "must be a list of conditions", "write at_least: 2, of: [a, b, c]")
        return None
    if number > len(parts):
        document.report.add(at, f"{number} of {len(parts)} can never hold")
        return None
    return _combined(number, parts, of, checks, document)


def _combined(
    need: int, parts: Json, path: KeyPath, checks: Mapping[str, Known], document: Document
) -> Condition | None:
    if not isinstance(parts, list) or not parts:
        found = "an empty list" if isinstance(parts, list) else shape(parts)
        document.report.add(path, f"must be a list of conditions, not {found}")
        return None
    found_parts = [read_condition(part, (*path, n), checks, document) for n, part in enumerate(parts)]
    whole = tuple(part for part in found_parts if part is not None)
    return Combine(need, whole) if len(whole) == len(found_parts) else None


def _written_term(
    data: Mapping[str, Json], path: KeyPath, checks: Mapping[str, Known], document: Document
) -> Term | None:
    section = validate(TermSection, data, path, document, also=_COMBINERS)
    if section is None:
        return None
    check, _, signal = section.signal.partition(".")
    term = Term(check, signal or None, Level(section.level), section.hold)
    return term if _can_trip(term, (*path, "signal"), checks, document) else None


def _can_trip(term: Term, path: KeyPath, checks: Mapping[str, Known], document: Document) -> bool:
    """The check is there, has the signal, and the signal has a threshold at that level."""
    signals = resolve(term.check, term.signal, path, checks, document)
    if signals is None:
        return False
    if not any(term.level in levels_that_can_breach(spec) for spec in signals):
        name = f"{term.check}.{term.signal}" if term.signal else term.check
        document.report.add(path, f"can never trip: '{name}' has no {term.level} threshold", "give it one")
        return False
    return True


def resolve(
    check: str, signal: str | None, path: KeyPath, checks: Mapping[str, Known], document: Document
) -> list[SignalSpec] | None:
    """The thresholds a reference means; None when it means nothing (told) or its check has problems (told there)."""
    known = checks.get(check)
    if known is None:
        everything = [*checks, *(f"{name}.{s.name}" for name, k in checks.items() if k.kind for s in k.kind.signals)]
        close = did_you_mean(f"{check}.{signal}" if signal else check, everything)
        document.report.add(path, f"unknown check '{check}'", close or one_of(checks))
        return None
    if known.kind is None or known.signals is None:
        return None
    declared = [s.name for s in known.kind.signals]
    if signal is None:
        return None if known.broken else list(known.signals.values())
    if signal not in declared:
        document.report.stranger(path, signal, f"signal of check '{check}'", declared)
        return None
    if signal in known.broken:
        return None
    return [known.signals[signal]] if signal in known.signals else []


def terms(condition: Condition) -> Iterator[Term]:
    """The leaves."""
    if isinstance(condition, Term):
        yield condition
    else:
        for part in condition.parts:
            yield from terms(part)
