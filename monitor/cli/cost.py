"""`tripswitch cost`: what a configuration asks of AWS, and what that costs."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.cli import options
from monitor.cli.talk import EXIT_CONFIG, say, show_json, show_table

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.audit.cost import Bill, Group, Tariff, Usage
    from monitor.aws.operations import Operations
    from monitor.aws.rehearsal import Find
    from monitor.core.spec import Pipeline
    from monitor.plugin import Registry, ResourceKind, Selector
    from monitor.settings import Settings

Targets = Annotated[int, typer.Option("--targets", min=0, help="How many resources a glob or tag is assumed to find.")]
Online = Annotated[bool, typer.Option("--online", help="Ask AWS how many they find (it only lists).")]
Region = Annotated[str | None, typer.Option("--region", help="Region of pipelines that name none, for quotas.")]


def cost(
    paths: options.Paths,
    online: Online = False,
    targets: Targets = 5,
    region: Region = None,
    output: options.Output = "table",
    endpoint: options.Endpoint = None,
) -> None:
    """Say what these files will cost: API calls a minute, their share of AWS's quotas, dollars a month.

    Every check is rehearsed once against made-up replies, and what it asks is counted: nothing is sent. Resources are
    taken to be in use (a queue that holds something is asked for its age), so quiet pipelines cost less. What a glob
    or tag finds is assumed (--targets), or counted with --online. Prices are AWS's list prices in us-east-1 before any
    free tier; what breakers do once they trip is not in it.

    \b
    tripswitch cost etl.yaml
    tripswitch cost pipelines/ --targets 40
    tripswitch cost pipelines/ --online --output json
    """
    known = options.registry()
    pipelines = options.load(paths, known).pipelines
    found = asyncio.run(estimate(pipelines, known, targets, options.settings(EXIT_CONFIG, endpoint=endpoint), online))
    made = _bill(found, pipelines, region)
    if output == "json":
        show_json(document(made))
    else:
        _print(made, targets, online)


async def estimate(
    pipelines: Sequence[Pipeline], known: Registry, targets: int, settings: Settings, online: bool
) -> list[tuple[Group, Usage]]:
    """Every group of checks, rehearsed. With `online` AWS is asked what globs and tags find."""
    from monitor.audit.cost import groups_of
    from monitor.aws.operations import Operations
    from monitor.cli.round import reading
    from monitor.engine.clock import SystemClock
    from monitor.telemetry import Redactor, configure_logging

    clock, operations = SystemClock(), Operations()
    groups = groups_of(pipelines)
    if not online:
        return [(one, await rehearse(one, known, operations, clock.now(), targets, None)) for one in groups]
    configure_logging("auto", "error", Redactor(), sys.stderr)
    async with reading(settings, clock) as (aws, _):
        return [
            (one, await rehearse(one, known, operations, clock.now(), targets, aws.reads(one.pipeline.aws).find))
            for one in groups
        ]


async def rehearse(
    group: Group, known: Registry, operations: Operations, now: datetime, targets: int, find: Find | None
) -> Usage:
    """One run of a group's checks, side by side."""
    from monitor.audit.cost import Usage
    from monitor.aws.rehearsal import Rehearsal
    from monitor.engine.runner import Probing

    reads = Rehearsal(operations, now, targets, find)
    kind = known.kinds[group.kind]

    async def one(params: Any) -> None:
        # What is made up need not make sense to the probe: what it asked until then is counted.
        await asyncio.gather(kind.probe(params, Probing(reads, now, _Still())), return_exceptions=True)

    if _asks_aws(group.kind, known):
        await asyncio.gather(*(one(check.params) for check in group.checks))
    discoveries: Counter[tuple[str, str]] = Counter()
    once = {(k, s.names, tuple(sorted(s.tags.items()))): (k, s) for k, s in reads.selected}
    for found in once.values():
        discoveries.update(_listing(*found))
    guessed = once if find is None else {}
    assumed = tuple(check.key for check in group.checks if guessed and kind.discovers(check.params))
    return Usage(dict(reads.calls), reads.requested, dict(discoveries), assumed)


class _Still:
    """A clock whose sleeps are over at once."""

    def now(self) -> Any:
        """Nobody asks."""
        raise NotImplementedError

    def tick(self) -> float:
        """Nobody asks."""
        return 0.0

    async def sleep(self, seconds: float) -> None:
        """At once."""
        await asyncio.sleep(0)


def _asks_aws(kind: str, known: Registry) -> bool:
    """Probes of addresses and databases are no business of AWS's, and must not be sent here."""
    found = known.kinds[kind]
    return bool(found.permissions) or found.operations is not None


def _listing(kind: ResourceKind, selector: Selector) -> Mapping[tuple[str, str], int]:
    """The calls of one discovery."""
    from monitor.core.iam import PREFIXES
    from monitor.plugin import discovery

    own = ("stepfunctions", "resourcegroupstaggingapi")
    services = {PREFIXES[name]: name for name in own}
    actions = [action for permission in discovery(kind, selector) for action in permission.actions]
    named = [action.split(":") for action in actions]
    return Counter((services.get(s, s), "GetRestApis" if s == "apigateway" else name) for s, name in named)


def _bill(found: Sequence[tuple[Group, Usage]], pipelines: Sequence[Pipeline], region: str | None) -> Bill:
    from monitor.audit.cost import bill
    from monitor.settings import environ

    home = region or environ().get("AWS_REGION") or environ().get("AWS_DEFAULT_REGION") or "us-east-1"
    return bill(found, pipelines, tariff(), home)


def tariff() -> Tariff:
    """AWS's list prices and quotas."""
    from monitor.audit.cost import Tariff
    from monitor.aws.pricing import METRIC, request_price
    from monitor.aws.quotas import quota

    return Tariff(request_price, METRIC, lambda service, name, region: quota(service, name, region, {}).refill)


def document(made: Bill) -> dict[str, Any]:
    """For programs."""
    return {
        "calls_per_minute": made.per_minute,
        "metrics_per_month": made.metrics,
        "dollars_per_month": made.dollars,
        "dollars_by_service": made.by_service,
        "operations": [
            {
                "aws_service": line.aws_service,
                "operation": line.operation,
                "calls_per_minute": line.per_minute,
                "quota_share": line.share,
                "dollars_per_month": line.dollars,
            }
            for line in made.lines
        ],
        "assumed": list(made.assumed),
    }


def _print(made: Bill, targets: int, online: bool) -> None:
    rows = [
        (line.aws_service, line.operation, f"{line.per_minute:.2f}", f"{line.share:.1%}", f"{line.dollars:.2f}")
        for line in made.lines
    ]
    show_table(("SERVICE", "OPERATION", "CALLS/MIN", "OF QUOTA", "$/MONTH"), rows)
    dear = ", ".join(f"{service} {dollars:.2f}" for service, dollars in made.by_service.items() if dollars >= 0.005)
    more = f" ({dear})" if dear else ""
    say(f"{made.per_minute:.1f} calls a minute, {made.metrics:,.0f} metrics and ${made.dollars:.2f} a month{more}")
    if made.assumed and not online:
        some = ", ".join(made.assumed[:5]) + (", ..." if len(made.assumed) > 5 else "")
        say(f"assumed: {targets} resources per glob or tag of {some}; count them with --online, or give --targets")
