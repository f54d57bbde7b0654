"""Why an action may not run now. One small function per reason; the order is written once, in `GATES`.

A gate answers None (permit) or Hold(gate, reason). Gates are asked before a step's change is captured and again
before every attempt of every mutating call, so each must be instant: no I/O here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.core.model import Risk
from monitor.core.ports import Lease


@dataclass(frozen=True, slots=True)
class Hold:
    """Not now. `reason` says what would have to change, in words for people."""

    gate: str
    reason: str


@dataclass(frozen=True, slots=True)
class Situation:
    """All a gate may look at."""

    now: datetime
    risk: Risk
    shadow: bool
    disabled_by: str | None
    interrupted: str | None
    actions_off: str | None
    lease: Lease | None
    needs: timedelta  # how long the next call may take; the lease must outlast it
    store_down: str | None
    maintenance: str | None
    silence: str | None
    storm: str | None
    blast: str | None
    approval: str | None


#: A lease must outlast the call's deadline by this much.
MARGIN = timedelta(seconds=5)


def observe(s: Situation) -> str | None:
    """Nothing unasked: a breaker in observe mode plans and stops there."""
    return "mode is observe: recorded as a plan" if s.shadow else None


def interrupted(s: Situation) -> str | None:
    """A person's command waits (reset, disable, shutdown)."""
    return s.interrupted


def person(s: Situation) -> str | None:
    """Somebody disabled the breaker."""
    return f"disabled by {s.disabled_by}: `breaker enable` goes on" if s.disabled_by is not None else None


def kill_switch(s: Situation) -> str | None:
    """Actions are off, from any configured source. Notices are exempt, undo is not."""
    return s.actions_off if s.risk is not Risk.NOTIFY else None


def owner(s: Situation) -> str | None:
    """Only the owner acts, and only while its lease outlasts the call."""
    if s.lease is None:
        return "this replica does not own the pipeline"
    if s.lease.expires_at - s.now < s.needs + MARGIN:
        return "the lease on the pipeline ends too soon for another call"
    return None


def journal(s: Situation) -> str | None:
    """What can't be written down isn't done."""
    return f"the journal can't be written: {s.store_down}" if s.store_down else None


def maintenance(s: Situation) -> str | None:
    """A maintenance window of the config."""
    return s.maintenance if s.risk is not Risk.NOTIFY else None


def silence(s: Situation) -> str | None:
    """A silence with `--hold-actions`."""
    return s.silence if s.risk is not Risk.NOTIFY else None


def storm(s: Situation) -> str | None:
    """Suspect the observer: no disruptive or destructive action. Never blocks a reversible cut."""
    return s.storm if s.risk in (Risk.DISRUPTIVE, Risk.DESTRUCTIVE) else None


def blast_radius(s: Situation) -> str | None:
    """More targets than `max_targets`. Never withholds a reversible cut."""
    return s.blast if s.risk in (Risk.DISRUPTIVE, Risk.DESTRUCTIVE) else None


def approval(s: Situation) -> str | None:
    """A person's yes is missing."""
    return s.approval


Gate = Callable[[Situation], str | None]

#: The order people read: the first that holds is the one shown.
GATES: tuple[tuple[str, Gate], ...] = (
    ("observe", observe),
    ("interrupted", interrupted),
    ("person", person),
    ("not_owner", owner),
    ("journal", journal),
    ("kill_switch", kill_switch),
    ("maintenance", maintenance),
    ("silence", silence),
    ("storm", storm),
    ("blast_radius", blast_radius),
    ("approval", approval),
)

GATE_NAMES = tuple(name for name, _ in GATES)


def ask(situation: Situation) -> Hold | None:
    """The first gate that holds, or None: permitted."""
    for name, gate in GATES:
        reason = gate(situation)
        if reason is not None:
            return Hold(name, reason)
    return None
