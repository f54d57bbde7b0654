"""What a replay must know of a breaker beforehand: what it can hear, whether it cuts, how long it wants to see calm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

from monitor.backtest.result import Course
from monitor.backtest.stage import Stage
from monitor.backtest.tape import Fidelity, Span, Tapes
from monitor.core.condition import terms_of
from monitor.core.durations import parse_duration
from monitor.core.spec import BreakerSpec, Pipeline, StepSpec


def course_of(spec: BreakerSpec, stage: Stage, tapes: Tapes, span: Span) -> Course:
    """An empty course of a breaker, with what it can't hear."""
    actions = stage.services.registry.actions
    cuts = any(
        (action := actions.get(step.verb)) is not None and (action.cuts_source or action.cuts_of is not None)
        for step in spec.on_trip
    )
    recovery = "by itself" if spec.recover.mode == "auto" else "by a person"
    return Course(
        spec.key,
        stage.modes[spec.key].value,
        recovery,
        span,
        deaf=tuple(_deaf(spec, tapes)),
        terms=len(terms_of(spec.condition)),
        cuts_sources=cuts,
    )


def _deaf(spec: BreakerSpec, tapes: Tapes) -> Iterator[str]:
    for term in terms_of(spec.condition):
        name = f"{term.check}.{term.signal}" if term.signal else term.check
        tape = tapes.get(f"{spec.pipeline}/{term.check}")
        if tape is None:
            yield f"{name}: no history"
            continue
        signals = [term.signal] if term.signal else [s for s in tape.spec.units if tape.spec.judges(s)]
        found = [tape.sources.get(signal) for signal in signals]
        if all(one is None or one.fidelity is Fidelity.NONE for one in found):
            yield f"{name}: {next((one.note for one in found if one is not None and one.note), 'no history')}"


def need_of(pipeline: Pipeline) -> float:
    """The longest time that a verify or a term of this pipeline asks a level to have lasted."""
    longest = timedelta(0)
    for spec in pipeline.breakers.values():
        longest = max([longest, *(term.hold for term in terms_of(spec.condition))])
        for step in (*spec.on_trip, *(spec.recover.steps or ())):
            longest = max(longest, _asked(step))
    return longest.total_seconds()


def _asked(step: StepSpec) -> timedelta:
    inner = step.params.get("verify") if step.verb == "ramp" else step.params if step.verb == "verify" else None
    return parse_duration(inner.get("for", 0)) if isinstance(inner, Mapping) else timedelta(0)
