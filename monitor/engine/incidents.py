"""The incident desk: opens, writes the timeline, sends notices, resolves. Durable, and never in the way.

A store that fails loses no decision here: incidents tell, they do not steer. What could not be written is tried again
with the next entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from monitor.core import incident as model
from monitor.core.breaker import Trip
from monitor.core.incident import Incident
from monitor.core.model import Severity
from monitor.core.ports import Clock, Conflict, Lease, Put, Store, StoreError
from monitor.core.spec import CheckSpec
from monitor.core.view import IncidentView
from monitor.engine.feed import Feed

log = structlog.get_logger(__name__)

KIND = "incident"
KEPT = timedelta(days=90)
MEMORY = 200

#: (pipeline, severity, dedup key, title, body)
Post = Callable[[str, Severity, str, str, str], None]


class Incidents:
    """All incidents of this process's pipelines."""

    def __init__(
        self, store: Store, clock: Clock, feed: Feed, lease_of: Callable[[str], Lease | None], post: Post
    ) -> None:
        self._store = store
        self._clock = clock
        self._feed = feed
        self._lease_of = lease_of
        self._post = post
        self._all: dict[str, Incident] = {}
        self._versions: dict[str, int] = {}
        self._unwritten: set[str] = set()
        self._silenced: Callable[[Mapping[str, str]], bool] = lambda labels: False

    def mute_with(self, silenced: Callable[[Mapping[str, str]], bool]) -> None:
        """Ask `silenced(labels)` before every notice."""
        self._silenced = silenced

    async def load(self, pipeline: str) -> None:
        """Take up what an earlier process left."""
        for item in await self._store.scan(KIND, f"{pipeline}/"):
            incident = Incident.from_json(item.body)
            self._all[incident.id] = incident
            self._versions[incident.id] = item.version

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
        # One of this breaker's own is left open only by a crash between opening it and tripping.
        own = self.open_for(spec.pipeline, breaker=spec.name)
        adopted = own or next(
            (found for check in checks if (found := self.open_for(spec.pipeline, check=check)) is not None), None
        )
        if adopted is not None:
            severity = min(adopted.severity, spec.severity, key=lambda s: s.value)
            incident = replace(adopted, breaker=spec.name, severity=severity, title=title)
            incident = model.append(incident, now, title, "incident.adopted")
        else:
            name = self._new_id(spec.pipeline, spec.name, now)
            incident = model.open_incident(name, spec.pipeline, spec.severity, title, now, breaker=spec.name)
        self._keep(incident)
        await self._write(incident.id)
        if own is None:  # else it was told before the crash
            self._notice(incident, "alert" if adopted is None else f"update tripped {trip.id}", title)
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
        self._keep(incident)
        self._notice(incident, "alert", incident.title)

    async def calm(self, spec: CheckSpec) -> None:
        """A check is ok again: resolve its own incident (a breaker's is resolved when the breaker closes)."""
        incident = self.open_for(spec.pipeline, check=spec.name)
        if incident is not None:
            await self.resolve(incident.id, f"{spec.name} is ok again")

    def note(self, incident: str, event: str, text: str, *, loud: bool = False) -> None:
        """One more line of the timeline; `loud` also sends an update."""
        found = self._all.get(incident)
        if found is None:
            return
        self._keep(model.append(found, self._clock.now(), text, event))
        if loud:
            self._notice(found, f"update {event} {text}", f"{found.id}: {text}")

    async def resolve(self, incident: str, text: str) -> None:
        """Ended; says so."""
        found = self._all.get(incident)
        if found is None or found.resolved_at is not None:
            return
        resolved = model.resolve(found, self._clock.now(), text)
        self._keep(resolved)
        await self._write(incident)
        self._notice(resolved, "resolved", f"{found.id} resolved: {text}")

    async def closed(self, pipeline: str, breaker: str) -> None:
        """A closed breaker has no open incident; a crash may have left one."""
        found = self.open_for(pipeline, breaker=breaker)
        if found is not None:
            await self.resolve(found.id, "the breaker is closed")

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

    def _notice(self, incident: Incident, kind: str, text: str) -> None:
        labels = {"pipeline": incident.pipeline, "severity": incident.severity.value}
        if incident.breaker:
            labels["breaker"] = incident.breaker
        if incident.check:
            labels["check"] = incident.check
        if self._silenced(labels):
            self._feed.say("notice.silenced", level="debug", incident=incident.id, text=text)
            return
        title = f"[{incident.severity}] {incident.pipeline}: {text}"
        started = f"started {incident.opened_at:%Y-%m-%d %H:%M:%S} UTC"
        recent = "\n".join(f"{e.at:%H:%M:%S} {e.text}" for e in incident.timeline[-5:])
        self._post(incident.pipeline, incident.severity, f"{incident.id} {kind}", title, f"{started}\n{recent}")
