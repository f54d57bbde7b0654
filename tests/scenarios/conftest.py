"""One emulator process per worker; scenes on it, each with a clean world and its own time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import datetime

import pytest
from cutting import cut, pace
from emulated import Emulated
from permitted import DAEMON, statements_of
from played import told_by
from scene import Scene, Stage
from scene_clock import SceneClock
from traffic import Wire

from monitor.demo.emulator import child
from monitor.demo.emulator.child import ACCOUNT, Child, Side
from monitor.testing import EPOCH


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every scene runs against another process."""
    for item in items:
        if "scenarios" in item.path.parts:
            item.add_marker(pytest.mark.process)


@pytest.fixture(scope="session")
def emulator() -> Iterator[Child]:
    """The process."""
    with child.start() as running:
        yield running


@pytest.fixture
async def stage(
    emulator: Child, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> AsyncIterator[Callable[..., Awaitable[Scene]]]:
    """`await stage("etl", breakers=["s3-event-loop"])`: a scene with the clocks at `at`, whose engine has not begun."""
    async with AsyncExitStack() as stack:
        side = await stack.enter_async_context(Side(emulator.url))
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)
        wire = Wire()
        wire.tap(monkeypatch)
        scenes: list[tuple[str, Scene]] = []

        async def make(
            pipeline: str,
            *,
            breakers: Sequence[str] = (),
            checks: Sequence[str] = (),
            at: datetime = EPOCH,
            step: float | None = None,
            **variables: str,
        ) -> Scene:
            environ = {"ACCOUNT_ID": ACCOUNT, **variables}
            loaded = cut(pipeline, environ, breakers, checks)
            await side.post("reset")
            await side.post("clock", at=at.timestamp())
            # Every scene is played under the policy that `iam-policy` prints for it.
            await side.post("iam", statements=statements_of(loaded), agent=DAEMON)
            clock = SceneClock(at)
            emulated = Emulated(emulator.url, side, clock)
            wire.before = emulated.sync
            scene = Scene(Stage(emulated, wire, loaded, environ, clock, step or pace(loaded)), stack)
            scenes.append((pipeline, scene))
            return scene

        yield make
        for pipeline, scene in scenes:
            record_property(f"played {pipeline}", told_by(scene.log))
        denied = (await side.get("iam"))["denied"]
        await side.post("reset")
        assert not denied, f"the policy of iam-policy lacks {denied[:5]}"
