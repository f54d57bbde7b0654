"""`checks:`, each as a CheckSpec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from monitor.config.document import Document
from monitor.config.models import AwsSection, CheckSection, DefaultsSection, is_name
from monitor.config.operations import retyped, tell_operations
from monitor.config.problems import KeyPath
from monitor.config.thresholds import read_thresholds
from monitor.config.validation import shape, validate
from monitor.core.durations import format_duration
from monitor.core.model import Json, Severity
from monitor.core.spec import AwsSpec, CheckSpec, SignalSpec
from monitor.plugin import Check, OperationValidator, Params, Registry

TIMEOUT = timedelta(seconds=20)
UNKNOWN_FOR = timedelta(minutes=5)
SEVERITY = Severity.SEV3

COMMON = tuple(CheckSection.model_fields)


@dataclass(frozen=True, slots=True)
class Known:
    """What breakers may rely on. `kind` None: even that is wrong; `spec` None: something is, and it is told."""

    kind: Check[Any] | None = None
    signals: Mapping[str, SignalSpec] | None = None
    broken: frozenset[str] = frozenset()
    spec: CheckSpec | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every check of a file shares."""

    pipeline: str
    aws: AwsSpec
    defaults: DefaultsSection
    registry: Registry
    operations: OperationValidator | None


def read_checks(data: Json, shared: Surroundings, document: Document) -> dict[str, Known]:
    """Every check named in the file, also the broken ones."""
    known: dict[str, Known] = {}
    if data is None:
        return known
    if not isinstance(data, Mapping):
        document.report.add(("checks",), f"must be a mapping of names to checks, not {shape(data)}")
        return known
    for name, given in data.items():
        path: KeyPath = ("checks", name)
        if not is_name(name):
            document.report.add(path, f"'{name}' is not a name", "letters, digits, _ and -")
            known[name] = Known()
        else:
            known[name] = _check(name, given, path, shared, document)
    return known


def _check(name: str, given: Json, path: KeyPath, shared: Surroundings, document: Document) -> Known:
    if not isinstance(given, Mapping):
        document.report.add(path, f"must be a check, not {shape(given)}", "write {kind: ..., ...}")
        return Known()
    kind = _kind(given, path, shared.registry, document)
    common_data = {key: value for key, value in given.items() if key in COMMON}
    common = validate(CheckSection, common_data, path, document) if "kind" in given else None
    if kind is None:
        return Known()
    rest: dict[str, Json] = {key: value for key, value in given.items() if key not in COMMON}
    params = validate(kind.params, rest, path, document, also=COMMON)
    thresholds = given.get("thresholds")
    absences = kind.absences(params) if params is not None else {}
    signals, broken = read_thresholds(kind, thresholds, (*path, "thresholds"), document, absences)
    if params is not None and kind.operations is not None:
        if retyped(kind.operations(params), path, rest, document, shared.operations):
            params = validate(kind.params, rest, path, document, also=COMMON)
        if params is not None:
            tell_operations(kind.operations(params), path, given, document, shared.operations)
    if common is None:
        return Known(kind, signals, broken)
    timing = _timing(common, kind, shared.defaults, path, document)
    if params is None or timing is None:
        return Known(kind, signals, broken)
    spec = _spec(name, kind, params, common, shared, timing, signals)
    return Known(kind, signals, broken, spec)


def _kind(given: Mapping[str, Json], path: KeyPath, registry: Registry, document: Document) -> Check[Any] | None:
    name = given.get("kind")
    if "kind" not in given:
        document.report.add((*path, "kind"), "is required", "`tripswitch explain` lists the kinds")
        return None
    kind = registry.kinds.get(name) if isinstance(name, str) else None
    if kind is None and isinstance(name, str) and name:
        document.report.unknown((*path, "kind"), "kind", name, registry.kinds)
    if kind is not None and (clash := set(kind.params.model_fields) & set(COMMON)):
        document.report.add((*path, "kind"), f"kind '{name}' takes the reserved names {', '.join(sorted(clash))}")
        return None
    return kind


def _timing(
    common: CheckSection, kind: Check[Any], defaults: DefaultsSection, path: KeyPath, document: Document
) -> tuple[timedelta, timedelta] | None:
    """(interval, timeout). An inherited timeout shrinks to the interval; one that is written must fit."""
    interval = common.interval or defaults.interval or kind.interval
    if common.timeout is not None and common.timeout > interval:
        told = f"{format_duration(common.timeout)} is longer than the interval ({format_duration(interval)})"
        document.report.add((*path, "timeout"), told)
        return None
    return interval, common.timeout or min(defaults.timeout or TIMEOUT, interval)


def _spec(
    name: str,
    kind: Check[Any],
    params: Params,
    common: CheckSection,
    shared: Surroundings,
    timing: tuple[timedelta, timedelta],
    signals: Mapping[str, SignalSpec],
) -> CheckSpec:
    return CheckSpec(
        pipeline=shared.pipeline,
        name=name,
        kind=kind.kind,
        params=params,
        interval=timing[0],
        timeout=timing[1],
        signals=signals,
        units={signal.name: signal.unit for signal in kind.signals},
        severity=common.severity or shared.defaults.severity or SEVERITY,
        unknown_for=common.unknown_for or shared.defaults.unknown_for or UNKNOWN_FOR,
        runbook=common.runbook,
        discovers=kind.discovers(params),
        targets=kind.targets(params),
        aws=aws_spec(common.aws, shared.aws),
        windows=kind.windows(params),
    )


def aws_spec(section: AwsSection | None, base: AwsSpec) -> AwsSpec:
    """What the section says, the rest from `base`. Another role or profile never inherits the base's identity."""
    if section is None:
        return base
    identity = base if section.role_arn is None and section.profile is None else AwsSpec()
    return AwsSpec(
        region=section.region or base.region,
        role_arn=section.role_arn or identity.role_arn,
        external_id=section.external_id or identity.external_id,
        profile=section.profile or identity.profile,
    )
