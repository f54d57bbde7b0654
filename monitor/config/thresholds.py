"""`thresholds:` of one check: what the file says over what the kind brings, and whether it makes sense."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from monitor.config.amounts import parse_amount
from monitor.config.document import Document
from monitor.config.models import BoundSection, ClearSection, SignalSection
from monitor.config.problems import KeyPath
from monitor.config.validation import shape, validate
from monitor.core.model import Json, Missing
from monitor.core.spec import Bound, Clear, SignalSpec
from monitor.plugin import Check, Signal

LATER = ("deviation", "growth", "forecast")
_OFF = frozenset({"off", "Off", "OFF"})


def is_off(value: Json) -> bool:
    """`SIGNAL: off`, whether a loader of YAML 1.1 habits made it false or not."""
    return value is False or (isinstance(value, str) and value in _OFF)


def default_signals(kind: Check[Any], absences: Mapping[str, Missing]) -> dict[str, SignalSpec]:
    """Every declared signal: with the kind's default thresholds, or none but the right meaning of absence.

    `absences` are what the check's parameters say of that meaning.
    """
    specs = {s.name: kind.defaults.get(s.name, SignalSpec(missing=s.missing)) for s in kind.signals}
    return {name: dataclasses.replace(spec, missing=absences.get(name, spec.missing)) for name, spec in specs.items()}


def read_thresholds(
    kind: Check[Any], data: Json, path: KeyPath, document: Document, absences: Mapping[str, Missing]
) -> tuple[dict[str, SignalSpec], frozenset[str]]:
    """(signals to judge, names whose thresholds have problems). A signal that is `off` is absent from the first."""
    signals = default_signals(kind, absences)
    if data is None:
        return signals, frozenset()
    if not isinstance(data, Mapping):
        document.report.add(path, f"must be a mapping of signals to thresholds, not {shape(data)}")
        return signals, frozenset(signals)
    declared = {signal.name: signal for signal in kind.signals}
    broken: set[str] = set()
    for name, given in data.items():
        if name not in declared:
            document.report.stranger((*path, name), name, f"signal of {kind.kind}", declared)
        elif is_off(given):
            del signals[name]
        elif (spec := _signal(declared[name], signals[name], given, (*path, name), document)) is not None:
            signals[name] = spec
        else:
            broken.add(name)
    return signals, frozenset(broken)


def _signal(signal: Signal, default: SignalSpec, given: Json, path: KeyPath, document: Document) -> SignalSpec | None:
    if not isinstance(given, Mapping):
        document.report.add(path, f"must be thresholds or off, not {shape(given)}", "write {critical: {above: 100}}")
        return None
    if _refused_later(given, path, document):
        return None
    section = validate(SignalSection, given, path, document)
    levels = {
        level: _bound(signal, given[level], (*path, level), document)
        for level in ("warning", "critical")
        if given.get(level) is not None
    }
    if section is None or any(bound is None for bound in levels.values()):
        return None
    if not levels and section.missing is None:
        document.report.add(path, "says nothing", "give warning, critical or missing, or write off")
        return None
    missing = section.missing or default.missing
    if not levels:
        return dataclasses.replace(default, missing=missing)
    spec = SignalSpec(levels.get("warning"), levels.get("critical"), missing)
    return spec if _milder(spec, path, document) else None


def _refused_later(given: Mapping[str, Json], path: KeyPath, document: Document) -> bool:
    later = [name for name in LATER if name in given]
    for name in later:
        document.report.add(
            (*path, name), f"'{name}' thresholds are not supported yet in this version", "use above or below"
        )
    return bool(later)


def _bound(signal: Signal, given: Json, path: KeyPath, document: Document) -> Bound | None:
    if not isinstance(given, Mapping):
        document.report.add(path, f"must be a bound, not {shape(given)}", "write {above: 100} or {below: 1}")
        return None
    if _refused_later(given, path, document):
        return None
    section = validate(BoundSection, given, path, document)
    if section is None:
        return None
    above = _amount(section.above, signal, (*path, "above"), document)
    below = _amount(section.below, signal, (*path, "below"), document)
    clear = _clear(section.clear, signal, (*path, "clear"), document)
    if _FAILED in (above, below) or clear is _FAILED_CLEAR:
        return None
    bound = Bound(above, below, section.hold, clear, section.datapoints, section.of)
    return bound if _sane(bound, path, document) else None


#: Told apart from None, which means "not given".
_FAILED = float("inf")
_FAILED_CLEAR = Clear(above=_FAILED)


def _amount(value: Any, signal: Signal, path: KeyPath, document: Document) -> float | None:
    if value is None:
        return None
    try:
        return parse_amount(value, signal.unit)
    except ValueError as error:
        document.report.add(path, str(error))
        return _FAILED


def _clear(section: ClearSection | None, signal: Signal, path: KeyPath, document: Document) -> Clear | None:
    if section is None:
        return None
    above = _amount(section.above, signal, (*path, "above"), document)
    below = _amount(section.below, signal, (*path, "below"), document)
    return _FAILED_CLEAR if _FAILED in (above, below) else Clear(above, below, section.hold)


def _sane(bound: Bound, path: KeyPath, document: Document) -> bool:
    """Can be breached, can end, and ends on the other side than it began."""
    add = document.report.add
    if bound.above is None and bound.below is None:
        add(path, "has no bound", "give above or below")
        return False
    if bound.above is not None and bound.below is not None and bound.below >= bound.above:
        add((*path, "below"), f"below {_n(bound.below)} and above {_n(bound.above)} together are always breached")
        return False
    if (bound.datapoints is None) != (bound.of is None):
        given = "datapoints" if bound.of is None else "of"
        add((*path, given), "datapoints and of belong together", "write datapoints: 3, of: 5")
        return False
    if bound.datapoints is not None and bound.of is not None and bound.datapoints > bound.of:
        add((*path, "datapoints"), f"{bound.datapoints} of {bound.of} can never be reached")
        return False
    return bound.clear is None or _clear_is_sane(bound, bound.clear, (*path, "clear"), document)


def _clear_is_sane(bound: Bound, clear: Clear, path: KeyPath, document: Document) -> bool:
    add = document.report.add
    for side, opposite, limit, value in (
        ("below", "above", bound.above, clear.below),
        ("above", "below", bound.below, clear.above),
    ):
        if value is None:
            continue
        if limit is None:
            add((*path, side), f"a breach {side} its bound does not end {side} another", f"write {opposite}")
            return False
        wrong = value > limit if side == "below" else value < limit
        if wrong:
            add((*path, side), f"clears {side} {_n(value)} while still breached ({opposite} {_n(limit)})")
            return False
    if clear.above is not None and clear.below is not None and clear.above >= clear.below:
        add(path, f"nothing is above {_n(clear.above)} and below {_n(clear.below)}: it would never end")
        return False
    return True


def _milder(spec: SignalSpec, path: KeyPath, document: Document) -> bool:
    """A warning that comes only after critical is a mistake."""
    warning, critical = spec.warning, spec.critical
    if warning is None or critical is None:
        return True
    for side, sign in (("above", 1), ("below", -1)):
        mild, hard = getattr(warning, side), getattr(critical, side)
        if mild is not None and hard is not None and (mild - hard) * sign > 0:
            document.report.add(
                (*path, "warning", side),
                f"warning {side} {_n(mild)} comes after critical {side} {_n(hard)}",
                "swap them",
            )
            return False
    return True


def _n(value: float) -> str:
    return f"{value:g}"


def levels_that_can_breach(spec: SignalSpec) -> tuple[str, ...]:
    """`critical` also counts as `warning or worse`."""
    return tuple(
        level
        for level, there in (("warning", spec.warning or spec.critical), ("critical", spec.critical))
        if there is not None
    )
