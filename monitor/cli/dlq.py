"""`tripswitch dlq`: dead letters, by hand. Each command that changes something has `--dry-run` and asks first."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from monitor.cli import options
from monitor.cli.talk import EXIT_REFUSED, EXIT_USAGE, answer, at, count, die, prompt, say, show_json, show_table
from monitor.core.durations import format_duration

if TYPE_CHECKING:
    from monitor.plugin import Action, Writes
    from monitor.settings import Settings

T = TypeVar("T")

Queue = Annotated[str, typer.Argument(help="Name, ARN or URL of the dead-letter queue.", show_default=False)]
Ids = Annotated[list[str], typer.Argument(help="Message ids, as `dlq inspect` shows them.", show_default=False)]
To = Annotated[str | None, typer.Option("--to", help="Where to; left out: the one queue these come from.")]
Rate = Annotated[int | None, typer.Option("--rate", min=1, max=500, help="Messages per second.")]
Most = Annotated[int | None, typer.Option("--max", min=1, help="At most this many.")]
Where = Annotated[
    str | None, typer.Option("--where", help="Only this kind: a fingerprint or error class of `dlq inspect`.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen and change nothing.")]
Region = Annotated[str | None, typer.Option("--region", help="AWS region; left out: the SDK's own.")]
Profile = Annotated[str | None, typer.Option("--profile", help="AWS profile.")]
Role = Annotated[str | None, typer.Option("--role-arn", help="Role to assume.")]
Endpoint = Annotated[str | None, typer.Option("--endpoint", help="Another address for all AWS services.")]


class Place:
    """Which account and region, with which settings."""

    def __init__(self, region: str | None, profile: str | None, role: str | None, endpoint: str | None) -> None:
        from monitor.core.spec import AwsSpec

        self.settings: Settings = options.settings(endpoint=endpoint)
        self.spec = AwsSpec(region=region, profile=profile, role_arn=role)

    def run(self, work: Callable[[Writes], Awaitable[T]]) -> T:
        """What `work` returns; its failures end the command with a sentence."""
        from monitor.cli.dlq_work import writes
        from monitor.plugin import ActionError, Held, ProbeError
        from monitor.telemetry import Redactor, configure_logging

        configure_logging("auto", "error", Redactor(), sys.stderr)

        async def all_of_it() -> T:
            async with writes(self.settings, self.spec) as aws:
                return await work(aws)

        try:
            return asyncio.run(all_of_it())
        except (ActionError, ProbeError) as error:
            die(f"{error.reason}: {error.detail}")
        except Held as held:
            die(f"nothing more was changed: {held.reason}", EXIT_REFUSED)
        except KeyboardInterrupt:
            die("stopped; no message is lost, and the same command goes on where this one ended")


def list_queues(
    match: Annotated[str, typer.Argument(help="Only queues whose name matches this glob.")] = "*",
    output: options.Output = "table",
    region: Region = None,
    profile: Profile = None,
    role_arn: Role = None,
    endpoint: Endpoint = None,
) -> None:
    """List dead-letter queues (found through redrive policies), how full they are and when the oldest expires.

    \b
    tripswitch dlq list
    tripswitch dlq list 'etl-*' --region eu-west-1 --output json
    """
    from monitor.cli.dlq_list import dead_letters

    found = Place(region, profile, role_arn, endpoint).run(lambda aws: dead_letters(aws, match))
    if output == "json":
        show_json([one.to_json() for one in found])
        return
    rows = [
        (one.name, _number(one.visible), _number(one.in_flight), _span(one.oldest_age),
         f"< {_span(one.expires_in)}" if one.expires_in is not None else "-", ", ".join(sorted(one.sources)),
         one.detail)
        for one in found
    ]  # fmt: skip
    show_table(("QUEUE", "VISIBLE", "IN FLIGHT", "OLDEST", "EXPIRES IN", "LETTERS OF", "NOTE"), rows)
    say(count(len(found), "dead-letter queue"))


def inspect(
    queue: Queue,
    sample: Annotated[int, typer.Option("--count", "-n", min=1, max=50, help="Messages to read.")] = 20,
    field: Annotated[list[str] | None, typer.Option("--field", help="Group by this field as well.")] = None,
    output: options.Output = "table",
    region: Region = None,
    profile: Profile = None,
    role_arn: Role = None,
    endpoint: Endpoint = None,
) -> None:
    """Read a sample without harm and group it by kind of failure. Bodies are not shown.

    Reading hides the messages for a few seconds and raises their receive counts by one.

    \b
    tripswitch dlq inspect etl-ingest-dlq
    tripswitch dlq inspect etl-ingest-dlq --field city
    """
    from monitor.actions.sample_dlq import ACTION, SampleParams

    params = SampleParams(queue=queue, count=sample, fields=tuple(field or ()))
    receipt = _act(Place(region, profile, role_arn, endpoint), ACTION, params)
    if output == "json":
        show_json(receipt.data)
        return
    data: dict[str, Any] = dict(receipt.data)
    rows = [
        (g["fingerprint"], g["error"], g["count"], {True: "yes", False: "no"}.get(g["transient"], "-"),
         at(g["first_sent"]), ", ".join(f"{k}={v}" for k, v in g["fields"].items()),
         ", ".join([*g.get("message_ids", ()), *g["event_ids"]][:2]))
        for g in data["groups"]
    ]  # fmt: skip
    show_table(("FINGERPRINT", "ERROR", "COUNT", "PASSING", "FIRST SENT", "FIELDS", "IDS"), rows)
    say(receipt.detail)


def redrive(
    queue: Queue,
    ids: Ids,
    to: To = None,
    dry_run: DryRun = False,
    yes: options.Yes = False,
    output: options.Output = "table",
    region: Region = None,
    profile: Profile = None,
    role_arn: Role = None,
    endpoint: Endpoint = None,
) -> None:
    """Send the messages with these ids back to where they came from.

    \b
    tripswitch dlq redrive etl-ingest-dlq 5fea7756-0ea4-451a-a703-a558b933e274 --dry-run
    """
    from monitor.actions.redrive_queue import ACTION, RedriveParams

    params = RedriveParams(queue=queue, to=to, messages=tuple(ids))
    _mutate(Place(region, profile, role_arn, endpoint), ACTION, params, dry_run, yes, output)


def redrive_all(
    queue: Queue,
    to: To = None,
    rate: Rate = None,
    most: Most = None,
    where: Where = None,
    dry_run: DryRun = False,
    yes: options.Yes = False,
    output: options.Output = "table",
    region: Region = None,
    profile: Profile = None,
    role_arn: Role = None,
    endpoint: Endpoint = None,
) -> None:
    """Send every message back (or those of one kind), by AWS's own move task where that is possible.

    No message is lost however this ends. Where messages are moved one by one, a kill may double the one in flight:
    repeat the command, it goes on and names that message.

    \b
    tripswitch dlq redrive-all etl-ingest-dlq --rate 10 --dry-run
    tripswitch dlq redrive-all etl-ingest-dlq --to etl-ingest --yes
    """
    from monitor.actions.redrive_queue import ACTION, RedriveParams

    params = RedriveParams(queue=queue, to=to, rate=rate, max=most, where=where)
    _mutate(Place(region, profile, role_arn, endpoint), ACTION, params, dry_run, yes, output)


def delete(
    queue: Queue,
    ids: Annotated[list[str] | None, typer.Argument(help="Message ids.", show_default=False)] = None,
    where: Where = None,
    most: Most = None,
    dry_run: DryRun = False,
    yes: options.Yes = False,
    output: options.Output = "table",
    region: Region = None,
    profile: Profile = None,
    role_arn: Role = None,
    endpoint: Endpoint = None,
) -> None:
    """Delete the messages with these ids, or those of one kind, for good.

    \b
    tripswitch dlq delete etl-ingest-dlq --where ValueError --dry-run
    tripswitch dlq delete etl-ingest-dlq 5fea7756-0ea4-451a-a703-a558b933e274
    """
    from monitor.actions.delete_messages import ACTION, DeleteParams

    if not ids and where is None:
        die("say which messages: ids, or --where KIND", EXIT_USAGE)
    params = DeleteParams(queue=queue, messages=tuple(ids or ()), where=where, max=most)
    _mutate(Place(region, profile, role_arn, endpoint), ACTION, params, dry_run, yes, output)


def _mutate(place: Place, action: Action[Any], params: Any, dry_run: bool, yes: bool, output: options.Format) -> None:
    """Show the plan, ask, do it, say what became of it."""
    from monitor.cli.dlq_dry import preview
    from monitor.cli.dlq_work import actions_off

    if dry_run or not yes:
        seen = place.run(lambda aws: preview(action, params, aws))
        if dry_run and output == "json":
            show_json(seen)
            return
        say(f"would {seen['would']}" + "".join(f"\n  {key}: {value}" for key, value in seen.items() if key != "would"))
        if dry_run:
            say("nothing was changed")
            return
        prompt("Do it?")
        answer()
    if (why := actions_off(place.settings)) is not None:
        die(f"nothing was changed: {why}", EXIT_REFUSED)
    receipt = _act(place, action, params)
    if output == "json":
        show_json({"detail": receipt.detail, **receipt.data})
    else:
        say(receipt.detail)
    doubled: Any = receipt.data.get("maybe_doubled") or ()
    if doubled:
        say(f"may be there twice: {', '.join(map(str, doubled))}")
    if not receipt.verified:
        raise typer.Exit(1)


def _act(place: Place, action: Action[Any], params: Any) -> Any:
    from monitor.cli import dlq_work

    def told(done: int, remaining: int | None) -> None:
        if sys.stderr.isatty():
            left = "" if remaining is None else f", {remaining} left"
            typer.echo(f"\r{done} done{left}   ", err=True, nl=False)

    outcome = place.run(lambda aws: dlq_work.perform(action, params, aws, dlq_work.folder(), told))
    if outcome.resumed:
        say("an earlier run of this command was cut short: this one went on with it")
    return outcome.receipt


def _number(value: int | None) -> str:
    return "?" if value is None else str(value)


def _span(seconds: float | None) -> str:
    return "-" if seconds is None else format_duration(timedelta(seconds=round(seconds)))


def commands() -> Sequence[tuple[str, Callable[..., None]]]:
    """Name and function of each."""
    return (
        ("list", list_queues), ("inspect", inspect), ("redrive", redrive), ("redrive-all", redrive_all),
        ("delete", delete),
    )  # fmt: skip
