"""Starting stopped executions once more, with the same input, exactly once.

The new name is made of the original's ARN, so a second StartExecution can't start a second run: AWS answers with the
first one, or refuses with ExecutionAlreadyExists. What is between stop and start is remembered (one small batch), so
a crash there loses no rerun.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from monitor.actions.crew import each
from monitor.actions.executions import cant_start_anew, origin_of
from monitor.plugin import ActionContext, ActionError, Json, Reason

#: Executions stopped and started again together; also the bound of what is remembered.
BATCH = 25
_EXAMPLES = 20
#: DescribeExecution may lag behind StopExecution.
_LOOKS, _LOOK_SECONDS = 5, 1.0


def rerun_name(arn: str) -> str:
    """`retry-` and 32 hex digits: valid for AWS (80 characters at most), the same on every attempt."""
    return "retry-" + hashlib.sha256(arn.encode()).hexdigest()[:32]


@dataclass(slots=True)
class Reruns:
    """The reruns of one step. `error` is the code our stops carry: others' stops are not rerun."""

    ctx: ActionContext
    error: str
    started: int = 0
    skipped: int = 0
    names: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def pending(self) -> list[str]:
        """The batch that a crash or a closed gate left: stop these again (some may still run), then `finish` them."""
        pending = self.ctx.memory.get("rerunning")
        return [str(arn) for arn in pending] if isinstance(pending, Sequence) else []

    async def expect(self, arns: Sequence[str]) -> None:
        """Call before stopping `arns`."""
        await self.ctx.remember(rerunning=list(arns))

    async def finish(self, arns: Sequence[str]) -> None:
        """Call after stopping `arns`."""
        await each(arns, self._rerun, workers=5)
        await self.ctx.remember(rerunning=[])

    def data(self) -> dict[str, Json]:
        """Counts and the first few names, for the receipt."""
        return {"reruns": self.started, "rerun_names": self.names, "not_rerun": self.skipped, "why": self.reasons}

    async def _rerun(self, arn: str) -> None:
        seen = await self._describe(arn)
        if why := self._unfit(seen):
            self._skip(arn, why)
            return
        name = rerun_name(arn)
        try:
            await self.ctx.aws.mutate(
                "stepfunctions", "StartExecution", stateMachineArn=origin_of(seen), name=name, input=seen["input"]
            )
        except ActionError as error:
            # The rerun of an earlier attempt has ended already: it was started, which is what counts.
            if "ExecutionAlreadyExists" not in error.detail:
                raise
        self.started += 1
        if len(self.names) < _EXAMPLES:
            self.names.append(name)

    async def _describe(self, arn: str) -> Mapping[str, Any]:
        seen: Mapping[str, Any] = {}
        for look in range(_LOOKS):
            if look:
                await self.ctx.sleep(_LOOK_SECONDS)
            seen = await self.ctx.aws.call("stepfunctions", "DescribeExecution", executionArn=arn)
            if seen["status"] != "RUNNING":
                return seen
        raise ActionError(Reason.UNAVAILABLE, f"{arn} was stopped but still reads RUNNING")

    def _unfit(self, seen: Mapping[str, Any]) -> str:
        if seen["status"] != "ABORTED":
            return f"it ended by itself as {seen['status']}"
        if seen.get("error") not in (None, "", self.error):
            return "someone else stopped it"
        return cant_start_anew(seen)

    def _skip(self, arn: str, why: str) -> None:
        self.skipped += 1
        if len(self.reasons) < _EXAMPLES:
            self.reasons.append(f"{arn.rsplit(':', 1)[-1]}: {why}")
