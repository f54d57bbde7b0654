"""Everything that a pipeline asks of IAM, each with the purpose it serves and the identity that asks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from monitor.audit.steps import STAND_IN, Doing, doings, targets_of
from monitor.core.iam import Where, actions_of, resources_of
from monitor.core.model import Mode
from monitor.core.spec import BreakerSpec, CheckSpec, Pipeline
from monitor.plugin import OperationUse, Permission, Registry, need


@dataclass(frozen=True, slots=True)
class Asked:
    """One permission: who asks (a role's ARN, empty: the daemon itself), why, and in which region."""

    principal: str
    purpose: str  # Watch | Plan | Act | Secrets | Notify | KillSwitch | AssumeRole
    permission: Permission
    place: Where
    what: str = ""  # the check or breaker, for people


#: (service, operation) as the SDK spells them.
Spelled = Callable[[str, str], tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Settings:
    """What stands in no pipeline file: where the daemon lives, and references in its own settings."""

    place: Where
    spelled: Spelled
    references: tuple[str, ...] = ()
    observe: bool = False


def asked_by(pipelines: Sequence[Pipeline], registry: Registry, settings: Settings) -> list[Asked]:
    """Everything, in the order of the files."""
    found: list[Asked] = []
    for pipeline in pipelines:
        found += _of_pipeline(pipeline, registry, settings)
    found += [Asked("", "Secrets", one, settings.place) for one in _secrets(settings.references)]
    return found


def _of_pipeline(pipeline: Pipeline, registry: Registry, settings: Settings) -> Iterator[Asked]:
    place = place_of(pipeline, settings.place)
    role = pipeline.aws.role_arn or ""
    if role:
        yield Asked("", "AssumeRole", need("sts:AssumeRole", role=role), settings.place, pipeline.name)
    for check in pipeline.checks.values():
        for one in of_check(check, registry, place, settings.spelled):
            yield Asked(role, "Watch", one, place, check.key)
        for one in _secrets(_texts(check.params)):
            yield Asked("", "Secrets", one, settings.place, check.key)
    for spec in pipeline.breakers.values():
        acts = spec.mode is not Mode.OBSERVE and not settings.observe
        for doing in doings(pipeline, spec, registry):
            for one in of_action(pipeline, doing, registry, place, settings.spelled if acts else None):
                yield Asked(role, "Act" if acts else "Plan", one, place, spec.key)
            if acts:
                for url in _texts(doing.params):
                    yield from _told(url, settings.place, spec.key)
    for channel in pipeline.notify:
        yield from _told(channel.url, settings.place, pipeline.name)
    if pipeline.kill_switch_parameter:
        asked = need("ssm:GetParameter", parameter=pipeline.kill_switch_parameter)
        yield Asked(role, "KillSwitch", asked, place, pipeline.name)


def place_of(pipeline: Pipeline, home: Where) -> Where:
    """Where a pipeline lives: what its file says, else what its role and ARNs say, else what we were told."""
    role = (pipeline.aws.role_arn or "").split(":")
    account = role[4] if len(role) > 5 else home.account
    region = pipeline.aws.region or home.region
    for text in _texts([pipeline.checks, pipeline.breakers]):
        parts = text.split(":", 5) if text.startswith("arn:") else []
        if len(parts) == 6:
            account = parts[4] if account == "*" and parts[4].isdigit() else account
            region = parts[3] if region == "*" and parts[3] else region
    return Where(partition_of(region, home.partition), region, account)


def partition_of(region: str, otherwise: str = "aws") -> str:
    """By the region's name."""
    return "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else otherwise


def of_check(check: CheckSpec, registry: Registry, place: Where, spelled: Spelled) -> list[Permission]:
    """What one check needs."""
    kind = registry.kinds[check.kind]
    if kind.needs is not None:
        found = list(kind.needs(check.params))
    else:  # a kind that does not say: all it declares, on whatever there is
        found = [need(*kind.permissions)] if kind.permissions else []
    uses = kind.operations(check.params) if kind.operations is not None else ()
    region = getattr(check.params, "region", None)
    return found + [one for use in uses for one in of_operation(_spelled(use, spelled), place, region)]


def of_action(
    pipeline: Pipeline, doing: Doing, registry: Registry, place: Where, spelled: Spelled | None
) -> list[Permission]:
    """What one action needs; without `spelled` what its plan asks, which is all that happens in observe mode."""
    action = doing.action
    if doing.params is None:  # whatever it turns out to be
        return [need(*action.permissions)] if action.permissions and spelled is not None else []
    if spelled is None:
        found = list(action.plan_needs(doing.params)) if action.plan_needs is not None else []
    elif action.needs is not None:
        found = list(action.needs(doing.params))
    else:
        found = [need(*action.permissions)] if action.permissions else []
    if spelled is not None and action.operations is not None:
        uses = [_spelled(use, spelled) for use in action.operations(doing.params)]
        found += [one for use in uses for one in of_operation(use, place, None)]
    return [one for permission in found for one in _targeted(permission, pipeline, doing, registry)]


def of_operation(use: OperationUse, place: Where, region: str | None) -> list[Permission]:
    """What one named operation (in AWS's own spelling) needs, on the resources that its parameters name."""
    found = []
    for action in actions_of(use.aws_service, use.operation):
        arns = resources_of(use.aws_service, use.operation, _known(use.parameters), place, action)
        arns = tuple(f"{one.removesuffix('log-stream:')}*" if one.endswith(":log-stream:") else one for one in arns)
        kind, names = ("", ()) if arns == ("*",) else ("arn", arns)
        found.append(Permission((action,), kind, names, region=region))
    return found


def _spelled(use: OperationUse, spelled: Spelled) -> OperationUse:
    service, operation = spelled(use.aws_service, use.operation)
    return dataclasses.replace(use, aws_service=service, operation=operation)


def _known(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters without what is filled in at a trip, where nothing but a wildcard fits."""
    return {key: "*" if isinstance(one, str) and "${" in one else one for key, one in parameters.items()}


def _targeted(permission: Permission, pipeline: Pipeline, doing: Doing, registry: Registry) -> Iterator[Permission]:
    """The same, with what the breaker's checks select in the place of the stand-in."""
    if not any(STAND_IN in name for name in (*permission.names, *permission.of_function)):
        yield permission
        return
    selectors = targets_of(pipeline, doing.breaker, registry, doing.action.resource_kind)
    if not selectors:
        yield dataclasses.replace(permission, names=_put(permission.names, "*"), of_function=())
    for selector in selectors:
        for name in selector.names or ("*",):
            names, functions = _put(permission.names, name), _put(permission.of_function, name)
            tags = {} if selector.names else dict(selector.tags)
            yield dataclasses.replace(permission, names=names, of_function=functions, tags=tags)


def _put(names: Iterable[str], name: str) -> tuple[str, ...]:
    return tuple(one.replace(STAND_IN, name) for one in names)


# --- what is told, and with which secrets -----------------------------------------------------------------------------


def _told(url: str, place: Where, what: str) -> Iterator[Asked]:
    if url.startswith("sns://arn:"):
        yield Asked("", "Notify", need("sns:Publish", topic=url.removeprefix("sns://")), place, what)
    for one in _secrets([url]):
        yield Asked("", "Secrets", one, place, what)


def _secrets(texts: Iterable[str]) -> Iterator[Permission]:
    for text in texts:
        scheme, _, name = text.partition(":")
        name = name.partition("#")[0]
        if scheme == "ssm" and name:
            yield need("ssm:GetParameter", parameter=name)
        elif scheme == "secretsmanager" and name:
            # AWS adds a dash and six characters to the name.
            yield need("secretsmanager:GetSecretValue", secret=name if name.startswith("arn:") else f"{name}-??????")


def _texts(value: Any) -> Iterator[str]:
    """Every text inside."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _texts(getattr(value, name, None))
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, (CheckSpec, BreakerSpec)) or dataclasses.is_dataclass(value):
        for one in dataclasses.fields(value):
            yield from _texts(getattr(value, one.name))
