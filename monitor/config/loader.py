"""Files and folders in, validated pipelines out; or every problem of every file at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from monitor.config.breakers import read_breakers
from monitor.config.checks import Known, Surroundings, aws_spec, read_checks
from monitor.config.document import Document, build
from monitor.config.models import (
    TOP,
    AwsSection,
    ChannelSection,
    DefaultsSection,
    KillSwitchSection,
    MaintenanceSection,
    is_name,
)
from monitor.config.problems import START, ConfigError, KeyPath, Mark, Problem, Report
from monitor.config.rendering import Rendered, render
from monitor.config.source import read
from monitor.config.validation import shape, validate
from monitor.core.durations import format_duration
from monitor.core.model import Json
from monitor.core.spec import AwsSpec, ChannelSpec, CheckSpec, MaintenanceSpec, Pipeline
from monitor.plugin import OperationValidator, Registry

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Loaded:
    """Valid pipelines, in the order of their files.

    By pipeline name: `documents` is the resolved file (variables in place, defaults filled in, secrets masked);
    `origins` says for each dotted path of it `FILE:LINE`, `default`, `default of KIND` or `environment NAME`;
    `files` is the file.
    """

    pipelines: tuple[Pipeline, ...]
    documents: Mapping[str, Mapping[str, Json]]
    files: Mapping[str, Path]
    origins: Mapping[str, Mapping[str, str]]
    #: Valid, and hardly meant; by file, by position.
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class _Read:
    """One file's outcome. `name` is there as soon as the pipeline's name is, whatever else is wrong."""

    path: Path
    report: Report
    name: str | None = None
    at: Mark = START
    pipeline: Pipeline | None = None
    rendered: Rendered | None = None


def load(
    paths: Sequence[Path],
    registry: Registry,
    environ: Mapping[str, str],
    operations: OperationValidator | None = None,
) -> Loaded:
    """Load every file, and every `*.yaml` and `*.yml` of every folder, as one pipeline each.

    Reads files only: no secret reference is resolved and AWS is not asked. Raises ConfigError with all problems by
    position, files in the order given.
    """
    problems: list[Problem] = []
    files = _files(paths, problems)
    reads = [_read(file, registry, environ, operations) for file in files]
    _refuse_duplicates(reads)
    for one in reads:
        problems.extend(one.report.problems)
    if problems:
        raise ConfigError(problems)
    whole = [(one.path, one.pipeline, one.rendered) for one in reads]
    pipelines = tuple(pipeline for _, pipeline, _ in whole if pipeline is not None)
    return Loaded(
        pipelines=pipelines,
        documents={p.name: r.document for _, p, r in whole if p is not None and r is not None},
        files={p.name: path for path, p, _ in whole if p is not None},
        origins={p.name: r.origins for _, p, r in whole if p is not None and r is not None},
        warnings=tuple(warning for one in reads for warning in one.report.warnings),
    )


def _files(paths: Sequence[Path], problems: list[Problem]) -> list[Path]:
    """Files in order, each once. A path without any file is a problem."""
    found: dict[Path, Path] = {}
    for path in paths:
        inside = [path]
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES and file.is_file())
            if not inside:
                problems.append(Problem(str(path), 1, 1, "", "the folder has no *.yaml file"))
        elif not path.exists():
            problems.append(Problem(str(path), 1, 1, "", "there is no such file or folder"))
            continue
        for file in inside:
            found.setdefault(file.resolve(), file)
    if not paths:
        problems.append(Problem("-", 1, 1, "", "no pipeline file is given"))
    return list(found.values())


def _refuse_duplicates(reads: Sequence[_Read]) -> None:
    first: dict[str, _Read] = {}
    for one in reads:
        if one.name is None:
            continue
        other = first.setdefault(one.name, one)
        if other is not one:
            where = f"{other.path}:{other.at.line}"
            one.report.add(
                ("pipeline",), f"'{one.name}' is also the name of {where}", "give each file its own", at=one.at
            )


def _read(file: Path, registry: Registry, environ: Mapping[str, str], operations: OperationValidator | None) -> _Read:
    report = Report(str(file))
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        report.add((), "is not UTF-8 text")
        return _Read(file, report)
    except OSError as error:
        report.add((), f"cannot be read: {error.strerror or type(error).__name__}")
        return _Read(file, report)
    root = read(text, report)
    if root is None:
        return _Read(file, report)
    document = build(root, str(file), environ, report)
    name = _name(document)
    pipeline = _pipeline(name or "?", document, registry, operations)
    at = report.mark(("pipeline",))
    if report.problems or name is None:
        return _Read(file, report, name, at)
    return _Read(file, report, name, at, pipeline, render(pipeline, document, registry))


def _name(document: Document) -> str | None:
    data, report = document.data, document.report
    for key in data:
        if key not in TOP:
            report.unknown((key,), "key", key, TOP)
    if "pipeline" not in data:
        report.add(("pipeline",), "is required", "start with `pipeline: NAME`")
        return None
    name = document.texts.get(("pipeline",), data["pipeline"])
    if not isinstance(name, str) or not is_name(name):
        told = f"'{name}'" if isinstance(name, str) else shape(name)
        report.add(("pipeline",), f"{told} is not a name", "letters, digits, _ and -")
        return None
    data["pipeline"] = name
    return name


def _pipeline(name: str, document: Document, registry: Registry, operations: OperationValidator | None) -> Pipeline:
    """The pipeline as far as it is right; worth using only if nothing was told."""
    data = document.data
    section = validate(AwsSection, data["aws"], ("aws",), document) if data.get("aws") is not None else None
    aws = aws_spec(section, AwsSpec())
    _check_vars(document)
    shared = Surroundings(name, aws, _defaults(document), registry, operations)
    checks = read_checks(data.get("checks"), shared, document)
    if not checks and not isinstance(data.get("checks"), str):
        document.report.add(("checks",), "a pipeline needs at least one check")
    breakers = read_breakers(data.get("breakers"), name, checks, registry, operations, document)
    _account_for_all(checks, breakers, document)
    return Pipeline(
        name=name,
        path=document.file,
        aws=aws,
        checks=_specs(checks),
        breakers=breakers,
        notify=_channels(document),
        maintenance=_maintenance(document, checks, breakers),
        kill_switch_parameter=_kill_switch(document),
    )


def _specs(checks: Mapping[str, Known]) -> dict[str, CheckSpec]:
    return {name: known.spec for name, known in checks.items() if known.spec is not None}


def _account_for_all(checks: Mapping[str, Known], breakers: Mapping[str, object], document: Document) -> None:
    """Whole or nothing: what is in the file and not in the result must have been told."""
    if document.report.problems:
        return
    written = document.data.get("breakers")
    lost: list[KeyPath] = [("checks", name) for name, known in checks.items() if known.spec is None]
    lost += [("breakers", name) for name in (written if isinstance(written, Mapping) else ()) if name not in breakers]
    for path in lost:
        document.report.add(path, "cannot be read, and no rule says why: this is a bug")


def _check_vars(document: Document) -> None:
    section = document.data.get("vars")
    if section is not None and not isinstance(section, Mapping):
        document.report.add(("vars",), f"must be a mapping of names to values, not {shape(section)}")


def _defaults(document: Document) -> DefaultsSection:
    data = document.data.get("defaults")
    if data is None:
        return DefaultsSection()
    section = validate(DefaultsSection, data, ("defaults",), document)
    if section is None:
        return DefaultsSection()
    if section.timeout is not None and section.interval is not None and section.timeout > section.interval:
        told = f"{format_duration(section.timeout)} is longer than the interval ({format_duration(section.interval)})"
        document.report.add(("defaults", "timeout"), told)
    return section


def _items(document: Document, key: str) -> list[tuple[KeyPath, Json]]:
    data = document.data.get(key)
    if data is None:
        return []
    if not isinstance(data, list):
        document.report.add((key,), f"must be a list, not {shape(data)}")
        return []
    return [((key, n), item) for n, item in enumerate(data)]


def _channels(document: Document) -> tuple[ChannelSpec, ...]:
    sections = [validate(ChannelSection, item, path, document) for path, item in _items(document, "notify")]
    return tuple(
        ChannelSpec(section.url, section.min_severity, section.events or ()) for section in sections if section
    )


def _maintenance(
    document: Document, checks: Mapping[str, object], breakers: Mapping[str, object]
) -> tuple[MaintenanceSpec, ...]:
    found: dict[str, MaintenanceSpec] = {}
    written = document.data.get("breakers")
    names = {"check": checks, "breaker": written if isinstance(written, Mapping) else breakers}
    for path, item in _items(document, "maintenance"):
        section = validate(MaintenanceSection, item, path, document)
        if section is None:
            continue
        if section.name in found:
            document.report.add((*path, "name"), f"two windows are called '{section.name}'")
        matchers = section.matchers.model_dump(exclude_none=True)
        for what, pattern in matchers.items():
            if not any(fnmatchcase(name, pattern) for name in names[what]):
                document.report.unknown((*path, "matchers", what), what, pattern, names[what])
        found[section.name] = MaintenanceSpec(section.name, section.start, section.duration, section.timezone, matchers)
    return tuple(found.values())


def _kill_switch(document: Document) -> str | None:
    data = document.data.get("kill_switch")
    section = validate(KillSwitchSection, data, ("kill_switch",), document) if data is not None else None
    return section.ssm_parameter if section else None
