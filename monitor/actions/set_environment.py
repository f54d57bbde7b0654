"""Sets environment variables of a Lambda function, so that the calls that matter see them, and takes them back.

Merges the named variables into the function's map (AWS replaces the whole map) and touches no other; undo puts the
earlier values back or removes what was not there. With `alias` a version is published and the alias moved to it, since
a published version never changes: without it, callers of an alias see nothing. Values may be secrets: summaries,
receipts, drift and the page show only switch words (`true`, `off`, `0`...) and a fingerprint of anything else; the real
earlier values lie in the journal's memory. Of two breakers that set the same variable to different values, only the
one that came first knows an earlier value that is no switch word.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import Field, field_validator

from monitor.actions.function_settings import (
    Config,
    Place,
    Setting,
    captured,
    move,
    needs_of,
    place_of,
    settled,
    wanted_at,
)
from monitor.actions.set_lambda_concurrency import function_name
from monitor.plugin import (
    Action,
    ActionContext,
    ActionError,
    Change,
    Json,
    Params,
    Permission,
    Reason,
    Receipt,
    ResourceKind,
    Risk,
)

_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_]+")
#: No secrets, and worth reading.
_SWITCHES = frozenset({"", "0", "1", "true", "false", "yes", "no", "on", "off", "enabled", "disabled"})


class EnvironmentParams(Params):
    """Which function, which variables, behind which alias."""

    function: str = Field(description="Name or ARN of the Lambda function.", min_length=1)
    variables: dict[str, str | None] = Field(
        description="Values by name; null removes a variable. Others are left alone.", min_length=1
    )
    alias: str | None = Field(
        default=None, min_length=1, description="The alias that serves the traffic: publish a version and move it."
    )
    unreleased: bool = Field(
        default=False, description="Publish even if $LATEST holds code or settings that the alias does not serve yet."
    )

    @field_validator("variables", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        for name in value:
            if not _NAME.fullmatch(str(name)):
                raise ValueError(f"{str(name)!r} is no name of a variable")
        return {name: _text(one) for name, one in value.items()}


def _text(value: Any) -> Any:
    """As a shell would write it: YAML's `true` and 1 are texts to a function."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else value


def plan(params: EnvironmentParams, now: datetime) -> Change:
    """Pure; names variables, never their values."""
    name, names = function_name(params.function), sorted(params.variables)
    place = Place(name, params.alias, params.unreleased)
    where = f", and publish it to {params.alias}" if params.alias else ""
    return Change(
        action="set_environment",
        resource=f"lambda/{name}",
        property="environment:" + ",".join(names) + (f"@{params.alias}" if params.alias else ""),
        wanted=wanted_at(place, {key: masked(name, key, params.variables[key]) for key in names}),
        summary=f"set {', '.join(names)} in the environment of {name}{where}",
        params={
            "function": name, "alias": params.alias, "unreleased": params.unreleased,
            "variables": dict(params.variables),
        },
    )  # fmt: skip


async def capture(change: Change, ctx: ActionContext) -> Json:
    """The named variables only, masked; None: not set."""
    return await captured(place_of(change), _setting(change, ctx), ctx)


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Merges, publishes if there is an alias, reads back."""
    await _keep(change, ctx)
    return await move(change, place_of(change), _setting(change, ctx), change.wanted, ctx)


async def undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
    """The earlier values, and the version and weights the alias had."""
    change = receipt.change
    moved = await move(change, place_of(change), _setting(change, ctx), receipt.prior, ctx)
    return replace(moved, prior=receipt.prior)


def masked(function: str, name: str, value: str | None) -> str | None:
    """A value as it may be shown: a switch word as it is, else a fingerprint that tells equal from different."""
    if value is None or value.lower() in _SWITCHES:
        return value
    return "sha256:" + hashlib.sha256(f"{function}/{name}={value}".encode()).hexdigest()[:12]


def _setting(change: Change, ctx: ActionContext) -> Setting:
    function, wanted = str(change.params["function"]), change.params["variables"]
    assert isinstance(wanted, Mapping)
    names = sorted(wanted)

    def read(config: Config) -> Json:
        variables = _variables(config)
        return {name: masked(function, name, variables.get(name)) for name in names}

    def request(config: Config, value: Json) -> Mapping[str, Any]:
        assert isinstance(value, Mapping)
        variables = dict(_variables(config))
        for name in names:
            shown = value.get(name)
            if shown is None:
                variables.pop(name, None)
            else:
                variables[name] = _plain(function, name, str(shown), [wanted[name], *_kept(ctx, name)])
        return {"Environment": {"Variables": variables}}

    def rest(config: Config) -> Config:
        return {**config, "Environment": {k: v for k, v in _variables(config).items() if k not in names}}

    return Setting(read, request, rest)


def _variables(config: Config) -> Mapping[str, str]:
    environment = config.get("Environment") or {}
    if environment.get("Error"):
        # Writing back a map that can't be read would wipe it.
        raise ActionError(
            Reason.DENIED,
            f"the environment of {config.get('FunctionName')} can't be read: allow kms:Decrypt on its key",
        )
    variables: Mapping[str, str] = environment.get("Variables") or {}
    return variables


async def _keep(change: Change, ctx: ActionContext) -> None:
    """Remember the named variables as they are before the first update, in plain: undo needs them."""
    if "kept" not in ctx.memory:
        variables = _variables(await settled(str(change.params["function"]), None, ctx))
        wanted = change.params["variables"]
        assert isinstance(wanted, Mapping)
        await ctx.remember(kept={name: variables.get(name) for name in wanted})


def _kept(ctx: ActionContext, name: str) -> list[Json]:
    kept = ctx.memory.get("kept")
    return [kept.get(name)] if isinstance(kept, Mapping) else []


def _plain(function: str, name: str, shown: str, known: list[Json]) -> str:
    for value in known:
        if isinstance(value, str) and masked(function, name, value) == shown:
            return value
    if not shown.startswith("sha256:"):
        return shown
    raise ActionError(
        Reason.INVALID,
        f"the earlier value of {name} is known only to the breaker that changed it first: set it by hand",
    )


def needs(params: EnvironmentParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    return needs_of(params.function, params.alias)


ACTION = Action(
    name="set_environment",
    summary="Sets environment variables of a Lambda function, for live traffic too, touching no other variable.",
    params=EnvironmentParams,
    risk=Risk.REVERSIBLE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=undo,
    permissions=(
        "lambda:GetFunctionConfiguration",
        "lambda:UpdateFunctionConfiguration",
        "lambda:PublishVersion",
        "lambda:GetAlias",
        "lambda:UpdateAlias",
    ),
    example="""set_environment:
  function: opendata-pulse-api
  variables: {CIRCUIT_BREAKER: "true"}
  alias: LIVE
""",
    blast_radius="One function (or one alias of it): new environments start with the variables, running ones end.",
    resource_field="function",
    resource_kind=ResourceKind.FUNCTION,
    needs=needs,
)
