"""From a step's JSON parameters to the changes it will make: pure, so that a plan can be shown before anything runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from monitor.core.breaker import Trip
from monitor.core.change import Change, Entry
from monitor.core.codec import encode
from monitor.core.model import Json, Reason, Risk
from monitor.core.spec import BreakerSpec, StepSpec
from monitor.plugin import Action, ActionError, Params, Reads, Registry

TARGETS = "${trip.targets}"
UNKNOWN_TARGETS = "whatever breaches"
_PLACEHOLDER = re.compile(r"\$\{trip\.([a-z_]+)\}")


def params_of(action: Action[Params], step: StepSpec, trip: Trip, uncapped: bool = False) -> list[Params]:
    """The step's parameters with the trip filled in: one set per target where the action takes one resource.

    Raises ActionError(invalid) if they no longer fit (the action changed since the trip was journalled).
    """
    raw: dict[str, Any] = dict(step.params)
    field = action.resource_field
    if field is not None and raw.get(field) is None and not _names_resource(action, raw):
        raw[field] = TARGETS
    if "limit" in action.params.model_fields and raw.get("limit") is None and not uncapped:
        raw["limit"] = trip.spec.limits.max_targets
    sets = [raw]
    if field is not None and raw.get(field) in (TARGETS, [TARGETS]):
        sets = [raw | {field: list(trip.targets)}] if action.takes_many else [raw | {field: t} for t in trip.targets]
    try:
        return [action.params.model_validate(_filled(one, trip)) for one in sets]
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ActionError(Reason.INVALID, f"{step.verb}: {place}: {first['msg']}") from error


def changes_of(
    registry: Registry, step: StepSpec, trip: Trip, now: datetime, *, uncapped: bool = False
) -> list[Change]:
    """What the step would do, in order. Raises ActionError(invalid)."""
    action = registry.actions.get(step.verb)
    if action is None:
        raise ActionError(Reason.INVALID, f"no action is called {step.verb!r} any more: restore it, or reset --force")
    return [action.plan(params, now) for params in params_of(action, step, trip, uncapped)]


async def expanded(registry: Registry, step: StepSpec, trip: Trip, now: datetime, reads: Reads) -> list[Change]:
    """Like `changes_of`, where only AWS knows which resources are meant. Raises ActionError, ProbeError."""
    action = registry.actions.get(step.verb)
    if action is None or action.expand is None:
        return changes_of(registry, step, trip, now)
    found: list[Change] = []
    for params in params_of(action, step, trip):
        found += await action.expand(params, now, reads)
    return found


def risk_of(registry: Registry, step: StepSpec, trip: Trip) -> Risk:
    """The step's risk; a step that can't be read any more counts as destructive."""
    if step.verb == "ramp":
        return max((risk_of(registry, rung, trip) for rung in rungs_of(step)), key=list(Risk).index)
    action = registry.actions.get(step.verb)
    if action is None:
        return Risk.REVERSIBLE if step.verb in ("undo", "wait", "verify", "approve") else Risk.DESTRUCTIVE
    if action.risk_of is None:
        return action.risk
    try:
        risks = [action.risk_of(params) for params in params_of(action, step, trip)]
    except ActionError:
        return Risk.DESTRUCTIVE
    order = list(Risk)
    return max(risks, key=order.index, default=action.risk)


def rungs_of(step: StepSpec) -> list[StepSpec]:
    """A ramp's rungs as steps of its action: each rung's parameters over the common ones."""
    given = step.params
    common, rungs, amount = given.get("params"), given.get("steps"), str(given.get("amount"))
    assert isinstance(common, Mapping), "config wrote it"
    assert isinstance(rungs, (list, tuple)), "config wrote them"
    return [
        replace(step, verb=str(given["action"]), params={**common, **(r if isinstance(r, Mapping) else {amount: r})})
        for r in rungs
    ]


def entries_of(changes: list[Change], trip: Trip, step: StepSpec, first: int = 0) -> list[Entry]:
    """Journal entries for `changes`, numbered from `first`."""
    base = f"{trip.spec.key}/{trip.id}/{trip.round}/{step.id}"
    return [
        Entry(key=f"{base}/{first + n:04d}", step=step.id, change=change, verb=step.verb)
        for n, change in enumerate(changes)
    ]


def describe_step(registry: Registry, step: StepSpec, trip: Trip | None, now: datetime) -> str:
    """One line for people: what the step does or would do."""
    if step.verb == "wait":
        return f"wait {step.params.get('for', '')}"
    if step.verb == "verify":
        p = step.params
        return f"verify {p.get('check')} is {p.get('level', 'ok')} for {p.get('for', '0s')}"
    if step.verb == "approve":
        return f"wait for a person: {step.params.get('message') or 'approve'}"
    if step.verb == "ramp":
        rungs = " -> ".join(str(rung) for rung in _listed(step.params.get("steps")))
        return f"ramp {step.params.get('action')} {rungs} -> what it was, {step.params.get('every')} each"
    if step.verb == "undo":
        return "undo " + ", ".join(str(name) for name in _undone(step))
    if trip is None or (not trip.targets and TARGETS in str(encode(step.params))):
        return step.verb
    try:
        changes = changes_of(registry, step, trip, now)
    except ActionError as error:
        return f"{step.verb}: {error.detail}"
    more = f" and {len(changes) - 3} more" if len(changes) > 3 else ""
    return "; ".join(change.summary for change in changes[:3]) + more


def rehearse(registry: Registry, spec: BreakerSpec, now: datetime) -> tuple[str, ...]:
    """What a trip of a closed breaker would do, one line per step; its targets are not known yet."""
    trip = Trip("plan", now, "", (UNKNOWN_TARGETS,), spec)
    lines = []
    for step in spec.on_trip:
        line = describe_step(registry, step, trip, now)
        # An action that can't plan for a stand-in (it wants a real id) is named only.
        lines.append(step.verb if line.startswith(f"{step.verb}: ") else line)
    return tuple(lines)


def _listed(value: Json) -> list[Json]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _undone(step: StepSpec) -> list[Json]:
    of = step.params.get("steps", ["*"])
    names = list(of) if isinstance(of, (list, tuple)) else [of]
    return ["every receipt, last first" if name == "*" else name for name in names]


def _names_resource(action: Action[Params], raw: Mapping[str, Any]) -> bool:
    """True if another parameter already says which resource is meant (`uuid` or `state_machine` beside `function`)."""
    return bool({"uuid", "resource", "state_machine"} & raw.keys() & action.params.model_fields.keys())


def _filled(value: Any, trip: Trip) -> Any:
    if isinstance(value, Mapping):
        return {key: _filled(item, trip) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items: list[Any] = []
        for item in value:
            items.extend(trip.targets if item == TARGETS else [_filled(item, trip)])
        return items
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda found: _trip_word(found.group(1), trip), value)
    return value


def _trip_word(name: str, trip: Trip) -> str:
    words = {
        "id": trip.id,
        "pipeline": trip.spec.pipeline,
        "breaker": trip.spec.name,
        "severity": trip.spec.severity.value,
        "reason": trip.reason,
        "targets": ", ".join(trip.targets),
        "runbook": trip.spec.runbook or "",
        "started_at": trip.at.isoformat(),
    }
    return words.get(name, f"${{trip.{name}}}")
