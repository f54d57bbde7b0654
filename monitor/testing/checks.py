"""Running a probe and holding a kind to its contract."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ruamel.yaml import YAML

from monitor.core.model import Observation, Reason
from monitor.plugin import Check, MetricQuery, ProbeError
from monitor.testing.aws import Call, FakeAws, metric_key
from monitor.testing.rules import NAME, PERMISSION, is_documented, require

#: What stands beside a kind's own parameters in a pipeline file.
CHECK_KEYS = frozenset(
    {"kind", "interval", "timeout", "thresholds", "severity", "unknown_for", "runbook", "aws", "description"}
)


@dataclass(frozen=True, slots=True)
class FakeProbeContext:
    """ProbeContext around a FakeAws. `secrets` holds the values behind references; any other is not_found."""

    aws: FakeAws
    now: datetime
    secrets: Mapping[str, str] = field(default_factory=dict)

    async def sleep(self, seconds: float) -> None:
        """Virtual seconds."""
        await self.aws.clock.sleep(seconds)

    async def secret(self, reference: str) -> str:
        """What the test says lies there; what is no reference is returned as it is."""
        if reference.partition(":")[0] not in ("env", "file", "ssm", "secretsmanager"):
            return reference
        if reference not in self.secrets:
            raise ProbeError(Reason.NOT_FOUND, f"nothing lies at {reference}")
        return self.secrets[reference]


async def run_probe(
    check: Check[Any],
    params: Mapping[str, Any] | Any,
    aws: FakeAws,
    now: datetime | None = None,
    secrets: Mapping[str, str] | None = None,
) -> list[Observation]:
    """One run, with `params` as a pipeline file would give them; what it observed, checked against the contract.

    Raises ProbeError as the probe does, AssertionError when an observation breaks the contract.
    """
    model = check.params.model_validate(params) if isinstance(params, Mapping) else params
    seen = list(await check.probe(model, FakeProbeContext(aws, now or aws.clock.now(), secrets or {})))
    units = {signal.name: signal.unit for signal in check.signals}
    for one in seen:
        require(one.signal in units, f"{check.kind}: signal {one.signal!r} is not declared")
        require(one.target and not one.target.startswith("arn:"), f"{check.kind}: {one.target!r} is no short name")
        require(one.value is None or math.isfinite(one.value), f"{check.kind}: {one.signal} is {one.value}")
        require(one.value is None or one.reason is None, f"{check.kind}: {one.signal} has a value and a reason")
        require(one.value is None or one.at is not None, f"{check.kind}: {one.signal} does not say when it was true")
        require(one.at is None or one.at.utcoffset() == timedelta(0), f"{check.kind}: {one.signal}: at must be UTC")
    pairs = [(one.signal, one.target) for one in seen]
    twice = {pair for pair in pairs if pairs.count(pair) > 1}
    require(not twice, f"{check.kind}: observed more than once: {sorted(twice)}")
    return seen


def observed(seen: Sequence[Observation]) -> dict[tuple[str, str], float | Reason | None]:
    """(target, signal) -> value, or the reason why there is none, or None where the point is absent."""
    return {(one.target, one.signal): one.reason if one.value is None else one.value for one in seen}


def example_params(text: str) -> dict[str, Any]:
    """The kind's own parameters in a check's example (`NAME: {kind: ..., ...}` or its body alone)."""
    document = YAML(typ="safe").load(text)
    require(isinstance(document, dict) and document, "an example is a YAML mapping")
    body = document if "kind" in document else next(iter(document.values()))
    require(isinstance(body, dict) and "kind" in body, "an example names its kind")
    return {key: value for key, value in body.items() if key not in CHECK_KEYS} | {"__kind__": body["kind"]}


async def assert_check_conforms(check: Check[Any]) -> None:
    """The contract of a kind: declarations are whole, the example parses, and no failed read becomes a value."""
    kind = check.kind
    require(NAME.fullmatch(kind), f"{kind}: a kind is snake_case")
    require(check.summary and check.cost, f"{kind}: say what it observes and what a run costs")
    require(is_documented(check.probe), f"{kind}: the module of the probe needs a docstring")
    require(check.params.model_config.get("extra") == "forbid", f"{kind}: parameters must refuse unknown keys")
    names = [signal.name for signal in check.signals]
    require(names and len(set(names)) == len(names), f"{kind}: signals must be there and distinct")
    for signal in check.signals:
        require(NAME.fullmatch(signal.name), f"{kind}: signal {signal.name!r} is not snake_case")
        require(signal.help and signal.unit, f"{kind}.{signal.name}: needs a unit and a help text")
    strangers = set(check.defaults) - set(names)
    require(not strangers, f"{kind}: default thresholds for undeclared signals {sorted(strangers)}")
    for signal in check.signals:
        span = signal.window
        is_known = not isinstance(span, str) or span in check.params.model_fields
        require(is_known, f"{kind}.{signal.name}: its window {span!r} is no parameter")
        spec = check.defaults.get(signal.name)
        require(
            spec is None or spec.missing is signal.missing, f"{kind}.{signal.name}: two answers for a missing point"
        )
    for permission in check.permissions:
        require(PERMISSION.fullmatch(permission), f"{kind}: {permission!r} is not an IAM action")
    for name in check.selectors:
        require(name in check.params.model_fields, f"{kind}: selector {name!r} is no parameter")
    for name, parameter in check.params.model_fields.items():
        require(name not in CHECK_KEYS, f"{kind}: {name!r} is a key that every check has; call the parameter otherwise")
        require(parameter.description, f"{kind}: parameter {name!r} needs a description")
    example = example_params(check.example)
    require(example.pop("__kind__") == kind, f"{kind}: the example is of another kind")
    params = check.params.model_validate(example)
    if not check.permissions and check.operations is None:
        return  # asks AWS for nothing: no read of AWS can fail
    for reason in Reason:
        await _assert_unknown(check, params, reason)


async def _assert_unknown(check: Check[Any], params: Any, reason: Reason) -> None:
    class Broken(FakeAws):
        def _answer(self, call: Call) -> Sequence[Any]:
            raise ProbeError(reason, f"{call.name} failed")

        def _series(self, query: MetricQuery) -> tuple[tuple[datetime, float], ...]:
            raise ProbeError(reason, f"{metric_key(query)} failed")

    try:
        seen = await run_probe(check, params, Broken())
    except ProbeError:
        return
    guesses = [one for one in seen if one.reason is None]
    require(not guesses, f"{check.kind}: all reads failed ({reason}), yet it observed {guesses}")
    missing = set(check.targets(params)) - {one.target for one in seen}
    require(not missing, f"{check.kind}: all reads failed ({reason}), and nothing was said of {sorted(missing)}")
