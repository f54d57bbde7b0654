"""One change, from intent to receipt and back; the laws of the journal live here.

Before the first mutating call the captured prior state and the intent (and, for a property, the place in its claim)
are durable; after it, the receipt. A change found `intended` is never captured again: what is live decides (law 5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from monitor.core import change as journal
from monitor.core.change import Change, Claim, Entry, Phase, Receipt
from monitor.core.model import Json, Reason
from monitor.core.ports import Conflict
from monitor.engine.acting import Acting
from monitor.engine.journal import Ledger
from monitor.engine.services import Services
from monitor.plugin import Action, ActionError, Params

CHANGED_NOTHING = "changed nothing, so nothing was restored"
#: How often a claim that another replica changed in between is read again.
CLAIM_TRIES = 8


@dataclass(frozen=True, slots=True)
class Place:
    """Where a change happens; part of its claim's key."""

    account: str
    region: str

    def claim_key(self, change: Change) -> str | None:
        """`ACCOUNT/REGION/RESOURCE/PROPERTY`; None for processes."""
        return journal.property_key(self.account, self.region, change)

    def holds(self, entry: Entry) -> bool:
        """Whether the entry's claim is of this place; earlier versions named a region in every one."""
        change = entry.change
        regional = f"{self.account}/{self.region}/{change.resource}/{change.property}"
        return entry.claim in (None, self.claim_key(change), regional)


