"""`breakers:`, each as a BreakerSpec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from monitor.config.checks import Known
from monitor.config.conditions import read_condition, terms
from monitor.config.document import Document
from monitor.config.models import BreakerSection, RecoverSection, is_name
from monitor.config.problems import KeyPath
from monitor.config.steps import Playbook, read_steps
from monitor.config.validation import shape, validate
from monitor.core.durations import format_duration
from monitor.core.model import Json
from monitor.core.spec import BreakerSpec, LimitsSpec, RecoverSpec, StepSpec
from monitor.plugin import OperationValidator, Registry

#: Stop what runs, and cut what starts it: the second comes first (law 6).
STOPS = frozenset({"stop_executions"})
CUTS = frozenset({"cut_sources", "disable_rule", "set_event_source", "set_lambda_concurrency", "set_schedule"})


def read_breakers(
    data: Json,
    pipeline: str,
    checks: Mapping[str, Known],
    registry: Registry,
    operations: OperationValidator | None,
    document: Document,
) -> dict[str, BreakerSpec]:
    """Every breaker without problems; the others are told."""
    found: dict[str, BreakerSpec] = {}
    if data is None:
        return found
    if not isinstance(data, Mapping):
        document.report.add(("breakers",), f"must be a mapping of names to breakers, not {shape(data)}")
        return found
    for name, given in data.items():
        path: KeyPath = ("breakers", name)
        if not is_name(name):
            document.report.add(path, f"'{name}' is not a name", "letters, digits, _ and -")
        elif not isinstance(given, Mapping):
            document.report.add(
                path, f"must be a breaker, not {shape(given)}", "write {trip_when: ..., on_trip: [...]}"
            )
        else:
            book = Playbook(registry, checks, None, operations)
            spec = _breaker(pipeline, name, given, path, book, document)
            if spec is not None:
                found[name] = spec
    return found


def _breaker(
    pipeline: str, name: str, given: Mapping[str, Json], path: KeyPath, book: Playbook, document: Document
) -> BreakerSpec | None:
    section = validate(BreakerSection, given, path, document)
    if "trip_when" in given:
        book.condition = read_condition(given["trip_when"], (*path, "trip_when"), book.checks, document)
    on_trip: tuple[StepSpec, ...] | None = ()
    if given.get("on_trip") is not None:
        on_trip = read_steps(given["on_trip"], (*path, "on_trip"), book, document)
        _cut_first(given["on_trip"], (*path, "on_trip"), document)
    whole, recovery = _recovery(given.get("recover"), (*path, "recover"), book, document)
    if section is None or book.condition is None or on_trip is None or not whole:
        return None
    _sees_a_relapse(section.recover, book, path, document)
    return BreakerSpec(
        pipeline=pipeline,
        name=name,
        severity=section.severity,
        condition=book.condition,
        mode=section.mode,
        on_trip=on_trip,
        recover=_recover(section.recover, recovery),
        limits=LimitsSpec(section.limits.trips_per_day, section.limits.max_targets),
        runbook=section.runbook,
    )


def _recovery(
    data: Json, path: KeyPath, book: Playbook, document: Document
) -> tuple[bool, tuple[StepSpec, ...] | None]:
    """(no problem, steps or None for the default)."""
    steps: Any = data.get("steps") if isinstance(data, Mapping) else None
    if steps is None:
        return True, None
    if steps == []:
        document.report.add((*path, "steps"), "an empty recovery undoes nothing", "leave it out to undo everything")
        return False, None
    book.recovering = True
    found = read_steps(steps, (*path, "steps"), book, document)
    return found is not None, found


def _recover(section: RecoverSection, steps: tuple[StepSpec, ...] | None) -> RecoverSpec:
    return RecoverSpec(section.mode, section.after, section.trial, steps)


def _sees_a_relapse(section: RecoverSection, book: Playbook, path: KeyPath, document: Document) -> None:
    """After an undo only windows that began later are judged: a shorter trial ends before the first of them."""
    assert book.condition is not None
    longest, name = timedelta(0), ""
    for term in terms(book.condition):
        known = book.checks[term.check]
        if known.spec is not None:
            looks = [span for signal, span in known.spec.windows.items() if term.signal in (None, signal)]
            if looks and max(looks) > longest:
                longest, name = max(looks), term.check
    if section.trial is not None and section.trial < longest:
        document.report.warn(
            (*path, "recover", "trial"),
            f"{format_duration(section.trial)} is shorter than the {format_duration(longest)} that '{name}' looks back:"
            " the trial sees no relapse",
            f"make it longer than {format_duration(longest)}",
        )


def _cut_first(data: Json, path: KeyPath, document: Document) -> None:
    """Stopping executions while their source goes on is a race nobody wins."""
    steps: Sequence[Any] = data if isinstance(data, list) else ()
    places = {
        what: next((n for n, step in enumerate(steps) if isinstance(step, Mapping) and verbs & set(step)), None)
        for what, verbs in (("stop", STOPS), ("cut", CUTS))
    }
    stop, cut = places["stop"], places["cut"]
    if stop is not None and cut is not None and stop < cut:
        verb = next(iter(CUTS & set(steps[cut])))
        document.report.add(
            (*path, stop), f"stops executions before '{verb}' cuts their source", f"move '{verb}' before it"
        )
