"""What gates look at, kept current: leases, kill switch, maintenance, silences, storms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from monitor.core import maintenance, silence, storm
from monitor.core.condition import checks_of
from monitor.core.ports import Lease
from monitor.core.silence import Silence
from monitor.core.spec import Pipeline
from monitor.core.storm import Storm, Wish
from monitor.engine.killswitch import KillSwitch
from monitor.engine.ownership import Ownership


class Surroundings:
    """Services' Conditions: instant answers from memory."""

    def __init__(
        self, ownership: Ownership, switch: KillSwitch, broken: Callable[[], Mapping[tuple[str, str], str]]
    ) -> None:
        self._ownership = ownership
        self._switch = switch
        self._broken = broken
        self.pipelines: Mapping[str, Pipeline] = {}
        self.places: dict[str, tuple[str, str]] = {}
        self.silences: dict[str, Silence] = {}
        self.storms = Storm()

    def configure(self, pipelines: Mapping[str, Pipeline], moved: Iterable[str]) -> None:
        """Watch these from now on; the account and region of `moved` ones must be found anew."""
        self.pipelines = pipelines
        for name in [*moved, *(self.places.keys() - pipelines.keys())]:
            self.places.pop(name, None)

    def lifted(self, until: datetime | None, by: str) -> None:
        """A person's word that the storm is real, as the store has it."""
        self.storms = replace(self.storms, lifted_until=until, lifted_by=by)

    def lease(self, pipeline: str) -> Lease | None:
        """The lease in hand."""
        return self._ownership.lease(pipeline)

    def doubt(self, pipeline: str) -> None:
        """A write was fenced: somebody else may own the pipeline."""
        self._ownership.doubt(pipeline)

    def actions_off(self, now: datetime) -> str | None:
        """The kill switch."""
        return self._switch.off(now)

    def maintenance(self, pipeline: str, breaker: str, now: datetime) -> str | None:
        """The open window that covers this breaker."""
        spec = self.pipelines.get(pipeline)
        for window in spec.maintenance if spec else ():
            end = maintenance.active(window, now)
            if end is not None and any(
                silence.matches(window.matchers, labels) for labels in self._labels(pipeline, breaker)
            ):
                return f"maintenance {window.name} until {end:%H:%M} UTC"
        return None

    def silence(self, pipeline: str, breaker: str, now: datetime) -> str | None:
        """A silence with `--hold-actions`."""
        for labels in self._labels(pipeline, breaker):
            for found in silence.matching(self.silences.values(), labels, now):
                if found.hold_actions:
                    return f"silence {found.id} by {found.by} holds actions until {found.until:%H:%M} UTC"
        return None

    def muted(self, labels: Mapping[str, str], now: datetime) -> bool:
        """Whether notices with these labels are silenced."""
        return bool(silence.matching(self.silences.values(), labels, now))

    def storm(self, account: str, region: str, now: datetime) -> str | None:
        """Why the observer is suspected, in this place."""
        broken = {
            (there, place): why
            for (there, place), why in self._broken().items()
            if place == region and (there in ("", account) or account == "")
        }
        return storm.suspect(self._in(account, region), self._counts(), broken, now)

    def any_storm(self, now: datetime) -> str | None:
        """The same, anywhere (for the status line)."""
        return storm.suspect(self.storms, self._counts(), self._broken(), now)

    def wants_to_trip(self, pipeline: str, account: str, region: str, now: datetime) -> None:
        """A wish for the storm brake."""
        self.places[pipeline] = (account, region)
        self.storms = storm.record(self.storms, Wish(now, pipeline, (account, region)))

    def _labels(self, pipeline: str, breaker: str) -> list[dict[str, str]]:
        """What matchers may name a breaker by: itself, and each check it watches."""
        labels = {"pipeline": pipeline, "breaker": breaker}
        loaded = self.pipelines.get(pipeline)
        spec = loaded.breakers.get(breaker) if loaded else None
        if spec is None:
            return [labels]
        labels["severity"] = spec.severity.value
        watched = [{**labels, "check": check} for check in sorted(checks_of(spec.condition))]
        return watched or [labels]  # tripped by hand alone

    def _in(self, account: str, region: str) -> Storm:
        wishes = tuple(wish for wish in self.storms.wishes if wish.place == (account, region))
        return Storm(wishes, self.storms.lifted_until, self.storms.lifted_by)

    def _counts(self) -> dict[tuple[str, str], int]:
        counts: dict[tuple[str, str], int] = {}
        for name in self.pipelines:
            place = self.places.get(name)
            if place is not None:
                counts[place] = counts.get(place, 0) + 1
        return counts
