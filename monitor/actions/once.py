"""Doing a list of things one after the other, each at most once, across crashes, closed gates and unclear answers.

The things have keys in ascending order. Before a thing is done its key is remembered as in flight, after it as the last
one done, both durably: a kill in between leaves exactly one key whose outcome is unclear. An unclear one is not
repeated (unless repeating is harmless) but named in the receipt, for a person to look at.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from monitor.plugin import ActionContext, ActionError, Held, Json

#: Unclear keys kept by name.
_NAMED = 50


class Once:
    """One list under way. `repeatable`: doing a thing twice has the effect of doing it once."""

    def __init__(self, ctx: ActionContext, *, repeatable: bool) -> None:
        self._ctx = ctx
        self._repeatable = repeatable
        memory = ctx.memory
        self.after, done = memory.get("after"), memory.get("done")
        self.done = done if isinstance(done, int) else 0
        named = memory.get("unclear")
        self.unclear = [str(key) for key in named] if isinstance(named, Sequence) and not isinstance(named, str) else []
        left = memory.get("in_flight")
        if left is not None and not repeatable:  # a former attempt died over it
            self._doubt(str(left))

    def is_due(self, key: str) -> bool:
        """False for what is done, or unclear."""
        return self.after is None or key > str(self.after)

    async def do(self, key: str, work: Callable[[], Awaitable[object]]) -> None:
        """Do it and remember it. Raises Held and ActionError as the work does, but not for an unclear outcome."""
        await self._note(in_flight=key)
        try:
            await work()
        except Held:
            await self._note(in_flight=None)
            raise
        except ActionError as error:
            if error.ambiguous and not self._repeatable:
                self._doubt(key)
                await self._note(in_flight=None)
                return
            await self._note(in_flight=None)
            raise
        self.done, self.after = self.done + 1, key
        await self._note(in_flight=None)

    def told(self, noun: str) -> str:
        """In words: `5 windows`, and what is unclear."""
        text = f"{self.done} {noun}{'' if self.done == 1 else 's'}"
        if self.unclear:
            text += f"; {len(self.unclear)} may or may not have been started and were not repeated"
        return text

    def _doubt(self, key: str) -> None:
        self.unclear, self.after = [*self.unclear, key][-_NAMED:], key

    async def _note(self, *, in_flight: str | None) -> None:
        unclear: list[Json] = list(self.unclear)
        await self._ctx.remember(in_flight=in_flight, after=self.after, done=self.done, unclear=unclear)
