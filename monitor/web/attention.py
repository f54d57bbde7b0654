"""What a person should look at first: what waits for somebody, each pipeline in one line, what is held at which value.

Pure, from the surface's values. Every line says what is so, why, and what to do about it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from monitor.core.model import Json, Level, Reason, Row, State
from monitor.core.view import BreakerView, CheckView, IncidentView, StatusView, StepView
from monitor.web.words import plural, span, words

ADVICE: Mapping[str, str] = {
    "observe": "Nothing was changed. Do it by hand if it is right, or set mode: approve or auto for the next time.",
    "approval": "Read what it would do, then approve it; without an answer it goes on waiting.",
    "person": "Enable the breaker to let it go on.",
    "interrupted": "It goes on by itself once the command or the shutdown is through.",
    "not_owner": "The replica that holds the lease acts; look at that one.",
    "journal": "Make room for the store or repair it: nothing is done that can't be written down.",
    "kill_switch": "Switch actions on again when it is safe; it then goes on where it was.",
    "maintenance": "It goes on when the window ends, or change the window in the configuration.",
    "silence": "End the silence to let it go on.",
    "storm": "If the breaches are real, lift the storm brake; else look at the daemon's own credentials and network.",
    "retried": "It is tried again, slowly. Remove the cause, or do the step by hand.",
    "ambiguous": "Look whether it was done, then reset the breaker.",
    "blast_radius": "More targets than max_targets: look at the list, then approve to go on.",
}

CURES: Mapping[Reason, str] = {
    Reason.DENIED: "If the daemon's role lacks it: `tripswitch iam-policy` prints all that it needs.",
    Reason.THROTTLED: "Reads are slowed down by themselves; a longer interval or a higher quota helps.",
    Reason.TIMEOUT: "Raise the check's timeout, or look at what hangs.",
    Reason.NOT_FOUND: "Name a resource that exists; `tripswitch validate --online` finds such names.",
    Reason.UNAVAILABLE: "It is read again at the next interval; look at the service's and the network's health.",
    Reason.INVALID: "Correct the check's parameters; its detail says which.",
    Reason.BUG: "The log has the traceback; report it.",
}

_ENDED = ("done", "would", "skipped")
_BUSY = ("held", "failed", "retrying", "running", "waiting", "pending")


@dataclass(frozen=True, slots=True)
class Todo:
    """One thing that waits for a person. `anchor` is the id of what it is about, on the pipeline's page."""

    level: Level
    pipeline: str
    about: str
    what: str
    do: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Switch:
    """A breaker, small."""

    name: str
    state: State
    label: str
    observes: bool
    anchor: str


@dataclass(frozen=True, slots=True)
class PipelinePanel:
    """A pipeline in one line: `headline` is the worst thing about it."""

    name: str
    level: Level
    headline: str
    owned: bool
    counts: tuple[tuple[Level, int], ...]
    switches: tuple[Switch, ...]
    tripped: int
    waits: bool


@dataclass(frozen=True, slots=True)
class Holding:
    """A value that breakers put on a resource and have not taken back."""

    resource: str
    summary: str
    prior: Json
    phase: str
    holders: tuple[str, ...]
    since: datetime | None


def anchor_of(breaker: BreakerView) -> str:
    """The id of its card."""
    return f"b-{breaker.pipeline}-{breaker.name}"


def todos(
    breakers: Sequence[BreakerView],
    incidents: Sequence[IncidentView],
    checks: Sequence[CheckView],
    rows: Iterable[Row],
    now: datetime,
) -> tuple[Todo, ...]:
    """Worst first, of one severity in the order given."""
    found = [todo for breaker in breakers for todo in _of_breaker(breaker)]
    found += [_nobody_has(one, now) for one in incidents if one.resolved_at is None and one.commander is None]
    blind: dict[str, list[CheckView]] = defaultdict(list)
    for check in checks:
        if check.level is Level.UNKNOWN and check.last_run is not None and check.tells_unknown:
            blind[check.pipeline].append(check)
    whys = {(r.pipeline, r.check): r.detail for r in rows if r.level is Level.UNKNOWN and r.detail} if blind else {}
    found += [_blind(sorted(own, key=lambda c: c.reason is None), whys) for own in blind.values()]
    return tuple(sorted(found, key=lambda todo: -todo.level.rank))


