"""`ramp`: an action, its rungs, how long each is watched and by which check.

- ramp: {set_lambda_concurrency: {function: f}, steps: [5, 10, 20], every: 10m, verify: {check: c}}
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from monitor.config.document import Document
from monitor.config.models import RampSection
from monitor.config.problems import KeyPath, one_of
from monitor.config.validation import shape, validate
from monitor.core.durations import format_duration, parse_duration
from monitor.core.model import Json
from monitor.plugin import Action, Registry

#: What a check gets at least, beyond a rung's own time, to be satisfied.
GRACE = timedelta(minutes=5)

ReadAction = Callable[[Action[Any], Json, KeyPath], Mapping[str, Json] | None]
ReadVerify = Callable[[Json, KeyPath], Mapping[str, Json] | None]


def read_ramp(
    data: Json, path: KeyPath, registry: Registry, document: Document, readers: tuple[ReadAction, ReadVerify]
) -> Mapping[str, Json] | None:
    """What the engine plays: action, params, amount, steps, every, verify, within, for; None after telling why not."""
    if not isinstance(data, Mapping):
        hint = "write ramp: {set_lambda_concurrency: {function: NAME}, steps: [5, 10], every: 10m}"
        document.report.add(path, f"must be a mapping, not {shape(data)}", hint)
        return None
    verb = _verb(data, path, registry, document)
    if verb is None:
        return None
    section = validate(RampSection, {key: value for key, value in data.items() if key != verb}, path, document)
    if section is None:
        return None
    action, common = registry.actions[verb], data[verb] if data[verb] is not None else {}
    if not isinstance(common, Mapping):
        document.report.add((*path, verb), f"must be a mapping of keys to values, not {shape(common)}")
        return None
    known: Mapping[str, Json] | None = None
    for number, rung in enumerate(section.steps):
        if not isinstance(rung, Mapping) and action.amount_field is None:
            document.report.add((*path, "steps", number), f"'{verb}' has no one number", "write {PARAMETER: VALUE}")
            return None
        more = dict(rung) if isinstance(rung, Mapping) else {str(action.amount_field): rung}
        known = readers[0](action, copy.deepcopy({**common, **more}), (*path, verb))
        if known is None:
            return None
    verify = None if section.verify is None else readers[1](section.verify, (*path, "verify"))
    if known is None or (section.verify is not None and verify is None):
        return None
    within = parse_duration((verify or {}).get("within") or max(section.every, GRACE)) + section.every
    params: dict[str, Json] = {
        "action": verb,
        "params": {key: known[key] for key in known if key in common or key == action.resource_field},
        "amount": action.amount_field or "",
        "steps": list(section.steps),
        "every": format_duration(section.every),
        "within": format_duration(within),  # of one rung
        "for": format_duration(within * len(section.steps)),
    }
    if verify is not None:
        params["verify"] = dict(verify)
    return params


def _verb(data: Mapping[str, Json], path: KeyPath, registry: Registry, document: Document) -> str | None:
    verbs = [key for key in data if key in registry.actions]
    fit = [name for name, action in registry.actions.items() if action.undo is not None]
    if len(verbs) != 1:
        strangers = [key for key in data if key not in RampSection.model_fields]
        if not verbs and strangers:
            document.report.unknown((*path, strangers[0]), "action", strangers[0], fit)
        else:
            document.report.add(path, "needs exactly one action to ramp", one_of(fit))
        return None
    if verbs[0] not in fit:
        document.report.add((*path, verbs[0]), f"'{verbs[0]}' cannot be undone, so it can't be ramped")
        return None
    return verbs[0]