class Changes:
    """Applies and undoes journal entries of one ledger."""

    def __init__(self, services: Services, ledger: Ledger, place: Place) -> None:
        self._services = services
        self._journal = services.journal
        self._ledger = ledger
        self._place = place

    async def apply(self, entry: Entry, ctx: Acting) -> Entry:
        """Bring the entry into force. Raises ActionError, ProbeError, Held, StoreError; safe to call again."""
        action = self._services.registry.actions[entry.change.action]
        key = self._place.claim_key(entry.change)
        if key is None:
            return await self._process(entry, action, ctx)
        self._require_place(entry)
        async with self._services.claims[key]:
            return await self._property(entry, action, ctx)

    async def undo(self, entry: Entry, ctx: Acting) -> Entry:
        """Take the entry's effect back, exactly, or report drift. Raises as `apply`; safe to call again."""
        action = self._services.registry.actions[entry.change.action]
        if entry.claim is None:
            return entry
        self._require_place(entry)
        async with self._services.claims[entry.claim]:
            return await self._restore(entry, action, ctx)

    async def let_go(self, entry: Entry) -> bool:
        """Step out of the claim without touching anything, if the entry changed nothing; False: it is in force.

        What changed nothing when it came may hold the value now: a stricter holder has gone since.
        """
        assert entry.claim is not None
        action = self._services.registry.actions[entry.change.action]
        async with self._services.claims[entry.claim]:
            held = await self._journal.claim(entry.claim)
            if held.claim is not None:
                rest = held.claim.without(entry.key)
                if held.claim.current != (_strictest(action, rest) if rest.wanted() else rest.base):
                    return False
            await self._left(
                replace(
                    entry,
                    phase=Phase.UNDONE,
                    restore=held.claim.current if held.claim else None,
                    detail=CHANGED_NOTHING,
                ),
                entry.claim,
            )
            return True

    async def live(self, entry: Entry, ctx: Acting) -> Json:
        """The property's present value."""
        return await self._services.registry.actions[entry.change.action].capture(entry.change, ctx)

    async def _process(self, entry: Entry, action: Action[Params], ctx: Acting) -> Entry:
        if entry.phase is Phase.PLANNED:
            prior = await action.capture(entry.change, ctx)
            entry = await self._save(replace(entry, phase=Phase.INTENDED, prior=prior, at=ctx.now()))
        receipt = await action.apply(entry.change, ctx)
        return await self._applied(ctx.entry, receipt)

    async def _property(self, entry: Entry, action: Action[Params], ctx: Acting) -> Entry:
        if entry.phase is Phase.PLANNED:
            prior = await action.capture(entry.change, ctx)
            entry = await self._resolved(entry, action, prior, ctx)
            entry = await self._intend(entry, action, prior, ctx)
            phase = Phase.UNCHANGED if prior == entry.effective else Phase.INTENDED
        else:
            live = await action.capture(entry.change, ctx)
            entry, claim = await self._again(entry, action)
            phase = journal.resume(entry, live, claim)
        if phase is Phase.DRIFT:
            assert entry.claim is not None
            return await self._left(replace(entry, phase=phase, detail=_drift("set", entry, live)), entry.claim)
        if phase is not Phase.INTENDED:
            changed = phase is Phase.APPLIED
            detail = "found in force" if changed else "was so already"
            receipt = Receipt(entry.change, entry.prior, entry.effective, changed=changed, detail=detail)
            return await self._applied(entry, receipt)
        receipt = await action.apply(replace(entry.change, wanted=entry.effective), ctx)
        return await self._applied(ctx.entry, receipt)

    async def _resolved(self, entry: Entry, action: Action[Params], prior: Json, ctx: Acting) -> Entry:
        """The wanted value, where only AWS knows it; from the base, or two holders of "the one before" go back two."""
        if action.resolve is None:
            return entry
        held = await self._journal.claim(self._place.claim_key(entry.change) or "")
        base = held.claim.base if held.claim is not None else prior
        return replace(entry, change=replace(entry.change, wanted=await action.resolve(entry.change, base, ctx)))

    async def _intend(self, entry: Entry, action: Action[Params], prior: Json, ctx: Acting) -> Entry:
        """Write the intent and join the claim, in one transaction."""
        key = self._place.claim_key(entry.change)
        assert key is not None
        for _ in range(CLAIM_TRIES):
            held = await self._journal.claim(key)
            claim = (held.claim or Claim(base=prior)).join(entry.key, entry.change.wanted)
            effective = _strictest(action, claim)
            claim = replace(claim, current=effective)
            intended = replace(
                entry, phase=Phase.INTENDED, prior=prior, effective=effective, claim=key, at=ctx.now(), reason=None
            )
            try:
                await self._journal.save(self._ledger, entries=[intended], claim=(held, claim))
            except Conflict:
                continue
            return intended
        raise ActionError(Reason.UNAVAILABLE, f"the claim on {key} keeps changing")

    async def _again(self, entry: Entry, action: Action[Params]) -> tuple[Entry, Claim | None]:
        """What is to be set now: a stricter holder may have come or gone since the intent was written."""
        assert entry.claim is not None
        for _ in range(CLAIM_TRIES):
            held = await self._journal.claim(entry.claim)
            if held.claim is None or entry.key not in held.claim.holders:
                return entry, held.claim
            effective = _strictest(action, held.claim)
            if effective == entry.effective:
                return entry, held.claim
            changed = replace(entry, effective=effective)
            claim = replace(held.claim, current=effective)
            try:
                await self._journal.save(self._ledger, entries=[changed], claim=(held, claim))
            except Conflict:
                continue
            return changed, held.claim
        raise ActionError(Reason.UNAVAILABLE, f"the claim on {entry.claim} keeps changing")

    def _require_place(self, entry: Entry) -> None:
        """A receipt of one account says nothing about another one. Raises ActionError(invalid)."""
        if entry.claim is not None and not self._place.holds(entry):
            where = "/".join(entry.claim.split("/", 2)[:2])
            raise ActionError(
                Reason.INVALID,
                f"{entry.change.resource} was changed in {where}, the pipeline is now in"
                f" {self._place.account}/{self._place.region}: restore its `aws` section, or reset --force",
            )

    async def _applied(self, entry: Entry, receipt: Receipt) -> Entry:
        receipt = replace(receipt, prior=entry.prior)
        phase = Phase.APPLIED if receipt.changed else Phase.UNCHANGED
        return await self._save(replace(entry, phase=phase, receipt=receipt, detail=receipt.detail, reason=None))

    async def _restore(self, entry: Entry, action: Action[Params], ctx: Acting) -> Entry:
        claim, entry = await self._leave(entry, action)
        live = await action.capture(entry.change, ctx)
        phase = journal.resume_undo(entry, live, claim)
        if phase is Phase.UNDOING:
            if action.undo is None:
                raise ActionError(Reason.INVALID, f"{action.name} cannot be undone")
            ours = entry.receipt or Receipt(entry.change, entry.prior, entry.effective, changed=True)
            await action.undo(replace(ours, prior=entry.restore, applied=live), ctx)
            phase = Phase.UNDONE
        detail = _drift("restored", entry, live) if phase is Phase.DRIFT else _restored(entry, claim)
        assert entry.claim is not None
        return await self._left(replace(ctx.entry, phase=phase, detail=detail, reason=None), entry.claim)

    async def _leave(self, entry: Entry, action: Action[Params]) -> tuple[Claim, Entry]:
        """Write what will be restored, and step out of the claim, in one transaction."""
        assert entry.claim is not None
        for _ in range(CLAIM_TRIES):
            held = await self._journal.claim(entry.claim)
            claim = (held.claim or Claim(base=entry.prior, current=entry.effective)).leave(entry.key)
            restore = _strictest(action, claim) if claim.wanted() else claim.base
            leaving = replace(entry, phase=Phase.UNDOING, restore=restore)
            try:
                await self._journal.save(self._ledger, entries=[leaving], claim=(held, claim))
            except Conflict:
                continue
            return claim, leaving
        raise ActionError(Reason.UNAVAILABLE, f"the claim on {entry.claim} keeps changing")

    async def _left(self, entry: Entry, key: str) -> Entry:
        """Write that the entry no longer holds the claim; the last holder takes the claim with it."""
        for _ in range(CLAIM_TRIES):
            held = await self._journal.claim(key)
            claim = held.claim.without(entry.key) if held.claim else None
            if claim is not None and entry.phase is Phase.UNDONE:
                claim = replace(claim, current=entry.restore)
            try:
                kept = claim if claim is not None and claim.holders else None
                await self._journal.save(self._ledger, entries=[entry], claim=(held, kept))
            except Conflict:
                continue
            return entry
        raise ActionError(Reason.UNAVAILABLE, f"the claim on {key} keeps changing")

    async def _save(self, entry: Entry) -> Entry:
        await self._journal.save(self._ledger, entries=[entry])
        return entry


def _strictest(action: Action[Params], claim: Claim) -> Json:
    """What all remaining holders can live with; without an order among values, the newest holder's."""
    wanted = claim.wanted()
    if len(wanted) > 1 and action.restrictive is not None:
        return action.restrictive(wanted)
    return wanted[-1]


def _drift(verb: str, entry: Entry, live: Json) -> str:
    before = entry.restore if verb == "restored" else entry.prior
    was, ours, now = ("unset" if value is None else value for value in (before, entry.effective, live))
    return (
        f"drift: {entry.change.resource} {entry.change.property} is {now}, neither what it was ({was}) nor what "
        f"tripswitch set ({ours}); "
        f"somebody changed it, so it is left as it is (not {verb})"
    )


def _restored(entry: Entry, claim: Claim) -> str:
    value = "unset" if entry.restore is None else entry.restore
    return f"{entry.change.property} is {value} " + ("now, as others hold it" if claim.wanted() else "again")
