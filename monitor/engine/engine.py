"""The engine: pipelines in, runs judged, breakers driven. It wires the rooms below and decides nothing itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from monitor.core.breaker import Breaker
from monitor.core.codec import decode
from monitor.core.condition import checks_of
from monitor.core.durations import format_duration
from monitor.core.model import Level, Severity, State
from monitor.core.ports import Clock, Meter, Secrets, Store, StoreError
from monitor.core.silence import Silence
from monitor.core.spec import AwsSpec, CheckSpec, Pipeline
from monitor.core.storm import Storm
from monitor.engine import journal
from monitor.engine.board import Board, Moved
from monitor.engine.conditions import Surroundings
from monitor.engine.crew import Crew
from monitor.engine.feed import Feed
from monitor.engine.incidents import Incidents, Post
from monitor.engine.journal import Health, Journal
from monitor.engine.killswitch import KillSwitch, ReadParameter
from monitor.engine.ownership import Ownership
from monitor.engine.reminders import remind
from monitor.engine.runner import Run, Runner
from monitor.engine.scheduler import Pace, Scheduler
from monitor.engine.services import Cloud, Notify, Services
from monitor.engine.snapshots import Snapshots
from monitor.engine.supervisor import Supervisor
from monitor.engine.timers import Timers
from monitor.engine.turns import Turns
from monitor.engine.worker import Worker
from monitor.plugin import ProbeError, Registry

log = structlog.get_logger(__name__)

#: Seconds between proofs that the store takes writes, and between flushes of what tells but does not steer.
PROBE, FLUSH, PRUNE = 10.0, 2.0, 3600.0
LAG_EVERY = 0.5
#: Events of one run that are told before the loop gets a turn.
MOST_WORDS = 20


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What the engine needs to know of the daemon's settings."""

    owner: str
    version: str
    actions_on: bool = True
    kill_file: Path | None = None
    mutations_enabled: bool = False
    pace: Pace = field(default_factory=Pace)


@dataclass(frozen=True, slots=True)
class Outside:
    """What the composition root injects."""

    clock: Clock
    store: Store
    meter: Meter
    registry: Registry
    cloud: Cloud
    notify: Notify
    post: Post
    broken_places: Callable[[], Mapping[tuple[str, str], str]]
    read_parameter: Callable[[AwsSpec, str], ReadParameter]
    secrets: Secrets | None = None


@dataclass(slots=True)
class ConfigStatus:
    """How the last load of the configuration ended."""

    ok: bool = True
    error: str = ""
    at: datetime | None = None
    documents: Mapping[str, Any] = field(default_factory=dict)


