"""`tripswitch validate --online`: the linter that asks AWS. It reads, and changes nothing."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from monitor.cli import options
from monitor.cli.talk import EXIT_CONFIG, EXIT_FAILED, count, say, show, show_json

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.app import Boot
    from monitor.audit.findings import Finding
    from monitor.config import Loaded
    from monitor.config.problems import Mark
    from monitor.core.spec import Pipeline
    from monitor.plugin import Registry


@dataclass(frozen=True, slots=True)
class Placed:
    """A finding where it stands."""

    file: str
    line: int
    column: int
    finding: Finding

    @property
    def text(self) -> str:
        """One line for people."""
        from monitor.config.problems import dotted

        one = self.finding
        todo = f" ({one.todo})" if one.todo else ""
        return f"{self.file}:{self.line}:{self.column}: {one.gravity}: {dotted(one.path)}: {one.message}{todo}"

    @property
    def annotation(self) -> str:
        """A workflow command of GitHub's."""
        from monitor.config.problems import dotted

        one = self.finding
        level = {"error": "error", "warning": "warning"}.get(one.gravity, "notice")
        todo = f" ({one.todo})" if one.todo else ""
        text = _escaped(f"{dotted(one.path)}: {one.message}{todo}")
        file = _escaped(self.file).replace(":", "%3A").replace(",", "%2C")
        return f"::{level} file={file},line={self.line},col={self.column},title=tripswitch::{text}"

    @property
    def document(self) -> dict[str, Any]:
        """For programs."""
        from monitor.config.problems import dotted

        one = self.finding
        where = {"file": self.file, "line": self.line, "column": self.column, "path": dotted(one.path)}
        return {**where, "severity": str(one.gravity), "message": one.message, "suggestion": one.todo}


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def placed(findings: Sequence[Finding], loaded: Loaded, environ: Mapping[str, str]) -> list[Placed]:
    """By file and position."""
    from monitor.config.places import place_of, places

    marks: dict[Path, Mapping[tuple[str | int, ...], Mark]] = {}
    found = []
    for one in findings:
        file = loaded.files[one.pipeline]
        if file not in marks:
            marks[file] = places(file, environ)
        mark = place_of(one.path, marks[file])
        found.append(Placed(str(file), mark.line, mark.column, one))
    return sorted(found, key=lambda one: (one.file, one.line, one.column, one.finding.message))


def offline(loaded: Loaded, known: Registry, environ: Mapping[str, str]) -> list[Placed]:
    """What the files alone tell."""
    from monitor.audit.lint import lint

    return placed(lint(loaded.pipelines, known), loaded, environ)


def online(loaded: Loaded, paths: Sequence[Path], known: Registry, output: str, endpoint: str | None) -> int:
    """Look at everything and say it; the exit code: 0 nothing found, 1 findings (notes don't count)."""
    from monitor.app import Boot
    from monitor.audit.lint import lint
    from monitor.settings import environ
    from monitor.telemetry import Redactor, configure_logging

    settings = options.settings(EXIT_CONFIG, endpoint=endpoint)
    configure_logging("auto", "error", Redactor(), sys.stderr)
    boot = Boot(tuple(paths), settings, environ(), known)
    findings = [*lint(loaded.pipelines, known), *asyncio.run(_asked(boot, loaded.pipelines))]
    found = placed(findings, loaded, environ())
    bad = [one for one in found if one.finding.gravity != "note"]
    if output == "json":
        show_json({"ok": not bad, "findings": [one.document for one in found]})
    else:
        for one in found:
            show(one.annotation if output == "github" else one.text)
        notes = len(found) - len(bad)
        more = f", {count(notes, 'note')}" if notes else ""
        say(f"{count(len(bad), 'finding')}{more} in {count(len(loaded.pipelines), 'pipeline')}")
    return EXIT_FAILED if bad else 0


async def _asked(boot: Boot, pipelines: Sequence[Pipeline]) -> list[Finding]:
    from monitor.audit.online import dead_checks, dead_metrics, dead_steps
    from monitor.audit.permitted import blind
    from monitor.cli.round import check_once, reading
    from monitor.engine.clock import SystemClock

    specs = [spec for pipeline in pipelines for spec in pipeline.checks.values()]
    seen = await check_once(boot, specs, lambda spec: None)
    found = dead_checks(seen.rows, seen.checks)
    clock = boot.clock or SystemClock()
    async with reading(boot.settings, clock) as (aws, _):
        for pipeline in pipelines:
            reads = aws.reads(pipeline.aws)
            found += await dead_metrics(pipeline, reads)
            found += await dead_steps(pipeline, boot.registry, reads, clock)
            found += await _permitted(pipeline, boot, reads)
            dead = {one.path[1] for one in found if one.pipeline == pipeline.name and _kills(one.path, one.gravity)}
            found += blind(pipeline, [spec for name, spec in pipeline.checks.items() if name in dead])
    return found


def _kills(path: tuple[str | int, ...], gravity: str) -> bool:
    return path[0] == "checks" and gravity == "error"


async def _permitted(pipeline: Pipeline, boot: Boot, reads: Any) -> list[Finding]:
    from dataclasses import replace

    from monitor.audit.needs import asked_by
    from monitor.audit.permitted import denied, unpermitted
    from monitor.audit.policy import statements
    from monitor.cli.iam_policy import needed
    from monitor.core.iam import Where
    from monitor.plugin import ProbeError

    try:
        caller = await reads.call("sts", "GetCallerIdentity")
    except ProbeError as error:
        return unpermitted(pipeline, [], f"who asks is not known ({error.detail})")
    settings = needed(str(caller["Account"]), reads.region, False)
    partition = str(caller["Arn"]).split(":")[1]
    settings = replace(settings, place=Where(partition, reads.region, str(caller["Account"])), references=())
    role = pipeline.aws.role_arn or ""
    asked = [one for one in asked_by([pipeline], boot.registry, settings) if one.principal == role]
    refused, why = await denied(statements(asked), str(caller["Arn"]), reads.region, reads)
    return unpermitted(pipeline, refused, why)
