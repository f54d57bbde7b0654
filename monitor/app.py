"""The composition root: one straight line from settings to a running daemon, taken down in reverse.

The only module that may import everything. It decides nothing; it hands each room what it needs from the others.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib.metadata import entry_points
from pathlib import Path

import aiohttp
import structlog
from aiohttp import web as http

from checks import KINDS
from monitor import __version__
from monitor.actions import ACTIONS
from monitor.adapters import Cloud, MaskedSecrets, parameter_reader, poster, recorder, sns_publisher
from monitor.aws.cloud import Aws
from monitor.aws.operations import Operations
from monitor.aws.secrets import SecretResolver
from monitor.aws.settings import AwsSettings
from monitor.config import ConfigError, Loaded, load
from monitor.core.model import Mode
from monitor.core.ports import Clock, Secrets, Store, StoreError
from monitor.core.spec import AwsSpec, Pipeline
from monitor.core.view import Outcome
from monitor.engine.clock import SystemClock
from monitor.engine.engine import Engine, EngineSettings, Outside
from monitor.engine.gates import GATE_NAMES
from monitor.engine.scheduler import Pace
from monitor.engine.supervisor import Supervisor
from monitor.engine.surface import EngineSurface
from monitor.engine.watch import watch_files
from monitor.notices import Channels, Outbox
from monitor.plugin import ActionError, Registry
from monitor.settings import Settings, environ
from monitor.store import open_store
from monitor.telemetry import Instruments, Redactor, SurfaceCollector, configure_logging
from monitor.web import WebSettings, make_app

log = structlog.get_logger(__name__)

KIND_POINTS, ACTION_POINTS = "tripswitch.checks", "tripswitch.actions"


class StartError(Exception):
    """The daemon can't start; the text says what to do."""


def registry() -> Registry:
    """Every kind and action: the shipped ones and those of installed packages. Raises StartError on a name clash."""
    kinds = {check.kind: check for check in KINDS}
    actions = {action.name: action for action in ACTIONS}
    for group, found in ((KIND_POINTS, kinds), (ACTION_POINTS, actions)):
        for point in entry_points(group=group):
            if point.name in found:
                raise StartError(f"{point.value} brings a second {point.name!r}; uninstall one of the two")
            found[point.name] = point.load()
    return Registry(kinds, actions)


def read_config(paths: Sequence[Path], environ: Mapping[str, str], known: Registry) -> Loaded:
    """Load and validate pipeline files, offline. Raises ConfigError."""
    return load(paths, known, environ, Operations())


@dataclass(frozen=True, slots=True)
class Boot:
    """What a daemon is started with. `store` and `clock` are given by tests, else made from the settings."""

    paths: tuple[Path, ...]
    settings: Settings
    environ: Mapping[str, str]
    registry: Registry
    store: Store | None = None
    clock: Clock | None = None