class Engine:
    """One daemon's worth of pipelines."""

    def __init__(self, outside: Outside, supervisor: Supervisor, settings: EngineSettings) -> None:
        clock, store = outside.clock, outside.store
        self.settings = settings
        self.started_at = clock.now()
        self.config = ConfigStatus()
        self.pipelines: dict[str, Pipeline] = {}
        self.feed = Feed(clock)
        self.board = Board()
        self.health = Health()
        self.supervisor = supervisor
        self._outside = outside
        self.ownership = Ownership(store, clock, settings.owner, self._gained, self._lost)
        self.switch = KillSwitch(clock, store, setting_on=settings.actions_on, file=settings.kill_file)
        self.surroundings = Surroundings(self.ownership, self.switch, outside.broken_places)
        self.incidents = Incidents(store, clock, self.feed, self.ownership.lease, outside.post, self.board)
        self.incidents.mute_with(lambda labels: self.surroundings.muted(labels, clock.now()))
        self.services = Services(
            clock=clock,
            journal=Journal(store, self.ownership.lease, self.health),
            board=self.board,
            feed=self.feed,
            meter=outside.meter,
            registry=outside.registry,
            cloud=outside.cloud,
            conditions=self.surroundings,
            incidents=self.incidents,
            notify=outside.notify,
            pipelines=self.pipeline,
            secrets=outside.secrets,
        )
        self.crew = Crew(self.services, supervisor, self.ownership.lease)
        self._turns = Turns(clock.tick)
        self._timers = Timers(store, self.board, self.ownership.lease, self._turns)
        self._runner = Runner(clock, supervisor, outside.secrets)
        self.scheduler = Scheduler(clock, supervisor, outside.meter, self._run, settings.pace)

    # --- life ---------------------------------------------------------------------------------------------------

    async def start(self, pipelines: Sequence[Pipeline]) -> None:
        """Take up the state, own what is free, begin. Raises StoreUnavailable."""
        await self.switch.load()
        await self._load_shared()
        orphans = await self._orphaned_pipelines({p.name for p in pipelines})
        self._configure(pipelines)
        self.ownership.want([*self.pipelines, *orphans])
        await self.ownership.beat()
        spawn = self.supervisor.forever
        spawn("scheduler", self.scheduler.loop)
        spawn("ownership", self.ownership.loop)
        spawn("kill-switch", self.switch.loop)
        spawn("store-probe", self._probe_store)
        spawn("incidents", self._flush_incidents)
        spawn("reminders", lambda: remind(self.incidents, self._outside.clock))
        spawn("prune", self._prune)
        spawn("places", self._find_places)
        spawn("lag", self._measure_lag)
        spawn("snapshots", Snapshots(self.services, self.supervisor, lambda: list(self.workers.values())).loop)
        self.feed.say("daemon.started", version=self.settings.version, pipelines=sorted(self.pipelines))

    async def stop(self) -> None:
        """No new runs, no further mutating call; workers end at a safe point; leases are given back last."""
        self.supervisor.stopping.set()
        for worker in self.workers.values():
            worker.stop("the daemon is shutting down")

    async def released(self) -> None:
        """After all tasks ended: write what tells, release the leases."""
        await self.incidents.flush()
        await self.ownership.release()

    async def reconfigure(self, pipelines: Sequence[Pipeline]) -> None:
        """A good new configuration: unchanged checks and breakers keep their state. StoreError: nothing changed."""
        before = dict(self.pipelines)
        known = await self.crew.new_ledgers({pipeline.name: pipeline for pipeline in pipelines})
        self._configure(pipelines)
        for name in self.pipelines.keys() | before.keys():
            self.crew.refit(name, self.pipelines.get(name), known.get(name, {}))
        self.ownership.want([*self.pipelines, *self.crew.orphans()])
        await self.ownership.beat()

    @property
    def workers(self) -> Mapping[str, Worker]:
        """By `PIPELINE/BREAKER`: those of the pipelines this replica owns."""
        return self.crew.workers

    def pipeline(self, name: str) -> Pipeline | None:
        """The pipeline as configured now."""
        return self.pipelines.get(name)

    def check_specs(self) -> dict[str, CheckSpec]:
        """All checks by `PIPELINE/CHECK`."""
        return {spec.key: spec for pipeline in self.pipelines.values() for spec in pipeline.checks.values()}

    def _configure(self, pipelines: Sequence[Pipeline]) -> None:
        moved = [p.name for p in pipelines if p.name in self.pipelines and self.pipelines[p.name].aws != p.aws]
        self.pipelines = {pipeline.name: pipeline for pipeline in pipelines}
        self.surroundings.configure(self.pipelines, moved)
        # Before any worker can act on the new configuration: a switch not yet read counts as off.
        self._watch_switches()
        specs = self.check_specs()
        self.board.configure(specs)
        self.scheduler.update(specs)

    # --- ownership and workers ------------------------------------------------------------------------------------

    async def _gained(self, name: str) -> None:
        """The lease is ours: take up timers, incidents and breakers where the last owner left them."""
        await self._timers.load(name, self.check_specs())
        await self.incidents.load(name)
        ledgers = await self.services.journal.load(name)
        await self.crew.gained(name, ledgers, self.pipelines.get(name))

    async def _lost(self, name: str) -> None:
        """Another replica acts and tells from now on; what was seen here is history."""
        self.crew.lost(name, "the pipeline belongs to another replica now")
        self._timers.forget(name)
        self.incidents.forget(name)
        self.board.forget(name)

    async def _orphaned_pipelines(self, configured: set[str]) -> set[str]:
        """Pipelines that left the config while one of their breakers was not closed."""
        orphans = set()
        for item in await self._outside.store.scan(journal.BREAKER):
            try:
                record = decode(Breaker, item.body)
            except (KeyError, TypeError, ValueError):
                log.exception("breaker.unreadable", breaker=item.key, reason="bug")
                continue
            if record.pipeline not in configured and record.state is not State.CLOSED:
                orphans.add(record.pipeline)
        return orphans

    # --- runs -----------------------------------------------------------------------------------------------------

    async def _run(self, spec: CheckSpec, lateness: float) -> None:
        if self.supervisor.stopping.is_set() or self.ownership.lease(spec.pipeline) is None:
            return
        check = self._outside.registry.kinds[spec.kind]
        board = self.board.get(spec.key)
        known = board.places() if board is not None else ()
        run = await self._runner.run(spec, check, self._outside.cloud.reads(spec.aws), known)
        if board is None or self.board.get(spec.key) is not board:
            return  # a reload replaced the check while it ran
        moved = await self._turns.take(self.board.recording(spec, run, self._outside.clock.tick()))
        if self.board.get(spec.key) is not board:
            return
        self._outside.meter.run_finished(
            spec.pipeline, spec.name, spec.kind, run.seconds, lateness, run.reason, run.started
        )
        log.debug(
            "check.ran",
            pipeline=spec.pipeline,
            check=spec.name,
            observations=len(run.observations),
            seconds=round(run.seconds, 4),
            lateness=round(lateness, 4),
            reason=run.reason.value if run.reason else None,
        )
        self.crew.poke(spec.pipeline, spec.name)
        await self._tell(spec, run, moved)
        await self._timers.save(spec.key)

    async def _tell(self, spec: CheckSpec, run: Run, moved: Sequence[Moved]) -> None:
        for number, ((target, was, now), moves) in enumerate(_together(moved).items(), 1):
            if number % MOST_WORDS == 0:
                await asyncio.sleep(0)  # a thousand targets may change at once, and each is a line of the log
            self.feed.say(
                "level.changed",
                level="debug" if was is None and now is Level.OK else "info",
                pipeline=spec.pipeline,
                check=spec.name,
                target=target,
                signals=[move.signal for move in moves],
                was=was,
                now=now,
                text="; ".join(dict.fromkeys(move.verdict.reason for move in moves)),
                reason=run.reason if now is Level.UNKNOWN else None,
            )
        board = self.board.get(spec.key)
        if board is None:
            return
        worst = max(board.levels().values(), key=lambda one: one.rank, default=Level.OK)
        critical = [m for m in moved if m.verdict.level is Level.CRITICAL]
        if critical and not self._breaker_has_it(spec):
            first = critical[0]
            self.incidents.critical(spec, f"{first.target} {first.signal}: {first.verdict.reason}")
        elif worst is Level.OK:
            await self.incidents.calm(spec)
        self._tell_unknown(spec, run)

    def _tell_unknown(self, spec: CheckSpec, run: Run) -> None:
        """Unknown trips nothing, but it must not stay unsaid."""
        board = self.board.get(spec.key)
        assert board is not None
        verdicts = [cell.verdict for cell in board.cells.values() if cell.verdict]
        worst = max(verdicts, key=lambda verdict: verdict.unknown_seconds, default=None)
        longest = worst.unknown_seconds if worst is not None else 0.0
        if longest >= spec.unknown_for.total_seconds() and not board.unknown_reported:
            board.unknown_reported = True
            why = run.detail or (worst.reason if worst is not None else "") or "no reading"
            text = f"{spec.name} has been unknown for {format_duration(round(longest))}: {why}"
            self.feed.say("check.unknown", level="warning", pipeline=spec.pipeline, check=spec.name, text=text)
            key = f"{spec.key} unknown {run.started.isoformat()}"
            self._outside.post(spec.pipeline, spec.severity, key, f"[{spec.severity}] {spec.pipeline}: {text}", text)
        elif longest == 0.0 and board.unknown_reported:
            board.unknown_reported = False
            self.feed.say("check.known", pipeline=spec.pipeline, check=spec.name)

    def _breaker_has_it(self, spec: CheckSpec) -> bool:
        pipeline = self.pipelines.get(spec.pipeline)
        return pipeline is not None and any(
            self.incidents.open_for(spec.pipeline, breaker=breaker.name) is not None
            for breaker in pipeline.breakers.values()
            if spec.name in checks_of(breaker.condition)
        )

    # --- loops ----------------------------------------------------------------------------------------------------

    async def _load_shared(self) -> None:
        """Silences and the lifted storm brake, which any replica may have written. Raises StoreError."""
        store = self._outside.store
        silences = [Silence.from_json(item.body) for item in await store.scan("silence")]
        self.surroundings.silences = {silence.id: silence for silence in silences}
        storm = await store.get("meta", "storm")
        if storm is not None:
            told = Storm.from_json(storm.body)
            self.surroundings.lifted(told.lifted_until, told.lifted_by)

    def _watch_switches(self) -> None:
        self.switch.watch(
            {
                f"{pipeline.kill_switch_parameter} ({pipeline.name})": self._outside.read_parameter(
                    pipeline.aws, pipeline.kill_switch_parameter
                )
                for pipeline in self.pipelines.values()
                if pipeline.kill_switch_parameter is not None
            }
        )

    async def _probe_store(self) -> None:
        while True:
            was = self.health.down
            await journal.probe(self._outside.store, self.health, self.settings.owner, self._outside.clock.now())
            if self.health.down and not was:
                self.feed.say("store.unwritable", level="error", text=self.health.down)
                text = f"no action can run: {self.health.down}"
                for name in self.pipelines:
                    self._outside.post(
                        name, Severity.SEV2, f"store {name} {self.feed.sequence}", f"[SEV2] {text}", text
                    )
            elif was and not self.health.down:
                self.feed.say("store.writable")
            if not self.health.down:
                await self._share()
            await self._outside.clock.sleep(PROBE)

    async def _share(self) -> None:
        try:
            await self._load_shared()
        except StoreError as error:
            log.warning("shared_state.unread", detail=str(error))

    async def _flush_incidents(self) -> None:
        while True:
            await self.incidents.flush()
            await self._outside.clock.sleep(FLUSH)

    async def _prune(self) -> None:
        while True:
            try:
                await self._outside.store.prune(self._outside.clock.now())
            except StoreError as error:
                log.warning("store.unpruned", detail=str(error))
            await self._outside.clock.sleep(PRUNE)

    async def _find_places(self) -> None:
        """Account and region of each pipeline, for storms; asked until known."""
        while True:
            for name, pipeline in list(self.pipelines.items()):
                if name in self.surroundings.places:
                    continue
                try:
                    self.surroundings.places[name] = await self._outside.cloud.identity(pipeline.aws)
                except ProbeError as error:
                    log.info("identity.unknown", pipeline=name, reason=error.reason.value, detail=error.detail)
            await self._outside.clock.sleep(30.0)

    async def _measure_lag(self) -> None:
        clock = self._outside.clock
        while True:
            tick = clock.tick()
            await clock.sleep(LAG_EVERY)
            self._outside.meter.lag(max(0.0, clock.tick() - tick - LAG_EVERY))

    def due(self) -> dict[str, datetime]:
        """When each check runs next."""
        now, tick = self._outside.clock.now(), self._outside.clock.tick()
        return {k: now + timedelta(seconds=max(0.0, s.due - tick)) for k, s in self.scheduler.slots.items()}


def _together(moved: Sequence[Moved]) -> dict[tuple[str, Level | None, Level], list[Moved]]:
    """Signals of one target that moved alike are one line."""
    lines: dict[tuple[str, Level | None, Level], list[Moved]] = {}
    for move in moved:
        lines.setdefault((move.target, move.was, move.verdict.level), []).append(move)
    return lines
