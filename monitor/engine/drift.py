"""While open: does AWS still say what tripswitch set? A difference is told once, and put right only on request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from monitor.core import schedule
from monitor.core.change import Entry, Phase
from monitor.core.model import Json, Risk
from monitor.core.spec import AwsSpec
from monitor.engine.acting import Acting, Watch
from monitor.engine.changes import Changes, Place
from monitor.engine.journal import Ledger
from monitor.engine.permits import Permits
from monitor.engine.services import Services
from monitor.plugin import ActionError, Held, ProbeError

#: Seconds between looks.
EVERY = 30.0


class DriftWatch:
    """Looks at the confirmed properties of one breaker."""

    def __init__(
        self, services: Services, ledger: Ledger, permits: Permits, report: Callable[[str, str], None]
    ) -> None:
        self._services = services
        self._ledger = ledger
        self._permits = permits
        self._report = report
        # Each breaker at its own moment: breakers that opened together must not look together.
        self._last = services.clock.tick() - schedule.phase(ledger.record.key, EVERY)

    async def look(self) -> float:
        """Look if it is time; seconds until the next look."""
        left = EVERY - (self._services.clock.tick() - self._last)
        if left > 0.001:  # less than that may vanish in the sum of a clock of floats, and never be over
            return left
        self._last = self._services.clock.tick()
        for entry in list(self._ledger.entries.values()):
            if self._permits.interrupted() is not None:
                break
            if entry.phase in (Phase.APPLIED, Phase.UNCHANGED) and entry.claim is not None:
                await self._compare(entry)
        return EVERY

    async def _compare(self, entry: Entry) -> None:
        pipeline = self._services.pipelines(self._ledger.record.pipeline)
        trip = self._ledger.record.trip
        spec = pipeline.aws if pipeline is not None else trip.aws if trip is not None else AwsSpec()
        guard = self._permits.guard(Risk.REVERSIBLE)
        aws = self._services.cloud.writes(spec, guard)
        ctx = Acting(self._services, self._ledger, entry, aws, Watch(self._permits.interrupted, {}, guard))
        try:
            account, region = await self._services.cloud.identity(spec)
            changes = Changes(self._services, self._ledger, Place(account, region))
            if not Place(account, region).holds(entry):
                return  # the pipeline moved to another account: nothing there is ours
            # Under the claim's lock: another worker may be putting the value back at this very moment.
            async with self._services.claims[entry.claim or ""]:
                await self._look_at(entry, changes, ctx)
        except (ProbeError, ActionError, Held):
            return  # no news is no drift; the next look comes

    async def _look_at(self, entry: Entry, changes: Changes, ctx: Acting) -> None:
        live = await changes.live(entry, ctx)
        held = await self._services.journal.claim(entry.claim or "")
        if held.claim is None or held.claim.is_ours(live):
            if entry.drift_reported:
                await self._services.journal.save(self._ledger, entries=[replace(entry, drift_reported=False)])
            return
        await self._tell(entry, live, held.claim.current)
        if self._enforced(entry):
            action = self._services.registry.actions[entry.change.action]
            await action.apply(replace(entry.change, wanted=held.claim.current), ctx)
            self._report("action.enforced", f"{entry.change.summary}: set again, the step says enforce")

    async def _tell(self, entry: Entry, live: Json, ours: Json) -> None:
        if entry.drift_reported:
            return
        change = entry.change
        text = f"{change.resource} {change.property} is {live!r}, tripswitch had set {ours!r}: somebody changed it"
        await self._services.journal.save(self._ledger, entries=[replace(entry, drift_reported=True)])
        self._report("action.drifted", text)

    def _enforced(self, entry: Entry) -> bool:
        trip = self._ledger.record.trip
        return trip is not None and any(s.id == entry.step and s.enforce for s in trip.spec.on_trip)