def _of_breaker(b: BreakerView) -> Iterator[Todo]:
    def todo(level: Level, what: str, do: str) -> Todo:
        return Todo(level, b.pipeline, b.name, what, do, anchor_of(b))

    if b.observes:
        if b.state is not State.CLOSED and not b.disabled:
            yield todo(Level.WARNING, "would have acted; it observes only", ADVICE["observe"])
        return
    if b.approval is not None:
        steps = [s.summary for s in b.steps if s.phase == "held" and s.gate in ("approval", "blast_radius")]
        yield todo(Level.CRITICAL, f"waits for your approval: {'; '.join(steps) or 'its plan'}", ADVICE["approval"])
    for step in b.steps:
        if step.phase == "held" and step.gate and not (b.approval and step.gate in ("approval", "blast_radius")):
            why = f"{step.summary} is held, {words(step.gate)}{': ' + step.detail if step.detail else ''}"
            yield todo(Level.CRITICAL, why, ADVICE.get(step.gate, "It goes on once the reason is gone."))
        elif step.phase == "failed":
            why = f"{step.summary} failed{': ' + step.detail if step.detail else ''}"
            # Without a time to try again, nobody does: the call may have had its effect.
            again = step.until is not None
            yield todo(Level.CRITICAL, why, ADVICE["retried" if again else "ambiguous"])
        drifted = [c.resource for c in step.changes if c.phase == "drift"]
        if drifted:
            yield todo(
                Level.WARNING, f"somebody else changed {', '.join(drifted[:3])}, so it was left alone",
                "Compare it with the value it had before, which its step shows, and set what is right.",
            )  # fmt: skip
    if b.orphaned:
        yield todo(Level.WARNING, "is no longer configured and not closed", "Reset it, or put it back into the file.")
    elif b.disabled and b.state is not State.CLOSED:
        yield todo(Level.WARNING, f"is {words(b.state)} and disabled", ADVICE["person"])
    elif b.state is State.OPEN and b.latched:
        yield todo(Level.CRITICAL, "is latched: it tripped as often as allowed", "Find the cause, then reset it.")
    elif b.state is State.OPEN and b.recovery == "manual" and b.phase != "recover":
        yield todo(Level.WARNING, "is open until a person resets it", "When the cause is gone: reset it.")


def _nobody_has(incident: IncidentView, now: datetime) -> Todo:
    clock = ""
    if incident.respond_by is not None:
        left = (incident.respond_by - now).total_seconds()
        clock = f", answer {'due in ' + span(left) if left > 0 else 'overdue by ' + span(-left)}"
    return Todo(
        Level.CRITICAL if incident.severity <= "SEV2" else Level.WARNING,
        incident.pipeline,
        incident.id,
        f"nobody has it ({incident.severity}{clock}): {short(incident.title)}",
        "Acknowledge it, so that others know.",
        f"incident-{incident.id}",
    )


def _blind(checks: Sequence[CheckView], whys: Mapping[tuple[str, str], str]) -> Todo:
    """All blind checks of a pipeline in one line: they often have one cause, and none of them trips anything."""
    first = checks[0]
    why = first.detail or whys.get((first.pipeline, first.name), "") or "no reading"
    what = f"can't see{': ' + words(first.reason) if first.reason else ''}: {short(why)}"
    more = (
        f" (and {', '.join(c.name for c in checks[1:4])}{' …' if len(checks) > 4 else ''})" if len(checks) > 1 else ""
    )
    return Todo(
        Level.UNKNOWN, first.pipeline, first.name, what + more,
        CURES[first.reason] if first.reason else "Unknown trips nothing. Once there is a reading it is judged again.",
        f"c-{first.pipeline}-{first.name}",
    )  # fmt: skip


