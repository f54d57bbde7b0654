"""Loops among triggers, found in the configuration before they run: who sets off whom, and does it come back?

Reads the rules of the event buses with their patterns and targets, what the targets set off in turn (state machine
definitions, event source mappings, topic subscriptions), which buckets are written to, and which rules and bucket
notifications an object written there could match. `cycles` is the number of loops; its detail names each:
`s3://processed/* -> rule etl-s3-events -> machine etl-workflow -> s3://processed/*`.

What a function or a Glue job writes stands in no configuration, so `writes` says it: `{transform-handler:
["s3://processed/out/", "env:OUTPUT_BUCKET"]}` (an environment variable holds a bucket, or an `s3://` place). Those of
which nothing is said are named in the detail. Patterns are judged by EventBridge's own rules; what can't be known
beforehand (a key chosen at run time) could be anything. Disabled rules set off nothing: with `include_disabled` they
are judged as if they were enabled, which is what to ask before enabling one.

A part that can't be read makes the whole unknown: a graph with a hole proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from pydantic import Field, field_validator

from checks.reading import observe, unknown
from checks.trigger_graph import Drawing, draw
from monitor.plugin import (
    Bound,
    Check,
    Observation,
    Params,
    Permission,
    ProbeContext,
    ProbeError,
    Signal,
    SignalSpec,
    loops_in,
    need,
)

CYCLES = Signal("cycles", "loops", "Loops among triggers.")


class TriggerLoops(Params):
    """Where to begin, and what can't be read."""

    buses: tuple[str, ...] = Field(("default",), description="Event buses whose rules are read.", min_length=1)
    name_prefix: str | None = Field(None, description="Only rules whose names begin so.")
    writes: Mapping[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="What functions, jobs and machines write: `s3://bucket/prefix`, or `env:NAME` of a function.",
    )
    include_disabled: bool = Field(False, description="Judge disabled rules as if they were enabled.")
    max_rules: int = Field(300, ge=1, le=2000, description="More rules than this are an error: give a name_prefix.")
    target: str | None = Field(None, description="Name of the target; default: the buses' names.")

    @field_validator("writes")
    @classmethod
    def _places(cls, writes: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        for place in (place for places in writes.values() for place in places):
            if not place.startswith(("s3://", "env:")) or place in ("s3://", "env:"):
                raise ValueError(f"{place!r}: write s3://bucket/prefix or env:NAME")
        return writes


async def probe(params: TriggerLoops, ctx: ProbeContext) -> Sequence[Observation]:
    """The whole graph, or nothing."""
    target = params.target or "+".join(params.buses)
    drawing = Drawing(ctx, params.writes, include_disabled=params.include_disabled)
    try:
        await draw(drawing, params.buses, params.name_prefix, params.max_rules)
    except ProbeError as error:
        return unknown([CYCLES], target, error)
    loops = loops_in(drawing.edges)
    said = "; ".join(" -> ".join([*loop, loop[0]]) for loop in loops[:5])
    if drawing.silent:
        said = f"{said}; not known what these write: {', '.join(sorted(drawing.silent)[:10])}".lstrip("; ")
    return [replace(observe(CYCLES, target, len(loops), ctx.now), detail=said)]


def needs(params: TriggerLoops) -> list[Permission]:
    """For IAM: what one configuration asks."""
    # What the triggers lead to is known only once they were read.
    return [
        need("events:ListRules"),
        need("events:ListTargetsByRule", rule=f"{params.name_prefix or ''}*"),
        need("states:DescribeStateMachine", machine=None),
        need("s3:GetBucketNotification", bucket=None),
        need("lambda:ListEventSourceMappings"),
        need("sns:ListSubscriptionsByTopic", topic=None),
        *([need("lambda:GetFunctionConfiguration", function=params.writes)] if params.writes else []),
    ]


CHECK: Check[TriggerLoops] = Check(
    kind="trigger_loops",
    summary="Loops among rules, state machines, functions and buckets, found before they run.",
    params=TriggerLoops,
    probe=probe,
    signals=(CYCLES,),
    defaults={"cycles": SignalSpec(critical=Bound(above=0))},
    permissions=(
        "events:ListRules",
        "events:ListTargetsByRule",
        "states:DescribeStateMachine",
        "s3:GetBucketNotification",
        "lambda:GetFunctionConfiguration",
        "lambda:ListEventSourceMappings",
        "sns:ListSubscriptionsByTopic",
    ),
    cost="One free call per rule, machine, queue, topic and bucket on the way.",
    example="""\
loops:
  kind: trigger_loops
  interval: 10m
  name_prefix: etl-
  writes:
    transform-handler: ["s3://processed-data-bucket/"]
""",
    interval=timedelta(minutes=10),
    needs=needs,
)
