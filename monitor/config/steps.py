"""The steps of a playbook: actions with parameters their own models accept, and wait, verify, approve, undo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from monitor.config.checks import Known
from monitor.config.conditions import resolve, terms
from monitor.config.document import Document
from monitor.config.models import ApproveSection, StepSection, VerifySection
from monitor.config.operations import retyped, tell_operations
from monitor.config.placeholders import TARGETS, with_dummies
from monitor.config.problems import KeyPath, did_you_mean, one_of
from monitor.config.ramps import read_ramp
from monitor.config.validation import shape, validate
from monitor.core.durations import format_duration, parse_duration
from monitor.core.model import Json
from monitor.core.spec import Condition, StepSpec
from monitor.plugin import Action, OperationValidator, Registry

BUILT_IN = ("wait", "verify", "approve", "undo", "ramp")
SIBLINGS = tuple(StepSection.model_fields)


@dataclass(slots=True)
class Playbook:
    """What the steps of one breaker share. `ids` are taken ones: a journal tells steps apart by id alone."""

    registry: Registry
    checks: Mapping[str, Known]
    condition: Condition | None
    operations: OperationValidator | None
    ids: set[str] = field(default_factory=set)
    #: (id, verb) of the action steps before the present one, `on_trip` first; what `undo` may name.
    acted: list[tuple[str, str]] = field(default_factory=list)
    #: Some step of `on_trip` is broken, so that `undo` may mean it.
    unsure: bool = False
    #: The steps being read are those of `recover`.
    recovering: bool = False


def read_steps(data: Json, path: KeyPath, book: Playbook, document: Document) -> tuple[StepSpec, ...] | None:
    """The steps in order, or None after telling what is wrong with any of them."""
    if not isinstance(data, list):
        document.report.add(path, f"must be a list of steps, not {shape(data)}", "write - disable_rule: {rule: NAME}")
        book.unsure = True
        return None
    _take_ids(data, path, book, document)
    steps: list[StepSpec] = []
    for n, given in enumerate(data):
        step = _step(given, (*path, n), book, document)
        if step is None:
            book.unsure = True
        else:
            steps.append(step)
    return tuple(steps) if len(steps) == len(data) else None


def _take_ids(data: Sequence[Json], path: KeyPath, book: Playbook, document: Document) -> None:
    """Written ids first: a default one gives way to them."""
    for n, given in enumerate(data):
        name = given.get("id") if isinstance(given, Mapping) else None
        if isinstance(name, str) and name in book.ids:
            document.report.add((*path, n, "id"), f"two steps of this breaker have the id '{name}'")
        elif isinstance(name, str):
            book.ids.add(name)


def _step(given: Json, path: KeyPath, book: Playbook, document: Document) -> StepSpec | None:
    if not isinstance(given, Mapping):
        hint = f"write - {given}: {{}}" if isinstance(given, str) else "write - disable_rule: {rule: NAME}"
        document.report.add(path, f"must be a step, not {shape(given)}", hint)
        return None
    verb = _verb(given, path, book.registry, document)
    if verb is None:
        return None
    beside = {key: value for key, value in given.items() if key != verb}
    section = validate(StepSection, beside, path, document)
    if section is not None and not _fits(section, verb, path, book, document):
        section = None
    params = _params(verb, given, path, book, document)
    if params is None or section is None:
        return None
    step_id = section.id or _free_id(verb, book.ids)
    book.ids.add(step_id)
    if verb in book.registry.actions:
        book.acted.append((step_id, verb))
    return StepSpec(step_id, verb, params, section.on_error, section.approve, section.enforce)


def _verb(given: Mapping[str, Json], path: KeyPath, registry: Registry, document: Document) -> str | None:
    """The one key that says what to do. `approve` is it only when no other verb stands beside it."""
    verbs = [key for key in given if key in registry.actions or (key in BUILT_IN and key != "approve")]
    if not verbs and "approve" in given:
        verbs = ["approve"]
    if len(verbs) == 1:
        return verbs[0]
    known = [*registry.actions, *BUILT_IN]
    if verbs:
        document.report.add((*path, verbs[1]), f"'{verbs[1]}' beside '{verbs[0]}'", "one verb a step: start a new one")
        return None
    strangers = [key for key in given if key not in SIBLINGS]
    for key in strangers:
        document.report.unknown((*path, key), "action", key, known)
    if not strangers:
        document.report.add(path, "says nothing to do", one_of(known))
    return None


def _fits(section: StepSection, verb: str, path: KeyPath, book: Playbook, document: Document) -> bool:
    if verb in book.registry.actions:
        return True
    for key in ("approve", "enforce"):
        if key in section.model_fields_set:
            document.report.add((*path, key), f"'{key}' belongs beside an action, not beside '{verb}'")
            return False
    return True


def _free_id(verb: str, taken: set[str]) -> str:
    name, n = verb, 1
    while name in taken:
        n += 1
        name = f"{verb}-{n}"
    return name


def _params(
    verb: str, given: Mapping[str, Json], path: KeyPath, book: Playbook, document: Document
) -> Mapping[str, Json] | None:
    data, at = given[verb], (*path, verb)
    if (action := book.registry.actions.get(verb)) is not None:
        return _action(action, data, at, book, document)
    if verb == "wait":
        return _wait(data, at, document)
    if verb == "verify":
        return _verify(data, at, book, document)
    if verb == "approve":
        return _approve(data, at, document)
    if verb == "ramp":
        return _ramp(data, at, book, document)
    return _undo(data, at, book, document)


def _action(
    action: Action[Any], data: Json, path: KeyPath, book: Playbook, document: Document
) -> Mapping[str, Json] | None:
    """Plain values, `resource_field` filled in. The model is tried with made-up targets in place of `${trip...}`."""
    given = {} if data is None else data
    if not isinstance(given, dict):
        hint = (
            f"write {{{action.resource_field}: {given}}}" if action.resource_field and isinstance(given, str) else None
        )
        document.report.add(path, f"must be a mapping of keys to values, not {shape(given)}", hint)
        return None
    own = action.resource_field
    wanted: list[Json] | str = [TARGETS] if action.takes_many else TARGETS
    implied = own is not None and given.get(own) is None and not _stands_alone(action, given)
    if own is not None and (implied or given.get(own) == TARGETS):
        given[own] = wanted
    if own is not None and TARGETS in _strings(given.get(own)) and not _selects(action, path, implied, book, document):
        return None
    params = validate(action.params, given, path, document, prepare=with_dummies)
    if params is None:
        return None
    if action.operations is not None:
        uses = action.operations(params)
        if retyped(uses, path, given, document, book.operations):
            params = validate(action.params, given, path, document, prepare=with_dummies)
            if params is None:
                return None
            uses = action.operations(params)
        if not tell_operations(uses, path, given, document, book.operations):
            return None
    return given


def _stands_alone(action: Action[Any], given: Mapping[str, Json]) -> bool:
    """True if it names what it acts on by another parameter (the id of a mapping instead of its function)."""
    try:
        action.params.model_validate(with_dummies(given))
    except ValidationError:
        return False
    return True


def _strings(value: Json) -> list[str]:
    """Every text inside."""
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    return [value] if isinstance(value, str) else []


def _selects(action: Action[Any], path: KeyPath, implied: bool, book: Playbook, document: Document) -> bool:
    """Whether every check of `trip_when` watches what this action acts on."""
    if book.condition is None:
        return True  # told elsewhere; without it nobody knows
    field_name = str(action.resource_field)
    at = path if implied else (*path, field_name)
    for name in dict.fromkeys(term.check for term in terms(book.condition)):
        kind = book.checks[name].kind
        if kind is None or (kind.target_kind is not None and kind.target_kind == action.resource_kind):
            continue
        told = f"name the {field_name}: nothing selects one, for check '{name}' watches something else"
        document.report.add(at, told, f"write {field_name}: NAME")
        return False
    return True


def _wait(data: Json, path: KeyPath, document: Document) -> Mapping[str, Json] | None:
    try:
        span = parse_duration(data)
    except ValueError as error:
        document.report.add(path, str(error))
        return None
    if span <= timedelta(0):
        document.report.add(path, "must be longer than zero")
        return None
    return {"for": format_duration(span)}


def _verify(data: Json, path: KeyPath, book: Playbook, document: Document) -> Mapping[str, Json] | None:
    section = validate(VerifySection, data, path, document)
    if section is None:
        return None
    at = (*path, "signal" if section.signal else "check")
    signals = resolve(section.check, section.signal, at, book.checks, document)
    if signals is None:
        return None
    if not any(spec.warning or spec.critical for spec in signals):
        document.report.add(at, "can never fail: it has no thresholds", "verify something that can be not ok")
        return None
    if section.within is not None and section.hold > section.within:
        told = f"{format_duration(section.within)} is shorter than for: {format_duration(section.hold)}"
        document.report.add((*path, "within"), f"can never succeed: {told}")
        return None
    params: dict[str, Json] = {"check": section.check, "level": section.level, "for": format_duration(section.hold)}
    if section.signal is not None:
        params["signal"] = section.signal
    if section.within is not None:
        params["within"] = format_duration(section.within)
    return params


def _approve(data: Json, path: KeyPath, document: Document) -> Mapping[str, Json] | None:
    section = validate(ApproveSection, {} if data is None else data, path, document)
    if section is None:
        return None
    params: dict[str, Json] = {"expires": format_duration(section.expires or timedelta(hours=1))}
    if section.message is not None:
        params["message"] = section.message
    return params


def _ramp(data: Json, path: KeyPath, book: Playbook, document: Document) -> Mapping[str, Json] | None:
    if not book.recovering:
        document.report.add(path, "belongs to recover.steps: it ends by undoing", "on_trip sets one value")
        return None
    return read_ramp(
        data,
        path,
        book.registry,
        document,
        (
            lambda action, given, at: _action(action, given, at, book, document),
            lambda given, at: _verify(given, at, book, document),
        ),
    )


def _undo(data: Json, path: KeyPath, book: Playbook, document: Document) -> Mapping[str, Json] | None:
    """`{steps: [id or action, ...]}`; every name must mean an earlier action that can be undone."""
    names = data if isinstance(data, list) else [data]
    if not names or not all(isinstance(name, str) and name for name in names):
        document.report.add(path, "must name a step or an action of on_trip", "write undo: disable_rule")
        return None
    fine = [_undoable(str(name), (*path, n) if isinstance(data, list) else path, book, document)
            for n, name in enumerate(names)]  # fmt: skip
    return {"steps": list(names)} if all(fine) else None


def _undoable(name: str, path: KeyPath, book: Playbook, document: Document) -> bool:
    meant = [verb for step_id, verb in book.acted if name in {step_id, verb}]
    if not meant:
        if book.unsure:
            return False
        known = dict.fromkeys(word for pair in book.acted for word in pair)
        document.report.add(
            path, f"nothing to undo: no step before it is '{name}'", did_you_mean(name, known) or one_of(known)
        )
        return False
    fixed = [verb for verb in meant if book.registry.actions[verb].undo is None]
    if len(fixed) == len(meant):
        document.report.add(path, f"'{fixed[0]}' cannot be undone")
        return False
    return True