def short(text: str, most: int = 160) -> str:
    """The beginning, for a line among others."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def pipeline_panels(
    status: StatusView, checks: Sequence[CheckView], breakers: Sequence[BreakerView]
) -> tuple[PipelinePanel, ...]:
    """One per pipeline, in trouble first, then by name."""
    own_checks: dict[str, list[CheckView]] = defaultdict(list)
    own_breakers: dict[str, list[BreakerView]] = defaultdict(list)
    for check in checks:
        own_checks[check.pipeline].append(check)
    for breaker in breakers:
        own_breakers[breaker.pipeline].append(breaker)
    names = dict.fromkeys([*status.pipelines, *sorted(own_breakers)])  # an orphan's pipeline may be gone
    panels = [_panel(name, status, own_checks[name], own_breakers[name]) for name in names]
    return tuple(sorted(panels, key=lambda p: (-p.level.rank, not p.tripped, p.name)))


def _panel(name: str, status: StatusView, checks: list[CheckView], breakers: list[BreakerView]) -> PipelinePanel:
    active = [b for b in breakers if b.state is not State.CLOSED and not b.observes]
    shadows = [b for b in breakers if b.state is not State.CLOSED and b.observes]
    worst = max((c.level for c in checks), key=lambda level: level.rank, default=Level.UNKNOWN)
    return PipelinePanel(
        name=name,
        level=Level.CRITICAL if active else worst,
        headline=_headline(active, shadows, checks, status.now),
        owned=status.leases.get(name, False),
        counts=tuple((level, n) for level in _WORST if (n := sum(c.level is level for c in checks))),
        switches=tuple(_switch(b) for b in sorted(breakers, key=lambda b: b.name)),
        tripped=len(active),
        waits=any(b.approval is not None for b in breakers),
    )


_WORST = (Level.CRITICAL, Level.UNKNOWN, Level.WARNING, Level.OK)


def _switch(b: BreakerView) -> Switch:
    more = [
        words(b.state),
        *(["observes only"] if b.observes else []),
        *(["disabled"] if b.disabled else []),
    ]
    return Switch(b.name, b.state, f"{b.name}: {', '.join(more)}", b.observes, anchor_of(b))


def _headline(
    active: Sequence[BreakerView], shadows: Sequence[BreakerView], checks: Sequence[CheckView], now: datetime
) -> str:
    if active:
        first = active[0]
        lasts = f" for {span((now - first.since).total_seconds())}" if first.since else ""
        step = busy_step(first)
        doing = f": {step.summary or step.verb} ({words(step.phase)})" if step is not None else ""
        more = f", and {len(active) - 1} more" if len(active) > 1 else ""
        return f"{first.name} {words(first.state)}{lasts}{doing}{more}"
    for level in _WORST[:-1]:
        bad = [c for c in checks if c.level is level]
        if bad:
            more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
            would = f"; {shadows[0].name} would act" if shadows else ""
            return f"{bad[0].name}{more} {level.value}{would}"
    if shadows:
        return f"{shadows[0].name} would act; it observes only"
    return f"{plural(len(checks), 'check')} ok" if checks else "No checks"


def busy_step(breaker: BreakerView) -> StepView | None:
    """The step that tells most of where a playbook stands."""
    left = [step for step in breaker.steps if step.phase not in _ENDED]
    return min(left, key=lambda step: _BUSY.index(step.phase) if step.phase in _BUSY else 9, default=None)


def holdings(breakers: Iterable[BreakerView]) -> tuple[Holding, ...]:
    """Everything that is not as it was, once per resource and change, with all who hold it."""
    found: dict[tuple[str, str], Holding] = {}
    for b in breakers:
        if b.observes:
            continue
        for change in (change for step in b.steps for change in step.changes):
            if change.phase not in ("applied", "intended", "drift") or change.applied is None:
                continue
            key, name = (change.resource, change.summary), f"{b.pipeline}/{b.name}"
            before = found.get(key)
            holders = (*(before.holders if before else ()), name)
            found[key] = Holding(
                change.resource, change.summary, change.prior, change.phase, tuple(dict.fromkeys(holders)), b.since
            )
    return tuple(found.values())
