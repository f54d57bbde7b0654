"""What an action acts through: its own unshared reads, and mutating calls that pass the guard before each attempt."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from monitor.aws.calls import CallFailed, Guard, Mutation
from monitor.aws.clients import Principal
from monitor.aws.pacing import Pacer
from monitor.aws.quotas import sdk_service
from monitor.aws.reader import AwsReads, Room


class AwsWrites(AwsReads):
    """Reads and gated writes in one account and region."""

    def __init__(self, room: Room, principal: Principal, region: str, pacer: Pacer, guard: Guard) -> None:
        super().__init__(room, principal, region)
        self._pacer = pacer
        self._guard = guard

    async def mutate(
        self, aws_service: str, operation: str, *, idempotent: bool = True, **params: Any
    ) -> Mapping[str, Any]:
        """One mutating call. Raises ActionError, and whatever the guard raises (Held) untouched."""
        service, name = self._named(aws_service, operation)
        self._learn_account()
        self._forget(service)
        try:
            return await self._room.caller.call(
                self._place(None), service, name, params, Mutation(self._guard, idempotent)
            )
        except CallFailed as error:
            raise error.failure.as_action_error(idempotent=idempotent) from error
        finally:
            self._forget(service)

    def rate(self, aws_service: str, operation: str) -> float:
        """Calls per second that mutations of this operation can keep up, as believed now; for an ETA."""
        bucket = self._pacer.bucket(self._principal.key, self._region, sdk_service(aws_service), operation)
        return bucket.rate

    async def _shared(
        self, service: str, operation: str, params: Mapping[str, Any], region: str | None, *, keep: bool
    ) -> Any:
        # An action reads back what it changed: a reply asked for before the change would be a lie.
        try:
            return await self._room.caller.call(self._place(region), service, operation, params, acting=True)
        except CallFailed as error:
            raise error.failure.as_probe_error() from error

    def _forget(self, service: str) -> None:
        """Checks must not be told the state from before the change either."""

        def outdated(key: Hashable) -> bool:
            return isinstance(key, tuple) and key[0] == service

        self._room.flights.forget(outdated)
