"""One part of a Lambda function's configuration, changed where the traffic is.

An update reaches the unpublished version ($LATEST) only: a published version never changes, so behind an alias the
callers would see nothing of it. With an alias a new version is published and the alias moved to it; the way back is the
version and the weights from before. What $LATEST holds besides must be what the alias serves, or publishing would
release it: that is refused unless asked for.

The value is the setting of $LATEST, or with an alias {"latest": ..., "served": ...}. Updates are guarded by the
function's revision id and waited for (LastUpdateStatus). Source: Lambda API reference, UpdateFunctionConfiguration,
PublishVersion ("doesn't publish a version if the configuration and code haven't changed"), UpdateAlias.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from monitor.actions.alias import LATEST, MARK, is_stale, point, read_place, stale_or
from monitor.actions.readback import confirmed
from monitor.actions.transition import arrive, depart, steady
from monitor.plugin import (
    ActionContext,
    ActionError,
    Change,
    Json,
    Permission,
    Reason,
    Receipt,
    need,
)

Config = Mapping[str, Any]
#: What a version is made of: a difference in any of these is a release.
_RELEASED = (
    "CodeSha256", "Handler", "Runtime", "Role", "Timeout", "MemorySize", "Environment", "Layers", "Architectures",
    "EphemeralStorage", "PackageType", "VpcConfig", "KMSKeyArn", "TracingConfig", "FileSystemConfigs",
    "DeadLetterConfig", "ImageConfigResponse",
)  # fmt: skip
_SETTLE_SECONDS, _POLL_SECONDS = 180.0, 2.0


@dataclass(frozen=True, slots=True)
class Setting:
    """A part of the configuration. All three are pure.

    `read` gives its value (safe to show), `request` the members of UpdateFunctionConfiguration that set one (merged
    into what the configuration holds besides), `rest` the configuration without it.
    """

    read: Callable[[Config], Json]
    request: Callable[[Config, Json], Mapping[str, Any]]
    rest: Callable[[Config], Config]


@dataclass(frozen=True, slots=True)
class Place:
    """Which function, behind which alias; `unreleased` allows publishing what $LATEST holds besides."""

    function: str
    alias: str | None
    unreleased: bool = False


def place_of(change: Change) -> Place:
    """As the plan wrote it into the change's parameters."""
    given = change.params
    alias = None if given["alias"] is None else str(given["alias"])
    return Place(str(given["function"]), alias, bool(given["unreleased"]))


def wanted_at(place: Place, value: Json) -> Json:
    """The property's value that means `value` everywhere."""
    return value if place.alias is None else {"latest": value, "served": value}


async def captured(place: Place, setting: Setting, ctx: ActionContext) -> Json:
    """The property's value now; while our own change is half done, where it started."""
    live = await look(place, setting, ctx)
    return live if place.alias is None else steady(live, ctx)


async def look(place: Place, setting: Setting, ctx: ActionContext) -> Json:
    """As it reads, half done or not. Versions that share the traffic and differ: {"mixed": {version: value}}."""
    latest = setting.read(await settled(place.function, None, ctx))
    if place.alias is None:
        return latest
    target = await read_place(place.function, place.alias, ctx)
    return {"latest": latest, "served": await _served(place.function, target, setting, ctx)}


async def move(change: Change, place: Place, setting: Setting, wanted: Json, ctx: ActionContext) -> Receipt:
    """Bring `wanted` about and read it back. Resumable after a crash between any two calls."""
    live = await look(place, setting, ctx)
    if live == wanted:
        await arrive(ctx)
        return Receipt(change=change, applied=live, detail="was so already")
    detail = ""
    if place.alias is None:
        await _edit(place.function, setting, wanted, ctx)
    else:
        assert isinstance(wanted, Mapping)
        assert isinstance(live, Mapping)
        await depart(live, wanted, ctx)
        if live["served"] != wanted["served"]:
            detail = await _serve(place, setting, wanted["served"], ctx)
        await _edit(place.function, setting, wanted["latest"], ctx)
    live = await confirmed(lambda: look(place, setting, ctx), wanted, ctx, f"{change.property} of {change.resource}")
    await arrive(ctx)
    return Receipt(change=change, applied=live, changed=True, detail=detail)


async def settled(function: str, version: str | None, ctx: ActionContext) -> Config:
    """The configuration once no update is in progress. Raises ActionError(invalid) if the last one failed."""
    qualifier = {} if version in (None, LATEST) else {"Qualifier": version}
    waited = 0.0
    while True:
        config = await ctx.aws.call("lambda", "GetFunctionConfiguration", FunctionName=function, **qualifier)
        if config.get("LastUpdateStatus") == "Failed":
            why = config.get("LastUpdateStatusReasonCode") or "no reason given"
            raise ActionError(Reason.INVALID, f"the last update of {function} failed ({why})")
        if config.get("LastUpdateStatus") != "InProgress" and config.get("State") != "Pending":
            return config
        if waited >= _SETTLE_SECONDS:
            raise ActionError(Reason.UNAVAILABLE, f"an update of {function} is still in progress")
        await ctx.sleep(_POLL_SECONDS)
        waited += _POLL_SECONDS


