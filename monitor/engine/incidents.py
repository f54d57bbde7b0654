"""The incident desk: opens, writes the timeline, sends notices, resolves. Durable, and never in the way.

A store that fails loses no decision here: incidents tell, they do not steer. What could not be written is tried again
with the next entry. A notice is written down as on its way before it is sent, and again when a channel took it: after a
restart only what no channel took goes out once more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from monitor.core import incident as model
from monitor.core import notice
from monitor.core.breaker import Trip
from monitor.core.course import MOVES, DataGap, heard, short
from monitor.core.incident import Incident
from monitor.core.model import Severity
from monitor.core.ports import Clock, Conflict, Lease, Put, Store, StoreError
from monitor.core.spec import CheckSpec
from monitor.core.view import IncidentView
from monitor.engine.board import Board
from monitor.engine.evidence import evidence
from monitor.engine.feed import Feed

log = structlog.get_logger(__name__)

KIND = "incident"
KEPT = timedelta(days=90)
MEMORY = 200

#: (pipeline, severity, `INCIDENT KIND ...`, title, body); the kind is alert, update or resolved
Post = Callable[[str, Severity, str, str, str], None]


class Incidents:
    """All incidents of this process's pipelines."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        feed: Feed,
        lease_of: Callable[[str], Lease | None],
        post: Post,
        board: Board,
    ) -> None:
        self._store = store
        self._clock = clock
        self._feed = feed
        self._lease_of = lease_of
        self._post = post
        self._board = board
        self._all: dict[str, Incident] = {}
        self._versions: dict[str, int] = {}
        self._unwritten: set[str] = set()
        self._silenced: Callable[[Mapping[str, str]], bool] = lambda labels: False

    def mute_with(self, silenced: Callable[[Mapping[str, str]], bool]) -> None:
        """Ask `silenced(labels)` before every notice."""
        self._silenced = silenced

    async def load(self, pipeline: str) -> None:
        """Take up what an earlier process left; its notices that were still on their way go out again."""
        now = self._clock.now()
        for item in await self._store.scan(KIND, f"{pipeline}/"):
            incident = Incident.from_json(item.body)
            self._all[incident.id] = incident
            self._versions[incident.id] = item.version
            for left in incident.outbound:
                if now - left.at < model.OUTBOUND_FOR and not self.muted(incident):
                    key = f"{incident.id} {left.key}"
                    self._post(incident.pipeline, incident.severity, key, left.title, left.body)

    def forget(self, pipeline: str) -> None:
        """Another replica tells of this pipeline now."""
        for gone in [i.id for i in self._all.values() if i.pipeline == pipeline]:
            del self._all[gone]
            self._versions.pop(gone, None)
            self._unwritten.discard(gone)

    def views(self) -> list[IncidentView]:
        """Open ones first, then the newest."""
        ordered = sorted(self._all.values(), key=lambda i: i.opened_at, reverse=True)
        return [i.to_view() for i in sorted(ordered, key=lambda i: i.resolved_at is not None)]

    def get(self, incident: str) -> Incident | None:
        """One by id."""
        return self._all.get(incident)

    def open_for(self, pipeline: str, *, breaker: str | None = None, check: str | None = None) -> Incident | None:
        """The open incident of a breaker or a check."""
        for found in self._all.values():
            if found.pipeline == pipeline and found.resolved_at is None:
                if breaker is not None and found.breaker == breaker:
                    return found
                if breaker is None and check is not None and found.check == check and found.breaker is None:
                    return found
        return None

    async def tripped(self, trip: Trip, checks: Sequence[str]) -> str:
        """The incident of a trip: the open one of its checks is adopted, else a new one. Its id."""
        now, spec = self._clock.now(), trip.spec
        title = f"{spec.name} {'would trip' if trip.shadow else 'tripped'}: {trip.reason}"
        # One of this breaker's own is left open only by a crash between opening it and tripping; it was told then.
        own = self.open_for(spec.pipeline, breaker=spec.name)
        adopted = own or next(
            (found for check in checks if (found := self.open_for(spec.pipeline, check=check)) is not None), None
        )
        if adopted is not None:
            incident = replace(model.escalate(adopted, spec.severity, now), breaker=spec.name, title=short(title))
            incident = model.append(incident, now, title, "incident.adopted")
        else:
            name = self._new_id(spec.pipeline, spec.name, now)
            incident = model.open_incident(name, spec.pipeline, spec.severity, title, now, breaker=spec.name)
        incident = self._with_evidence(incident, checks, trip.targets)
        note = None
        if adopted is None:
            incident, note = self._announced(incident, "alert", notice.alert(incident, now))
        elif own is None:
            incident, note = self._announced(incident, f"update tripped {trip.id}", notice.update(incident, now, title))
        self._keep(incident)
        await self._write(incident.id)
        self._send(incident, note)
        return incident.id

    def critical(self, spec: CheckSpec, text: str) -> None:
        """A check became critical: open its incident unless one is open for it or for a breaker that watches it."""
        if self.open_for(spec.pipeline, check=spec.name) is not None:
            return
        now = self._clock.now()
        name = self._new_id(spec.pipeline, spec.name, now)
        incident = model.open_incident(
            name, spec.pipeline, spec.severity, f"{spec.name} is critical: {text}", now, check=spec.name
        )
        incident = self._with_evidence(incident, [spec.name], ())
        self.say(incident, "alert", notice.alert(incident, now))

    async def calm(self, spec: CheckSpec) -> None:
        """A check is ok again: resolve its own incident (a breaker's is resolved when the breaker closes)."""
        incident = self.open_for(spec.pipeline, check=spec.name)
        if incident is not None:
            await self.resolve(incident.id, f"{spec.name} is ok again")

    def note(self, incident: str, event: str, text: str, *, loud: bool = False) -> None:
        """One more line of the timeline; `loud` also sends an update, and so does whatever moves the status."""
        found = self._all.get(incident)
        if found is None:
            return
        now = self._clock.now()
        after = model.append(model.move(found, event, now), now, text, event)
        if not loud and after.course.status is found.course.status:
            self._keep(after)
            return
        # What moves the status may come again in the same words: it is news each time.
        key = f"update {event} {now.isoformat() if event in MOVES else hashlib.sha256(text.encode()).hexdigest()[:12]}"
        self.say(after, key, notice.update(after, now, text))

    def noted(self, incident: str, by: str, text: str) -> None:
        """A person's line; `root cause:`, `impact:`, `follow-up:` and `done:` are understood (core.course.heard)."""
        found, now = self._all[incident], self._clock.now()
        after = model.append(found, now, f"{by}: {text}", "note")
        self._keep(replace(after, course=heard(after.course, by, text, now)))

    async def acknowledge(self, incident: str, by: str) -> None:
        """`by` has it from now on; says so."""
        found, now = self._all[incident], self._clock.now()
        after = model.acknowledge(found, by, now)
        if after is found:
            return
        self.say(after, f"update acknowledged {now.isoformat()}", notice.update(after, now, f"{by} has taken command"))
        await self._write(incident)

    def missed(self, incident: str | None, pipeline: str, gap: DataGap) -> None:
        """A source was cut for a while: on record in its incident, or in the one that knows of the unfinished gap."""
        known = [i for i in self._all.values() if i.pipeline == pipeline and _awaits(i, gap)]
        found = known[0] if known else self._all.get(incident or "")
        if found is None:
            return
        after = model.append(found, self._clock.now(), notice.gap_text(gap), "gap.recorded")
        self._keep(replace(after, course=after.course.missed(gap)))

    async def resolve(self, incident: str, text: str) -> None:
        """Ended; says so."""
        found = self._all.get(incident)
        if found is None or found.resolved_at is not None:
            return
        now = self._clock.now()
        resolved = model.resolve(found, now, text)
        resolved, note = self._announced(resolved, "resolved", notice.resolved(resolved, now))
        self._keep(resolved)
        await self._write(incident)
        self._send(resolved, note)

    async def closed(self, pipeline: str, breaker: str) -> None:
        """A closed breaker has no open incident; a crash may have left one."""
        found = self.open_for(pipeline, breaker=breaker)
        if found is not None:
            await self.resolve(found.id, "the breaker is closed")

    # --- notices ------------------------------------------------------------------------------------------------

    def owned(self) -> Iterable[Incident]:
        """The incidents this replica may tell of now."""
        return [incident for incident in self._all.values() if self._lease_of(incident.pipeline) is not None]

    def say(self, incident: Incident, key: str, text: notice.Text) -> bool:
        """Keep the incident, and send the notice unless it is silenced or was told; whether it went out."""
        after, note = self._announced(incident, key, text)
        self._keep(after)
        self._send(after, note)
        return note is not None

    def delivered(self, incident: str, record: model.Notice, *, last: bool) -> None:
        """A channel took a notice, or it was given up there. `last`: no channel is left that may still take it."""
        found = self._all.get(incident)
        if found is not None:
            self._keep(model.notified(found, record, last=last))

    def taken(self, incident: str, key: str) -> frozenset[str]:
        """The channels that took this notice already."""
        found = self._all.get(incident)
        return model.taken_by(found, key) if found is not None else frozenset()

    def _announced(self, incident: Incident, key: str, text: notice.Text) -> tuple[Incident, model.Outbound | None]:
        if model.was_told(incident, key):
            return incident, None
        if self.muted(incident):
            self._feed.say("notice.silenced", level="debug", incident=incident.id, text=text.title)
            return incident, None
        note = model.Outbound(key, self._clock.now(), *text)
        return model.queued(incident, note), note

    def _send(self, incident: Incident, note: model.Outbound | None) -> None:
        if note is not None:
            self._post(incident.pipeline, incident.severity, f"{incident.id} {note.key}", note.title, note.body)

    def muted(self, incident: Incident) -> bool:
        """Whether a silence keeps its notices back."""
        labels = {"pipeline": incident.pipeline, "severity": incident.severity.value}
        if incident.breaker:
            labels["breaker"] = incident.breaker
        if incident.check:
            labels["check"] = incident.check
        return self._silenced(labels)

    def _with_evidence(self, incident: Incident, checks: Sequence[str], targets: Sequence[str]) -> Incident:
        """With what the checks saw: since when, which windows were missed, what it costs."""
        now = self._clock.now()
        seen = evidence(self._board, incident.pipeline, checks, now)
        course = replace(
            incident.course,
            began_at=incident.course.began_at or seen.began_at,
            targets=tuple(targets or seen.targets)[: model.MOST_TARGETS],
            costs=seen.costs or incident.course.costs,
        )
        fresh = [gap for gap in seen.gaps if gap not in course.gaps]
        for gap in fresh:
            course = course.missed(gap)
        after = replace(incident, course=course)
        for gap in fresh[:1]:
            more = f" (and {len(fresh) - 1} more windows)" if len(fresh) > 1 else ""
            after = model.append(after, now, notice.gap_text(gap) + more, "gap.recorded")
        return after

    # --- the store ----------------------------------------------------------------------------------------------

    async def flush(self) -> None:
        """Write what is not written yet."""
        for incident in list(self._unwritten):
            await self._write(incident)

    def _new_id(self, pipeline: str, name: str, now: datetime) -> str:
        found, count = model.incident_id(pipeline, name, now), 1
        while found in self._all:
            count += 1
            found = model.incident_id(pipeline, name, now, str(count))
        return found

    def _keep(self, incident: Incident) -> None:
        self._all[incident.id] = incident
        self._unwritten.add(incident.id)
        resolved = [i for i in self._all.values() if i.resolved_at is not None]
        for old in sorted(resolved, key=lambda i: i.opened_at)[: max(0, len(resolved) - MEMORY)]:
            self._all.pop(old.id, None)
            self._versions.pop(old.id, None)

    async def _write(self, incident: str) -> None:
        found = self._all.get(incident)
        if found is None:
            self._unwritten.discard(incident)
            return
        expires = self._clock.now() + KEPT if found.resolved_at is not None else None
        lease = self._lease_of(found.pipeline)
        if lease is None:
            return  # not ours to write just now; the next flush tries again
        put = Put(KIND, f"{found.pipeline}/{found.id}", found.to_json(), self._versions.get(incident, 0), expires)
        try:
            items = await self._store.commit([put], lease)
        except Conflict:
            await self._learn_version(found)
            return
        except StoreError as error:
            log.warning("incident.unwritten", incident=incident, detail=str(error))
            return
        if items[0] is not None:
            self._versions[incident] = items[0].version
        if self._all.get(incident) is found:
            self._unwritten.discard(incident)

    async def _learn_version(self, incident: Incident) -> None:
        """A write whose answer was lost: what is stored is our own, one version later."""
        try:
            item = await self._store.get(KIND, f"{incident.pipeline}/{incident.id}")
        except StoreError:
            return
        self._versions[incident.id] = item.version if item is not None else 0


def _awaits(incident: Incident, gap: DataGap) -> bool:
    """Whether it knows of this gap, not yet ended."""
    return any((g.resource, g.start, g.end) == (gap.resource, gap.start, None) for g in incident.course.gaps)
