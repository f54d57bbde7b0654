"""A drain under way: list, stop what is due at AWS's pace, list again until nothing is left.

Nothing here holds a list of what was stopped: AWS's own listing is the state, so a drain resumes after a crash by
listing. What is remembered is small: when it began, how far `limit` reaches, one batch between stop and rerun.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import Field

from monitor.actions.crew import each
from monitor.actions.executions import Row, Survey, Window, state_entered, survey
from monitor.actions.reruns import BATCH, Reruns
from monitor.plugin import ActionContext, ActionError, Duration, Json, Params, Reason, Selector

#: A disabled rule may fire a little longer, and events in flight still start executions.
SETTLE = timedelta(seconds=60)
#: Enough to reach AWS's 200 stops per second at 300 ms each; the pacer inside `mutate` sets the pace.
WORKERS = 64
#: At least one refill of the ListExecutions bucket between two listings (2 to 5 per second).
RELIST_SECONDS, SETTLING_SECONDS = 1.0, 5.0
PATIENCE = 3
#: How old an answer about an execution's state may be when it is stopped.
FRESH = timedelta(seconds=10)
_SOON = frozenset({Reason.TIMEOUT, Reason.THROTTLED, Reason.UNAVAILABLE})


class StopParams(Params):
    """What to stop."""

    state_machines: Selector = Field(description="State machines: names, ARNs, globs or tags.")
    cause: str = Field(default="Stopped by tripswitch", description="Cause that AWS keeps.", max_length=32_768)
    error: str = Field(default="TripswitchStop", description="Error code that AWS keeps.", min_length=1, max_length=256)
    older_than: Duration | None = Field(
        default=None, description="Only executions that had run this long when the step began."
    )
    state_older_than: Duration | None = Field(
        default=None, description="Only executions that had been in their present state this long when the step began."
    )
    limit: int | None = Field(default=None, ge=1, description="Stop at most this many, the oldest, in this step.")
    rerun: bool = Field(default=False, description="Start each stopped execution once more with the same input.")


async def window_of(params: StopParams, ctx: ActionContext) -> Window:
    """Fixed when the step first began, also across restarts."""
    if "began" not in ctx.memory:
        await ctx.remember(began=ctx.now().isoformat())
    began = datetime.fromisoformat(str(ctx.memory["began"]))
    # Who has been in a state for so long has run for so long.
    spans = [span for span in (params.older_than, params.state_older_than) if span is not None]
    until = began - max(spans) if spans else began + SETTLE
    return Window(began=began, until=until, trip=min(began, ctx.trip.started_at))


@dataclass(slots=True)
class Drain:
    """One drain under way."""

    params: StopParams
    ctx: ActionContext
    machines: Sequence[str]
    window: Window
    stopped: int = 0
    #: The drain's own that `limit` leaves running.
    beyond: int = 0
    #: Stopped in the last round: a listing that lags behind shows them again, they count once.
    recent: frozenset[str] = frozenset()
    #: Rounds in a row in which AWS accepted nothing.
    fruitless: int = 0
    #: In a young state: a state that is left is followed by a younger one, so they are never asked about again.
    moved_on: set[str] = field(default_factory=set)
    #: By execution, when it was last seen in an old state.
    stuck_at: dict[str, datetime] = field(default_factory=dict)
    reruns: Reruns = field(init=False)

    def __post_init__(self) -> None:
        self.stopped = _count(self.ctx.memory.get("stopped"))
        self.reruns = Reruns(self.ctx, self.params.error)

    async def run(self) -> Survey:
        """Until two listings in a row hold nothing to stop. Returns the last one."""
        if pending := self.reruns.pending():
            await self._stop_again(pending)
        empty, straggled = 0, False
        while True:
            found = await survey(self.machines, self.window, self.ctx)
            due = await self._within_limit(await self._in_old_states(found.due))
            straggled = straggled or found.stragglers > 0 or found.newer > 0
            empty = 0 if due else empty + 1
            settling = straggled and self.judges_source and self.ctx.now() < self.window.until
            left = found.own if self.params.limit is None and self.params.state_older_than is None else len(due)
            await self.ctx.progress(self.stopped, left, self._eta(left))
            if due:
                await self._stop_all(due)
            elif empty >= 2 and not settling:
                return found
            await self.ctx.sleep(SETTLING_SECONDS if settling and empty >= 2 else RELIST_SECONDS)

    @property
    def judges_source(self) -> bool:
        """Old executions say nothing about the source, nor does a step that is to leave some running."""
        return self.params.older_than is None and self.params.state_older_than is None and not self.beyond

    async def _in_old_states(self, rows: list[Row], since: datetime | None = None) -> list[Row]:
        """Those that entered their present state long enough before the step began; an answer from after `since` (by
        default any) is not asked for again."""
        span = self.params.state_older_than
        if span is None:
            return rows
        for row in rows:
            seen = self.stuck_at.get(row.arn)
            if row.arn in self.moved_on or (seen is not None and (since is None or seen >= since)):
                continue
            entered = await state_entered(row.arn, self.ctx)
            if entered is None or entered > self.window.began - span:
                self.moved_on.add(row.arn)
            else:
                self.stuck_at[row.arn] = self.ctx.now()
        return [row for row in rows if row.arn not in self.moved_on]

    async def _within_limit(self, rows: list[Row]) -> list[Row]:
        """The rows this step may stop: those up to a remembered mark, which moves until `limit` rows lie before it."""
        if self.params.limit is None:
            return rows
        mark, used = self.ctx.memory.get("mark"), _count(self.ctx.memory.get("used"))
        upto = Row(datetime.fromisoformat(str(mark[0])), str(mark[1])) if isinstance(mark, Sequence) else None
        before = [row for row in rows if upto is not None and row <= upto]
        after = rows[len(before) :]
        more = after[: max(0, self.params.limit - used)]
        self.beyond = len(after) - len(more)
        if more:
            await self.ctx.remember(mark=[more[-1].started.isoformat(), more[-1].arn], used=used + len(more))
        return before + more

    async def _stop_all(self, rows: list[Row]) -> None:
        """Stops them; what AWS refuses for now comes back with the next listing.

        Raises the refusal once that happened to everything in several rounds.
        """
        total, refused, accepted = len(rows), list[ActionError](), list[str]()

        async def stop(arn: str) -> None:
            try:
                await self._stop(arn)
            except ActionError as error:
                if error.reason not in _SOON:
                    raise
                refused.append(error)
                return
            accepted.append(arn)
            if len(accepted) % 50 == 0:
                left = total - len(accepted)
                await self.ctx.progress(self.stopped, left, self._eta(left))

        size = BATCH if self.params.rerun or self.params.state_older_than is not None else total
        try:
            for at in range(0, total, size):
                # Those that were asked about while a thousand others were stopped may have gone on since.
                due = await self._in_old_states(rows[at : at + size], self.ctx.now() - FRESH)
                await self._stop_batch([row.arn for row in due], stop, accepted)
        finally:
            self.recent = frozenset(accepted)
            await self.ctx.remember(stopped=self.stopped)
        self.fruitless = 0 if accepted else self.fruitless + 1
        if refused and self.fruitless >= PATIENCE:
            raise refused[0]

    async def _stop_batch(self, arns: list[str], stop: Callable[[str], Awaitable[None]], accepted: list[str]) -> None:
        if not self.params.rerun:
            await each(arns, stop, WORKERS)
            return
        await self.reruns.expect(arns)
        done = len(accepted)
        await each(arns, stop, WORKERS)
        await self.reruns.finish(accepted[done:])

    async def _stop_again(self, arns: Sequence[str]) -> None:
        ended = []
        for arn in arns:
            seen = await self.ctx.aws.call("stepfunctions", "DescribeExecution", executionArn=arn)
            if seen["status"] == "RUNNING":
                if not await self._in_old_states([Row(seen["startDate"], arn)]):
                    continue  # it went on while nobody looked
                await self._stop(arn)
            ended.append(arn)
        await self.reruns.finish(ended)

    async def _stop(self, arn: str) -> None:
        error_code, cause = self.params.error, self.params.cause
        try:
            await self.ctx.aws.mutate("stepfunctions", "StopExecution", executionArn=arn, error=error_code, cause=cause)
        except ActionError as error:
            if error.reason is Reason.NOT_FOUND:
                return  # ended and forgotten meanwhile
            if error.reason is not Reason.DENIED:
                raise
            # Where the machine has its own key, error and cause need rights on that key; without them, none.
            await self.ctx.aws.mutate("stepfunctions", "StopExecution", executionArn=arn)
        self.stopped += arn not in self.recent

    def _eta(self, remaining: int) -> timedelta | None:
        rate = getattr(self.ctx.aws, "rate", None)
        per_second = rate("stepfunctions", "StopExecution") if callable(rate) else None
        return timedelta(seconds=remaining / per_second) if per_second else None


def _count(value: Json) -> int:
    return value if isinstance(value, int) else 0