async def _edit(function: str, setting: Setting, value: Json, ctx: ActionContext) -> Config:
    """Set $LATEST and wait for it; its configuration then."""
    config = await settled(function, None, ctx)
    if setting.read(config) == value:
        return config
    guard = {"RevisionId": config["RevisionId"]} if config.get("RevisionId") else {}
    try:
        request = setting.request(config, value)
        await ctx.aws.mutate("lambda", "UpdateFunctionConfiguration", FunctionName=function, **request, **guard)
    except ActionError as error:
        # A repeated attempt is refused too if the first one had its effect after all.
        if not is_stale(error) or setting.read(await settled(function, None, ctx)) != value:
            raise stale_or(error, f"the function {function}") from error
    config = await settled(function, None, ctx)
    if setting.read(config) != value:
        raise ActionError(Reason.UNAVAILABLE, f"the update of {function} does not show yet")
    return config


async def _serve(place: Place, setting: Setting, value: Json, ctx: ActionContext) -> str:
    """Make the alias serve `value`; what was done, in words."""
    assert place.alias is not None
    now = await read_place(place.function, place.alias, ctx)
    if now["version"] == LATEST and not now["routing"]:
        await _edit(place.function, setting, value, ctx)
        return f"{place.alias} serves the unpublished version"
    home, ours = ctx.memory.get("home"), {"version": ctx.memory.get("published"), "routing": {}}
    if isinstance(home, Mapping) and now == ours and await _served(place.function, home, setting, ctx) == value:
        await point(place.function, place.alias, home, ctx)
        return f"{place.alias} points to version {home['version']} again"
    if not place.unreleased:
        await _require_released(place, now, setting, ctx)
    config = await _edit(place.function, setting, value, ctx)
    version = await _publish(place, config, ctx)
    if home is None:
        await ctx.remember(home=now, published=version)
    await point(place.function, place.alias, {"version": version, "routing": {}}, ctx)
    return f"published as version {version}, {place.alias} points to it"


async def _publish(place: Place, config: Config, ctx: ActionContext) -> str:
    guard = {"RevisionId": config["RevisionId"]} if config.get("RevisionId") else {}
    try:
        reply = await ctx.aws.mutate(
            "lambda", "PublishVersion", FunctionName=place.function, CodeSha256=config["CodeSha256"],
            Description=f"{MARK} {ctx.trip.pipeline}/{ctx.trip.breaker}"[:256], **guard,
        )  # fmt: skip
    except ActionError as error:
        raise stale_or(error, f"the function {place.function}") from error
    version = str(reply["Version"])
    await settled(place.function, version, ctx)
    return version


async def _served(function: str, target: Mapping[str, Json], setting: Setting, ctx: ActionContext) -> Json:
    values = {}
    for version in _versions(target):
        values[version] = setting.read(await settled(function, version, ctx))
    first = values[str(target["version"])]
    return first if all(value == first for value in values.values()) else {"mixed": dict(values)}


def _versions(target: Mapping[str, Json]) -> list[str]:
    routing = target["routing"]
    return [str(target["version"]), *(routing if isinstance(routing, Mapping) else ())]


async def _require_released(place: Place, now: Mapping[str, Json], setting: Setting, ctx: ActionContext) -> None:
    """Publishing takes all of $LATEST: besides the setting it must be what the alias' main version is."""
    latest = setting.rest(await settled(place.function, None, ctx))
    served = setting.rest(await settled(place.function, str(now["version"]), ctx))
    differing = [name for name in _RELEASED if (latest.get(name) or None) != (served.get(name) or None)]
    if differing:
        raise ActionError(
            Reason.INVALID,
            f"$LATEST of {place.function} differs from version {now['version']}, which {place.alias} serves, in"
            f" {', '.join(differing)}: publishing would release that; deploy it first, or say `unreleased: true`",
        )


def needs_of(function: str, alias: str | None) -> list[Permission]:
    """For IAM: what changing a setting asks; through an alias, of its versions too."""
    found = [need("lambda:GetFunctionConfiguration", "lambda:UpdateFunctionConfiguration", function=function)]
    if alias is not None:
        found.append(need("lambda:GetFunctionConfiguration", function=f"{function}:*"))
        found.append(need("lambda:PublishVersion", "lambda:GetAlias", "lambda:UpdateAlias", function=function))
    return found
