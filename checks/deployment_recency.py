"""How long ago a function, an alias, a stack or a deployment group was changed, so that errors can be put down to it.

`age` is the seconds since the last change, `recent` is 1 while that is less than `within`. Meant for conditions:

    trip_when: {all: [errors, {signal: deployment.recent, level: warning}]}

- a function: when $LATEST was last modified, by code or configuration, our own changes of memory or variables too;
- an alias, `function:alias`: when the newest version that it sends traffic to was made, a canary version included.
  After a rollback it points at an old version again, and `recent` ends. AWS does not keep when an alias was moved;
- a stack: its last update, or its creation;
- a CodeDeploy group, `application/group`: the newest deployment that was created within `look_back`, failed and
  stopped ones too.

What was never deployed within `look_back` is absent, and `missing: zero` makes that "not recent".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import Field, field_validator, model_validator

from checks.reading import Bare, Group, absent, each_of, find_any, observe
from monitor.plugin import (
    Bound,
    Check,
    Duration,
    Missing,
    Observation,
    Params,
    Permission,
    ProbeContext,
    ProbeError,
    Reason,
    Resource,
    ResourceKind,
    Selector,
    Signal,
    SignalSpec,
    discovery,
    need,
)

AGE = Signal("age", "seconds", "Seconds since the last change.", Missing.HOLD)
RECENT = Signal("recent", "state", "1 while the last change is younger than `within`, else 0.", Missing.ZERO)
SIGNALS = (AGE, RECENT)

#: BatchGetDeployments takes at most so many.
_DEPLOYMENTS_PER_CALL = 25
_MOST_DEPLOYMENTS = 500


class DeploymentRecency(Params):
    """Whose changes, and what is recent."""

    lambda_functions: Selector | None = Field(None, description="Functions by name, ARN, glob or tag.")
    aliases: Selector | None = Field(None, description="Aliases as `function:alias`.")
    stacks: Selector | None = Field(None, description="CloudFormation stacks by name.")
    deployment_groups: Selector | None = Field(None, description="CodeDeploy groups as `application/group`.")
    within: Duration = Field(timedelta(minutes=30), description="How long after a change it counts as recent.")
    look_back: Duration = Field(timedelta(days=7), description="How far back CodeDeploy is asked.")

    @field_validator("aliases", "stacks", "deployment_groups")
    @classmethod
    def _plain_names(cls, selector: Selector | None) -> Selector | None:
        if selector is not None and (selector.discovers or any(name.startswith("arn:") for name in selector.names)):
            raise ValueError("write plain names here: globs, tags and ARNs are for lambda_functions only")
        return selector

    @model_validator(mode="after")
    def _consistent(self) -> DeploymentRecency:
        for field, mark in (("aliases", ":"), ("deployment_groups", "/")):
            names = getattr(self, field).names if getattr(self, field) else ()
            if any(name.count(mark) != 1 for name in names):
                raise ValueError(f"{field} are written as `one{mark}two`")
        if not (self.lambda_functions or self.aliases or self.stacks or self.deployment_groups):
            raise ValueError("give at least one of lambda_functions, aliases, stacks and deployment_groups")
        if self.within > self.look_back:
            raise ValueError("within is longer than look_back: such a change would not be seen")
        return self


Changed = Callable[[str, DeploymentRecency, ProbeContext], Awaitable[datetime | None]]


async def probe(params: DeploymentRecency, ctx: ProbeContext) -> Sequence[Observation]:
    """Each target by the one call that knows its last change."""

    def reading(changed: Changed) -> Callable[[Resource | Bare], Awaitable[list[Observation]]]:
        async def read(target: Resource | Bare) -> list[Observation]:
            return _observe(target.name, await changed(target.name, params, ctx), params, ctx.now)

        return read

    functions = await find_any(ctx, ResourceKind.FUNCTION, params.lambda_functions)
    plain = ((params.aliases, _alias), (params.stacks, _stack), (params.deployment_groups, _group))
    groups: list[Group[Any]] = [Group(functions, reading(_function), SIGNALS)]
    for selector, changed in plain:
        names = [Bare(name) for name in selector.names] if selector else []
        groups.append(Group(names, reading(changed), SIGNALS))
    return await each_of(groups)


def _observe(name: str, at: datetime | None, params: DeploymentRecency, now: datetime) -> list[Observation]:
    if at is None:
        return [absent(signal, name, "no change within look_back", exists=True) for signal in SIGNALS]
    age = max(timedelta(0), now - at)
    told = f"changed {at:%Y-%m-%d %H:%M}Z"
    return [
        observe(AGE, name, age.total_seconds(), now, detail=told),
        observe(RECENT, name, float(age < params.within), now, detail=told),
    ]


async def _function(name: str, params: DeploymentRecency, ctx: ProbeContext) -> datetime | None:
    return _modified(await ctx.aws.call("lambda", "GetFunctionConfiguration", FunctionName=name))


async def _alias(name: str, params: DeploymentRecency, ctx: ProbeContext) -> datetime | None:
    function, alias = name.split(":")
    found = await ctx.aws.call("lambda", "GetAlias", FunctionName=function, Name=alias)
    weights: Mapping[str, float] = (found.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    live = {str(found["FunctionVersion"]), *(version for version, weight in weights.items() if weight > 0)}
    changes = [
        _modified(await ctx.aws.call("lambda", "GetFunctionConfiguration", FunctionName=function, Qualifier=version))
        for version in sorted(live)
    ]
    return max(changes)


def _modified(configuration: Mapping[str, Any]) -> datetime:
    """Lambda writes times as text: `2026-03-04T11:58:07.123+0000`."""
    text = str(configuration.get("LastModified", ""))
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ProbeError(Reason.INVALID, "LastModified is no time") from None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


async def _stack(name: str, params: DeploymentRecency, ctx: ProbeContext) -> datetime | None:
    stacks = (await ctx.aws.call("cloudformation", "DescribeStacks", StackName=name)).get("Stacks", ())
    if not stacks:
        raise ProbeError(Reason.NOT_FOUND, f"no stack is called {name}")
    at: datetime = stacks[0].get("LastUpdatedTime") or stacks[0]["CreationTime"]
    return at.astimezone(UTC)


async def _group(name: str, params: DeploymentRecency, ctx: ProbeContext) -> datetime | None:
    application, group = name.split("/")
    # Whole minutes, so that several checks on one group share the read.
    begin = (ctx.now - params.look_back).replace(second=0, microsecond=0)
    pages = ctx.aws.pages(
        "codedeploy",
        "ListDeployments",
        applicationName=application,
        deploymentGroupName=group,
        createTimeRange={"start": begin},
    )
    # In no promised order, so all of them are looked at.
    ids = [one async for page in pages for one in page.get("deployments", ())]
    if len(ids) > _MOST_DEPLOYMENTS:
        raise ProbeError(Reason.INVALID, f"{len(ids)} deployments within look_back: make it shorter")
    created: list[datetime] = []
    for at in range(0, len(ids), _DEPLOYMENTS_PER_CALL):
        chunk = ids[at : at + _DEPLOYMENTS_PER_CALL]
        reply = await ctx.aws.call("codedeploy", "BatchGetDeployments", deploymentIds=chunk)
        created += [one["createTime"] for one in reply.get("deploymentsInfo", ()) if one.get("createTime")]
    return max(created).astimezone(UTC) if created else None


def needs(params: DeploymentRecency) -> list[Permission]:
    """For IAM: what one configuration asks."""
    found = discovery(ResourceKind.FUNCTION, params.lambda_functions)
    if params.lambda_functions:
        found.append(need("lambda:GetFunctionConfiguration", function=params.lambda_functions))
    if params.aliases:
        functions = [name.partition(":")[0] for name in params.aliases.names]
        found.append(need("lambda:GetAlias", function=functions))
        found.append(need("lambda:GetFunctionConfiguration", function=[f"{name}:*" for name in functions]))
    if params.stacks:
        found.append(need("cloudformation:DescribeStacks", stack=params.stacks))
    if params.deployment_groups:
        asked = ("codedeploy:ListDeployments", "codedeploy:BatchGetDeployments")
        found.append(need(*asked, deployment_group=params.deployment_groups))
    return found


CHECK: Check[DeploymentRecency] = Check(
    kind="deployment_recency",
    summary="How long ago functions, aliases, stacks and CodeDeploy groups were changed.",
    params=DeploymentRecency,
    probe=probe,
    signals=SIGNALS,
    defaults={"recent": SignalSpec(warning=Bound(above=0), missing=Missing.ZERO)},
    permissions=(
        "lambda:GetFunctionConfiguration",
        "lambda:GetAlias",
        "lambda:ListFunctions",
        "tag:GetResources",
        "cloudformation:DescribeStacks",
        "codedeploy:ListDeployments",
        "codedeploy:BatchGetDeployments",
    ),
    cost="Per function and stack 1 call, per alias 2 or 3, per CodeDeploy group 1 and 1 per 25 deployments; all free.",
    example="""\
deployment:
  kind: deployment_recency
  aliases: api-handler:LIVE
  within: 30m
""",
    selectors=("lambda_functions", "aliases", "stacks", "deployment_groups"),
    needs=needs,
)
