"""Whether resources are in a state in which they work: functions, tables, rules, databases, stacks and more.

`unhealthy` is 0 where AWS tells a good state and 1 where it tells another, which the detail names. What is good is in
the table of `checks.states`, from AWS's own lists of states; `expect` says otherwise per type, for instance that rules
are to be DISABLED. A state that can't be read is unknown. So is a resource that does not exist, unless
`gone_is_unhealthy` says that its absence is the very thing to be seen.

- `lambda_functions`, `aliases` (`function:alias`): State, and a last update that failed;
- `event_sources`: all event source mappings of a function, or one by its UUID;
- `rules` (`rule` or `bus/rule`), `schedules` (`schedule` or `group/schedule`): ENABLED;
- `tables`, `state_machines`, `clusters` (MSK), `databases` (RDS), `stacks`, `distributions` (CloudFront), `canaries`
  (their last run): their status;
- `buckets`, `graphql_apis` (by id), `user_pools` (by id): AWS tells no state of them: that they can be read is all.

Several types in one check must not share a name: a target is called by its short name alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

from pydantic import Field, model_validator

from checks.reading import Bare, Group, each_of, observe
from checks.states import TYPES, Target, Type, needs_of
from monitor.plugin import (
    Bound,
    Check,
    Observation,
    Params,
    Permission,
    ProbeContext,
    ProbeError,
    Reason,
    ResourceKind,
    Selector,
    Signal,
    SignalSpec,
    target_name,
)

UNHEALTHY = Signal("unhealthy", "state", "0 in a good state, 1 in any other.")


class ResourceState(Params):
    """Which resources, and which states are good."""

    lambda_functions: Selector | None = Field(None, description="Functions by name, ARN, glob or tag.")
    aliases: Selector | None = Field(None, description="Function aliases as `function:alias`.")
    event_sources: Selector | None = Field(None, description="Event source mappings by function name or UUID.")
    tables: Selector | None = Field(None, description="DynamoDB tables by name, ARN, glob or tag.")
    buckets: Selector | None = Field(None, description="S3 buckets by name or glob.")
    rules: Selector | None = Field(None, description="EventBridge rules by name, `bus/rule`, ARN, glob or tag.")
    schedules: Selector | None = Field(None, description="Schedules by name or `group/name`; globs: default group.")
    state_machines: Selector | None = Field(None, description="State machines by name, ARN, glob or tag.")
    clusters: Selector | None = Field(None, description="MSK clusters by name or glob.")
    databases: Selector | None = Field(None, description="RDS instances by identifier or glob.")
    stacks: Selector | None = Field(None, description="CloudFormation stacks by name or glob.")
    graphql_apis: Selector | None = Field(None, description="AppSync APIs by id or glob.")
    user_pools: Selector | None = Field(None, description="Cognito user pools by id or glob.")
    distributions: Selector | None = Field(None, description="CloudFront distributions by id or glob.")
    canaries: Selector | None = Field(None, description="CloudWatch Synthetics canaries by name or glob.")
    expect: Mapping[str, tuple[str, ...] | str] = Field(
        default_factory=dict, description="Good states by type, in place of the usual ones: {rules: DISABLED}."
    )
    gone_is_unhealthy: bool = Field(False, description="A resource that does not exist is unhealthy, not unknown.")

    @model_validator(mode="after")
    def _possible(self) -> ResourceState:
        selected = self.selected
        if not selected:
            raise ValueError(f"give at least one of {', '.join(TYPES)}")
        for name in self.expect:
            if name not in selected:
                raise ValueError(f"expect names {name}, of which nothing is selected")
        for name, selector in selected.items():
            plain = not isinstance(TYPES[name].found_by, ResourceKind)
            if plain and (selector.tags or any(one.startswith("arn:") for one in selector.names)):
                raise ValueError(f"{name} are selected by name or glob, not by tag or ARN")
        names = Counter(target_name(name) for selector in selected.values() for name in selector.explicit)
        for name in (one for one, count in names.items() if count > 1):
            raise ValueError(f"two resources are called {name}: give each a check of its own")
        if self.event_sources and self.event_sources.discovers:
            raise ValueError("event_sources are functions or UUIDs, without globs")
        if self.aliases and (self.aliases.discovers or any(name.count(":") != 1 for name in self.aliases.names)):
            raise ValueError("aliases are written as `function:alias`, without globs")
        return self

    @property
    def selected(self) -> dict[str, Selector]:
        """Selectors by type."""
        return {name: getattr(self, name) for name in TYPES if getattr(self, name) is not None}

    def good(self, name: str) -> tuple[str, ...]:
        """The good states of a type."""
        states = self.expect.get(name, TYPES[name].good)
        return (states,) if isinstance(states, str) else tuple(states)


async def probe(params: ResourceState, ctx: ProbeContext) -> Sequence[Observation]:
    """All types at once; a resource that fails is unknown alone."""
    groups = [
        Group(await _targets(name, selector, ctx), _reading(TYPES[name], params.good(name), params, ctx), [UNHEALTHY])
        for name, selector in params.selected.items()
    ]
    return await each_of(groups)


async def _targets(name: str, selector: Selector, ctx: ProbeContext) -> Sequence[Target]:
    found_by = TYPES[name].found_by
    if isinstance(found_by, ResourceKind) and name != "aliases":
        return await ctx.aws.find(found_by, selector)
    names = set(selector.explicit)
    if selector.discovers and not isinstance(found_by, ResourceKind):
        globs = [one for one in selector.names if one not in names]
        names.update(one for one in await found_by.names(ctx) if any(fnmatchcase(one, glob) for glob in globs))
    return [Bare(one) for one in sorted(names)]


def _reading(
    kind: Type, good: Sequence[str], params: ResourceState, ctx: ProbeContext
) -> Callable[[Any], Awaitable[list[Observation]]]:
    async def read(target: Target) -> list[Observation]:
        try:
            states = await kind.read(target, ctx)
        except ProbeError as error:
            if error.reason is Reason.NOT_FOUND and params.gone_is_unhealthy:
                return [observe(UNHEALTHY, target.name, 1.0, ctx.now, detail="does not exist")]
            raise
        bad = sorted({state for state in states if not any(fnmatchcase(state, one) for one in good)})
        told = ", ".join(bad or sorted(set(states)))
        return [observe(UNHEALTHY, target.name, float(bool(bad)), ctx.now, detail=told)]

    return read


def needs(params: ResourceState) -> list[Permission]:
    """For IAM: what the chosen types ask; a listing only where a glob or a tag needs one."""
    return [permission for name, selector in params.selected.items() for permission in needs_of(name, selector)]


CHECK: Check[ResourceState] = Check(
    kind="resource_state",
    summary="Whether functions, tables, buckets, rules, machines, clusters, databases, stacks ... are in a good state.",
    params=ResourceState,
    probe=probe,
    signals=(UNHEALTHY,),
    defaults={"unhealthy": SignalSpec(critical=Bound(above=0))},
    permissions=tuple(
        dict.fromkeys([*(permission for one in TYPES.values() for permission in one.permissions), "tag:GetResources"])
    ),
    cost="One free call per resource and run, and the pages of a list per type with globs.",
    example="""\
etl-parts:
  kind: resource_state
  lambda_functions: [ingest-handler, transform-handler]
  tables: etl-metadata
  rules: etl-s3-events
  buckets: [raw-data-bucket, processed-data-bucket]
""",
    selectors=tuple(TYPES),
    interval=timedelta(minutes=1),
    needs=needs,
)