async def serve(boot: Boot, ready: Callable[[str], Awaitable[None]] | None = None) -> int:
    """Run the daemon until SIGTERM or SIGINT; 0 after a clean end. Raises ConfigError, StartError."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with daemon(boot) as running:
        if ready is not None:
            await ready(running.url)
        await stop.wait()
        log.info("daemon.stopping", grace=boot.settings.grace.total_seconds())
    return 0


@dataclass(frozen=True, slots=True)
class Running:
    """A daemon that runs."""

    engine: Engine
    surface: EngineSurface
    url: str


@asynccontextmanager
async def daemon(boot: Boot) -> AsyncIterator[Running]:
    """Everything up in order; on leaving, the shutdown ladder within the grace period."""
    settings = boot.settings
    redactor = Redactor()
    configure_logging(settings.log_format, settings.log_level, redactor)
    loaded = await asyncio.to_thread(read_config, boot.paths, boot.environ, boot.registry)
    _refuse_forgetful(settings.store, loaded.pipelines)
    async with AsyncExitStack() as stack:
        room = await _furnish(boot, loaded, redactor, stack)
        web = WebSettings(room.token, __version__)
        metrics = SurfaceCollector(room.surface, room.instruments)
        _spare_the_collector(everything=True)
        url = await _listen(make_app(room.surface, metrics.render, web), settings, stack)
        await _begin(room, loaded, settings, stack)
        supervisor, reload = room.supervisor, room.reload
        asyncio.get_running_loop().add_signal_handler(
            signal.SIGHUP, lambda: supervisor.spawn("reload", reload.run("SIGHUP"))
        )
        supervisor.spawn("settle", _settle(room.engine))
        supervisor.forever("watch", lambda: watch_files(boot.paths, lambda: reload.run("a changed file")))
        log.info("daemon.listening", url=url, mutating=room.token is not None)
        yield Running(room.engine, room.surface, url)


@asynccontextmanager
async def alone(boot: Boot, loaded: Loaded, redactor: Redactor) -> AsyncIterator[Running]:
    """The engine on `loaded` and the daemon's own store, without HTTP and reloads: for work while no daemon runs.

    Logging, with its `redactor`, is the caller's. Raises StartError, StoreUnavailable (a daemon has the store).
    """
    _refuse_forgetful(boot.settings.store, loaded.pipelines)
    async with AsyncExitStack() as stack:
        room = await _furnish(boot, loaded, redactor, stack)
        await _begin(room, loaded, boot.settings, stack)
        yield Running(room.engine, room.surface, "")


@dataclass(frozen=True, slots=True)
class _Room:
    """A furnished engine that does nothing yet."""

    engine: Engine
    surface: EngineSurface
    supervisor: Supervisor
    instruments: Instruments
    outbox: Outbox
    reload: Reload
    token: str | None


async def _furnish(boot: Boot, loaded: Loaded, redactor: Redactor, stack: AsyncExitStack) -> _Room:
    """Store, AWS, notices and an engine between them; `stack` takes down what was opened."""
    settings, environ = boot.settings, boot.environ
    clock = boot.clock or SystemClock()
    supervisor = Supervisor()
    instruments = Instruments(__version__, clock.now)
    instruments.declare(loaded.pipelines, GATE_NAMES)
    store = boot.store or store_of(settings, clock)
    await store.open()
    stack.push_async_callback(store.close)
    aws = Aws(aws_settings(settings), clock, instruments, supervisor.spawn)
    await aws.open()
    stack.push_async_callback(aws.close)
    cloud = Cloud(aws)
    secrets = MaskedSecrets(SecretResolver(environ, lambda: aws.reads(AwsSpec()), clock), redactor)
    channels = Channels(
        secrets, aiohttp.ClientSession, sns_publisher(cloud), clock
    )  # a session of its own per delivery
    outbox = Outbox(channels, (), clock, instruments, recorder(clock, lambda: engine.incidents))
    supervisor.spawn("outbox", outbox.run())
    token = await _token(settings, secrets, redactor)
    outside = Outside(
        clock=clock,
        store=store,
        meter=instruments,
        registry=boot.registry,
        cloud=cloud,
        notify=channels.send,
        post=poster(outbox, lambda: engine),
        broken_places=cloud.broken,
        read_parameter=parameter_reader(cloud),
        secrets=secrets,
    )
    engine = Engine(outside, supervisor, _engine_settings(settings, token is not None))
    reload = Reload(boot, engine, instruments)
    surface = EngineSurface(engine, store, clock, boot.registry, reload.run)
    reload.took(loaded, clock)
    return _Room(engine, surface, supervisor, instruments, outbox, reload, token)


async def _begin(room: _Room, loaded: Loaded, settings: Settings, stack: AsyncExitStack) -> None:
    """Start the engine; `stack` gets the shutdown ladder."""
    await room.engine.start(loaded.pipelines)
    stack.push_async_callback(room.engine.released)
    stack.push_async_callback(room.supervisor.shutdown, settings.grace.total_seconds() * 0.7)
    stack.push_async_callback(room.outbox.stop, 2.0)
    stack.push_async_callback(room.engine.stop)


class Reload:
    """Reads the configuration again: a good one is taken whole, a bad one changes nothing."""

    def __init__(self, boot: Boot, engine: Engine, instruments: Instruments) -> None:
        self._boot = boot
        self._engine = engine
        self._instruments = instruments
        self._one_at_a_time = asyncio.Lock()

    def took(self, loaded: Loaded, clock: Clock) -> None:
        """Record a configuration that is in force from now on."""
        now = clock.now()
        self._engine.config = replace(self._engine.config, ok=True, error="", at=now, documents=loaded.documents)
        self._instruments.declare(loaded.pipelines, GATE_NAMES)
        self._instruments.configured(loaded.documents)
        self._instruments.reloaded(True, now)
        for warning in loaded.warnings:
            self._engine.feed.say("config.warned", level="warning", text=str(warning))

    async def run(self, by: str) -> Outcome:
        """The outcome names every problem of a rejected configuration."""
        async with self._one_at_a_time:
            boot, engine = self._boot, self._engine
            clock = engine.services.clock
            try:
                loaded = await asyncio.to_thread(read_config, boot.paths, boot.environ, boot.registry)
                _refuse_forgetful(boot.settings.store, loaded.pipelines)
            except (ConfigError, StartError) as error:
                engine.config = replace(engine.config, ok=False, error=str(error))
                self._instruments.reloaded(False, clock.now())
                engine.feed.say("config.rejected", level="error", by=by, text=str(error))
                return Outcome(False, str(error), {"rejected": True})
            try:
                await engine.reconfigure(loaded.pipelines)
            except StoreError as error:
                return Outcome(False, f"nothing was changed, the state can't be read: {error}")
            self.took(loaded, clock)
            names = sorted(p.name for p in loaded.pipelines)
            engine.feed.say("config.reloaded", by=by, pipelines=names)
            noun = "pipeline" if len(names) == 1 else "pipelines"
            return Outcome(True, f"reloaded {len(names)} {noun}", {"pipelines": names})


def _spare_the_collector(*, everything: bool = False) -> None:
    """What is there now stays, so the garbage collector need not look through it again.

    Modules and the SDK's models are a million objects: going through them holds every thread for a third of a second,
    every few minutes. `everything` collects first, which takes as long: for before anybody listens.
    """
    if everything:
        gc.collect()
    gc.freeze()


async def _settle(engine: Engine) -> None:
    """Spares what the first round brought: clients, the models of their services, the first levels."""
    while not engine.scheduler.first_round_done():
        await engine.services.clock.sleep(1.0)
    _spare_the_collector()


def _refuse_forgetful(store: str, pipelines: Sequence[Pipeline]) -> None:
    """A daemon that forgets what it changed must not change anything."""
    acting = [b.key for p in pipelines for b in p.breakers.values() if b.mode is not Mode.OBSERVE]
    if store.startswith("memory:") and acting:
        raise StartError(
            f"store memory: forgets what {acting[0]} changed; use sqlite:///FILE, or set every breaker to mode: observe"
        )


def store_of(settings: Settings, clock: Clock) -> Store:
    """The store that the settings name, not yet opened. Raises StartError."""
    try:
        return open_store(settings.store, clock)
    except ValueError as error:
        raise StartError(str(error)) from error


def aws_settings(settings: Settings) -> AwsSettings:
    """What the AWS room needs to know of the settings."""
    return AwsSettings(
        endpoint_url=settings.endpoint,
        # Other SDKs, ECS and the Helm chart say AWS_REGION; botocore by itself reads AWS_DEFAULT_REGION only.
        default_region=environ().get("AWS_REGION") or None,
        read_share=settings.read_share,
        # One call must end well within the grace period.
        deadline=min(timedelta(seconds=20), settings.grace * 0.6),
        max_connections=max(10, settings.concurrency),
    )


def _engine_settings(settings: Settings, mutations: bool) -> EngineSettings:
    return EngineSettings(
        owner=f"{socket.gethostname()}:{os.getpid()}",
        version=__version__,
        actions_on=settings.actions == "on",
        kill_file=settings.kill_file,
        mutations_enabled=mutations,
        pace=Pace(concurrency=settings.concurrency),
    )


async def _token(settings: Settings, secrets: Secrets, redactor: Redactor) -> str | None:
    """The bearer token; without one (or when its reference can't be resolved) commands over HTTP are off."""
    if settings.token is None:
        return None
    try:
        token = await secrets.resolve(settings.token.get_secret_value())
    except ActionError as error:
        log.error("token.unresolved", reason=error.reason.value, detail=error.detail, effect="commands are off")
        return None
    redactor.add(token)
    return token


async def _listen(app: http.Application, settings: Settings, stack: AsyncExitStack) -> str:
    """Serve, and say where (a port of 0 is chosen by the system). Raises StartError."""
    host, port = settings.address
    runner = http.AppRunner(app, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = http.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError as error:
        raise StartError(
            f"can't listen on {settings.listen}: {error.strerror} (choose another with --listen)"
        ) from error
    bound = runner.addresses[0][1]
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 (comparison, not a bind)
    return f"http://{shown}:{bound}"
