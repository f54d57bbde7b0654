"""One emulator and one nursery for the folder, one world per test."""

from collections.abc import AsyncIterator, Iterator

import pytest
from fault_rig import Nursery, Pieces

from monitor.demo.emulator import child
from monitor.demo.emulator.child import Child
from monitor.demo.world import World


@pytest.fixture(scope="session")
def emulator() -> Iterator[Child]:
    """The process."""
    with child.start() as running:
        yield running


@pytest.fixture(scope="session")
def nursery(emulator: Child) -> Iterator[Nursery]:
    """Forks daemons that talk to the emulator."""
    made = Nursery(emulator)
    yield made
    made.close()


@pytest.fixture
async def pieces(emulator: Child) -> AsyncIterator[Pieces]:
    """An empty AWS in which rules, functions and machines can be made."""
    async with World(emulator.url) as world:
        await world.side.post("reset")
        made = Pieces(world)
        await made.prepare()
        yield made
