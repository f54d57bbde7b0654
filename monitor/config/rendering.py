"""The resolved document of a valid pipeline, and where each of its values came from."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monitor.config.checks import aws_spec
from monitor.config.document import Document
from monitor.config.models import AwsSection
from monitor.config.problems import KeyPath, dotted
from monitor.config.secrets import MASK, masked
from monitor.config.thresholds import is_off
from monitor.core.durations import NEVER, format_duration
from monitor.core.model import Json
from monitor.core.spec import AwsSpec, Bound, BreakerSpec, CheckSpec, Clear, Pipeline, SignalSpec, StepSpec
from monitor.plugin import Check, Registry


@dataclass(frozen=True, slots=True)
class Rendered:
    """See `Loaded`."""

    document: Mapping[str, Json]
    origins: Mapping[str, str]


def render(pipeline: Pipeline, document: Document, registry: Registry) -> Rendered:
    """The file as written, with variables and defaults in place; masked last, so that nothing slips past."""
    page = _Page(document)
    for name, check in pipeline.checks.items():
        _check(page, ("checks", name), check, registry.kinds[check.kind], document)
    for name, breaker in pipeline.breakers.items():
        _breaker(page, ("breakers", name), breaker)
    for n, channel in enumerate(pipeline.notify):
        page.fill(("notify", n, "min_severity"), str(channel.min_severity), "default")
    for n, window in enumerate(pipeline.maintenance):
        page.fill(("maintenance", n, "timezone"), window.timezone, "default")
    return Rendered(_mask(page.data, (), document), page.origins)


class _Page:
    """The document while it is filled in."""

    def __init__(self, document: Document) -> None:
        self.data: dict[str, Any] = copy.deepcopy(document.data)
        self.origins: dict[str, str] = {}
        self._marks = document.marks
        for path, mark in document.marks.items():
            if not isinstance(self.get(path), (Mapping, list)):
                self.origins[dotted(path)] = f"{document.file}:{mark.line}"
        for path, names in document.environment.items():
            self.origins[dotted(path)] = f"environment {', '.join(sorted(names))}"

    def get(self, path: KeyPath) -> Any:
        """The value, or None where there is none."""
        here: Any = self.data
        for part in path:
            if isinstance(here, Mapping):
                here = here.get(part)
            elif isinstance(here, list) and isinstance(part, int) and part < len(here):
                here = here[part]
            else:
                return None
        return here

    def origin(self, path: KeyPath, otherwise: str) -> str:
        """Where the value at another path came from."""
        return self.origins.get(dotted(path), otherwise)

    def fill(self, path: KeyPath, value: Json, origin: str) -> None:
        """Set a value the file does not give; mappings on the way are made."""
        if value is None or self.get(path) is not None:
            return
        here: Any = self.data
        for n, part in enumerate(path[:-1], start=1):
            if isinstance(here, dict) and here.get(part) is None:
                here[part] = {}
                self.origins.pop(dotted(path[:n]), None)
            here = here[part]
        here[path[-1]] = value
        self._originate(path, value, origin)

    def give(self, path: KeyPath, value: Json, origin: str) -> None:
        """Say where a value comes from that is in the document, but not in the file."""
        if path not in self._marks:
            self.fill(path, value, origin)
            self._originate(path, value, origin)

    def _originate(self, path: KeyPath, value: Json, origin: str) -> None:
        if isinstance(value, Mapping):
            for key, item in value.items():
                self._originate((*path, key), item, origin)
        elif isinstance(value, list):
            for n, item in enumerate(value):
                self._originate((*path, n), item, origin)
        else:
            self.origins[dotted(path)] = origin


def _check(page: _Page, path: KeyPath, check: CheckSpec, kind: Check[Any], document: Document) -> None:
    own = f"default of {check.kind}"
    page.fill((*path, "interval"), format_duration(check.interval), page.origin(("defaults", "interval"), own))
    if check.timeout == check.interval:  # an inherited timeout that shrank is nobody's written value
        page.fill((*path, "timeout"), format_duration(check.timeout), "default")
    for key, value in (
        ("timeout", format_duration(check.timeout)),
        ("unknown_for", "off" if check.unknown_for == NEVER else format_duration(check.unknown_for)),
        ("severity", str(check.severity)),
    ):
        page.fill((*path, key), value, page.origin(("defaults", key), "default"))
    given = page.get((*path, "aws"))
    if isinstance(given, Mapping):
        base = aws_spec(AwsSection.model_validate(document.data.get("aws") or {}), AwsSpec())
        for key in ("region", "role_arn", "external_id", "profile"):
            if getattr(check.aws, key) == getattr(base, key):
                page.fill((*path, "aws", key), getattr(check.aws, key), page.origin(("aws", key), "default"))
    for key, value in check.params.model_dump(mode="json", exclude=set(check.params.model_fields_set)).items():
        page.fill((*path, key), value, own)
    for signal in kind.signals:
        _thresholds(page, (*path, "thresholds", signal.name), check.signals.get(signal.name), own)


def _thresholds(page: _Page, path: KeyPath, spec: SignalSpec | None, origin: str) -> None:
    if spec is None or is_off(page.get(path)) or not (spec.warning or spec.critical):
        return
    for level, bound in (("warning", spec.warning), ("critical", spec.critical)):
        if bound is not None:
            page.fill((*path, level), _bound(bound), origin)
    page.fill((*path, "missing"), str(spec.missing), origin)


def _bound(bound: Bound) -> dict[str, Json]:
    shown: dict[str, Json] = {**_sides(bound)}
    if bound.clear is not None:
        shown["clear"] = _sides(bound.clear)
    if bound.datapoints is not None:
        shown |= {"datapoints": bound.datapoints, "of": bound.of}
    return shown


def _sides(line: Bound | Clear) -> dict[str, Json]:
    shown: dict[str, Json] = {
        side: getattr(line, side) for side in ("above", "below") if getattr(line, side) is not None
    }
    if line.hold:
        shown["for"] = format_duration(line.hold)
    return shown


def _breaker(page: _Page, path: KeyPath, breaker: BreakerSpec) -> None:
    recover, limits = breaker.recover, breaker.limits
    for inside, value in (
        (("severity",), str(breaker.severity)),
        (("mode",), str(breaker.mode)),
        (("recover", "mode"), recover.mode),
        (("recover", "after"), format_duration(recover.after)),
        (("recover", "trial"), format_duration(recover.trial) if recover.trial else None),
    ):
        page.fill((*path, *inside), value, "default")
    for key, limit in (("trips_per_day", limits.trips_per_day), ("max_targets", limits.max_targets)):
        page.fill((*path, "limits", key), limit, "default")
    _steps(page, (*path, "on_trip"), breaker.on_trip)
    _steps(page, (*path, "recover", "steps"), recover.steps or ())


def _steps(page: _Page, path: KeyPath, steps: tuple[StepSpec, ...]) -> None:
    for n, step in enumerate(steps):
        page.fill((*path, n, "id"), step.id, "default")
        params = page.get((*path, n, step.verb))
        if params is None or isinstance(params, dict):
            for key, value in step.params.items():
                page.give((*path, n, step.verb, key), value, f"default of {step.verb}")


def _mask(value: Json, path: KeyPath, document: Document) -> Any:
    if path in document.secret:
        return MASK
    if isinstance(value, str):
        return masked(value, path)
    if isinstance(value, Mapping):
        return {key: _mask(item, (*path, key), document) for key, item in value.items()}
    if isinstance(value, list):
        return [_mask(item, (*path, n), document) for n, item in enumerate(value)]
    return value
