"""Shipped pipeline files, cut down to what a scene needs."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from monitor.app import read_config, registry
from monitor.config import Loaded
from monitor.core.condition import checks_of
from monitor.core.spec import BreakerSpec, Pipeline, StepSpec
from monitor.demo.emulator.child import ROOT

PIPELINES = ROOT / "config" / "pipelines"


def shipped(name: str, environ: Mapping[str, str]) -> Loaded:
    """A shipped file, loaded whole (once per process and set of variables)."""
    return _load(name, tuple(sorted(environ.items())))


@functools.lru_cache(maxsize=64)
def _load(name: str, environ: tuple[tuple[str, str], ...]) -> Loaded:
    return read_config([PIPELINES / f"{name}.yaml"], dict(environ), registry())


def cut(name: str, environ: Mapping[str, str], breakers: Sequence[str], checks: Sequence[str]) -> Loaded:
    """The named breakers, the checks they look at, and the named checks; nothing else of the file is changed."""
    loaded = shipped(name, environ)
    whole = loaded.pipelines[0]
    kept = {one: _known(whole.breakers, one, "breaker") for one in breakers}
    wanted = {*checks, *(check for spec in kept.values() for check in needed(spec))}
    for one in wanted:
        _known(whole.checks, one, "check")
    ordered = {key: spec for key, spec in whole.checks.items() if key in wanted}
    return replace(loaded, pipelines=(replace(whole, breakers=kept, checks=ordered),))


def needed(spec: BreakerSpec) -> set[str]:
    """Checks that a breaker's condition and its verify steps name."""
    verified = {str(step.params["check"]) for step in _steps(spec) if step.verb == "verify"}
    return {*checks_of(spec.condition), *verified}


def pace(loaded: Loaded) -> float:
    """Seconds per step: no check misses two turns in a row, no lease runs out, and little is done twice."""
    pipeline: Pipeline = loaded.pipelines[0]
    shortest = min(check.interval.total_seconds() for check in pipeline.checks.values())
    return min(20.0, 2 * shortest)


def _steps(spec: BreakerSpec) -> Iterator[StepSpec]:
    yield from spec.on_trip
    yield from spec.recover.steps or ()


def _known(named: Mapping[str, Any], name: str, what: str) -> Any:
    assert name in named, f"no {what} {name}; there are: {', '.join(named)}"
    return named[name]
