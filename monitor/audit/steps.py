"""A breaker's steps as the actions they run, with what stands in for targets that are known only at a trip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from monitor.core.condition import checks_of
from monitor.core.spec import BreakerSpec, Pipeline, StepSpec
from monitor.plugin import Action, Params, Registry, ResourceKind, Selector

TARGETS = "${trip.targets}"
#: A name no resource has; what needs it is replaced by the resources that the breaker's checks look at.
STAND_IN = "TRIP-TARGETS"

#: Parameters of kinds that select these resources.
_SELECTED = {
    ResourceKind.QUEUE: ("queues",),
    ResourceKind.STATE_MACHINE: ("state_machines",),
    ResourceKind.FUNCTION: ("lambda_functions", "lambda_timeouts"),
    ResourceKind.TABLE: ("tables",),
    ResourceKind.RULE: ("rules",),
    ResourceKind.REST_API: ("apis",),
}


@dataclass(frozen=True, slots=True)
class Doing:
    """One action of a breaker. `where` is the path of its step in the file.

    `params` is None where no stand-in fits what only a trip can tell.
    """

    breaker: BreakerSpec
    action: Action[Any]
    params: Params | None
    where: tuple[str | int, ...]


def doings(pipeline: Pipeline, spec: BreakerSpec, registry: Registry) -> Iterator[Doing]:
    """Every action that a trip or a recovery may run, a rung of a ramp each."""
    sections: list[tuple[tuple[str | int, ...], Sequence[StepSpec]]] = [
        (("on_trip",), spec.on_trip),
        (("recover", "steps"), spec.recover.steps or ()),
    ]
    for section, steps in sections:
        for index, step in enumerate(steps):
            for rung in rungs_of(step):
                action = registry.actions.get(rung.verb)
                if action is None:
                    continue
                where = ("breakers", spec.name, *section, index)
                try:
                    yield Doing(spec, action, _params(action, rung), where)
                except ValidationError:
                    yield Doing(spec, action, None, where)


def rungs_of(step: StepSpec) -> list[StepSpec]:
    """A ramp's rungs as steps of its action; any other step alone."""
    if step.verb != "ramp":
        return [step]
    given: Mapping[str, Any] = step.params
    common, amount = given.get("params") or {}, str(given.get("amount"))
    return [
        StepSpec(step.id, str(given["action"]), {**common, **(rung if isinstance(rung, Mapping) else {amount: rung})})
        for rung in given.get("steps") or ()
    ]


def _params(action: Action[Any], step: StepSpec) -> Params:
    """Its parameters, with the stand-in where a trip's targets go."""
    raw = {key: one for key, one in _filled(dict(step.params)).items() if one is not None}
    field = action.resource_field
    if field is not None and field not in raw:
        try:  # another parameter may say which resource is meant
            return _valid(action, raw)
        except ValidationError:
            raw[field] = [STAND_IN] if action.takes_many else STAND_IN
    return _valid(action, raw)


def _valid(action: Action[Any], raw: Mapping[str, Any]) -> Params:
    params: Params = action.params.model_validate(raw)
    return params


def _filled(value: Any) -> Any:
    """Other words of a trip (`${trip.id}`) stay as they are: they name no resource, or a part of one."""
    if isinstance(value, str):
        return value.replace(TARGETS, STAND_IN)
    if isinstance(value, Mapping):
        return {key: _filled(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_filled(one) for one in value]
    return value


def targets_of(pipeline: Pipeline, spec: BreakerSpec, registry: Registry, kind: ResourceKind | None) -> list[Selector]:
    """What the breaker's checks select of a kind of resource; empty: nobody can say."""
    found: list[Selector] = []
    for name in checks_of(spec.condition):
        check = pipeline.checks[name]
        fields = registry.kinds[check.kind].selectors
        wanted = [one for one in fields if kind is None or one in _SELECTED.get(kind, ())]
        values = [getattr(check.params, one, None) for one in wanted]
        found += [value for value in values if isinstance(value, Selector)]
    return found
