"""Changes and receipts: what an action is about to do, and what it did. Both are journalled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from monitor.core.model import Json, Reason


@dataclass(frozen=True, slots=True)
class Change:
    """What an action is about to do to one resource; pure data, journalled before the first mutating call.

    With a `property` the change is a value on a resource: the dispatcher captures, claims, compares and restores it
    centrally. Without one it is a process (stop, redrive, notify) that `apply` must be able to resume by itself.
    """

    action: str
    resource: str
    wanted: Json
    summary: str
    params: Mapping[str, Json]
    property: str | None = None
    #: How many things this touches, where known before acting (blast radius).
    scope: int = 1


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an action changed. `prior` is the captured value (None: it was unset), `applied` the one read back."""

    change: Change
    prior: Json = None
    applied: Json = None
    changed: bool = False
    verified: bool = True
    detail: str = ""
    #: Anything undo or a report needs besides (counts, names of reruns), JSON.
    data: Mapping[str, Json] = field(default_factory=dict)


#: First words of resources that one account has once, whatever the region: pipelines of two regions share them.
_EVERYWHERE = frozenset({"budgets", "cloudfront", "iam", "route53", "s3"})


def property_key(account: str, region: str, change: Change) -> str | None:
    """`ACCOUNT/REGION/RESOURCE/PROPERTY`: the property's name in claims and memories; None for processes.

    `global` stands for the region of what belongs to none: a bucket (its name is unique), a role, a distribution.
    """
    if change.property is None:
        return None
    place = "global" if change.resource.partition("/")[0] in _EVERYWHERE else region
    return f"{account}/{place}/{change.resource}/{change.property}"


class Phase(StrEnum):
    """Where a journalled change stands.

    planned -> intended (prior state durable) -> applied | unchanged | drift; applied -> undoing -> undone | drift;
    applied -> abandoned (forced close). A failed attempt stays `intended` and is resumed by reading live.
    """

    PLANNED = "planned"
    INTENDED = "intended"
    APPLIED = "applied"
    UNCHANGED = "unchanged"
    DRIFT = "drift"
    UNDOING = "undoing"
    UNDONE = "undone"
    ABANDONED = "abandoned"


#: The effect may be on AWS: these hold the breaker's state and can be undone.
IN_FORCE = frozenset({Phase.INTENDED, Phase.APPLIED, Phase.UNCHANGED, Phase.UNDOING, Phase.ABANDONED})
#: The step has nothing more to do for these.
SETTLED = frozenset({Phase.APPLIED, Phase.UNCHANGED, Phase.DRIFT})


@dataclass(frozen=True, slots=True)
class Entry:
    """The journal entry of one change. `key` is `PIPELINE/BREAKER/TRIP/ROUND/STEP/NNNN`."""

    key: str
    step: str
    change: Change
    phase: Phase = Phase.PLANNED
    prior: Json = None
    #: What is set on AWS on behalf of all holders of the claim; `change.wanted` unless another one is stricter.
    effective: Json = None
    receipt: Receipt | None = None
    #: During `undoing`: the value being restored.
    restore: Json = None
    claim: str | None = None
    memory: Mapping[str, Json] = field(default_factory=dict)
    detail: str = ""
    reason: Reason | None = None
    at: datetime | None = None
    #: The last attempt may or may not have had its effect: never repeated by itself.
    ambiguous: bool = False
    #: While open: the live value that differs from ours was already reported.
    drift_reported: bool = False
    #: The step's verb; another one than the change's action where the step expanded into several changes.
    verb: str = ""

    @property
    def undoable(self) -> bool:
        """True while there is an effect of ours to take back."""
        return self.phase in IN_FORCE and self.change.property is not None


def resume(entry: Entry, live: Json, claim: Claim | None = None) -> Phase:
    """What an intended change is after a crash or a failed attempt, from the live value (law 5).

    Wanted: the effect is there, only the receipt is missing. Captured, or set by another holder of the claim: apply.
    Neither: someone else changed it.
    """
    if live == entry.effective:
        return Phase.APPLIED if entry.prior != entry.effective else Phase.UNCHANGED
    if live == entry.prior or (claim is not None and claim.is_ours(live)):
        return Phase.INTENDED
    return Phase.DRIFT


def resume_undo(entry: Entry, live: Json, claim: Claim) -> Phase:
    """What an undo does, from the live value: restored already, ours to restore, or left alone as drift.

    Ours is whatever tripswitch set or may have set there, for whichever holder: a crash between an effect and its
    receipt leaves the claim behind the truth. An entry without a receipt may never have been applied: then the captured
    value is still live, and nothing of ours is there to take back.
    """
    if live == entry.restore:
        return Phase.UNDONE
    if claim.is_ours(live):
        return Phase.UNDOING
    return Phase.UNDONE if entry.receipt is None and live == entry.prior else Phase.DRIFT


@dataclass(frozen=True, slots=True)
class Holder:
    """One change that holds a claimed property. `leaving` ones no longer count but are not yet confirmed gone."""

    wanted: Json
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """Who holds which property at which value. `base` was captured once, by the first holder.

    `current` is what tripswitch last set (or is about to set) there, on behalf of all holders.
    """

    base: Json
    holders: Mapping[str, Holder] = field(default_factory=dict)
    current: Json = None

    def wanted(self) -> list[Json]:
        """What the remaining holders want."""
        return [holder.wanted for holder in self.holders.values() if not holder.leaving]

    def is_ours(self, live: Json) -> bool:
        """Whether tripswitch may have set `live`: what it last set, or what any holder (also one leaving) wants."""
        return live == self.current or any(live == holder.wanted for holder in self.holders.values())

    def join(self, key: str, value: Json) -> Claim:
        """With one more holder."""
        return replace(self, holders={**self.holders, key: Holder(value)})

    def leave(self, key: str) -> Claim:
        """With `key` on its way out."""
        if key not in self.holders:
            return self
        return replace(self, holders={**self.holders, key: replace(self.holders[key], leaving=True)})

    def without(self, key: str) -> Claim:
        """Without `key`."""
        return replace(self, holders={k: v for k, v in self.holders.items() if k != key})
