"""One emulator process for the package's tests, reset before each."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from monitor.demo.emulator import child
from monitor.demo.emulator.child import Child, Side


@pytest.fixture(scope="session")
def emulator() -> Iterator[Child]:
    """The process."""
    with child.start() as running:
        yield running


@pytest.fixture
async def side(emulator: Child) -> AsyncIterator[Side]:
    """Its side door, everything reset."""
    async with Side(emulator.url) as door:
        await door.post("reset")
        yield door


@pytest.fixture
async def aws(emulator: Child, side: Side):
    """`await aws("sqs")`: a client that tries once."""
    async with AsyncExitStack() as stack:
        session = get_session()

        async def client(service: str, *, account: str = "tripswitch", region: str = "us-east-1"):
            return await stack.enter_async_context(
                session.create_client(
                    service,
                    region_name=region,
                    endpoint_url=emulator.url,
                    aws_access_key_id=account,
                    aws_secret_access_key="demo",
                    config=AioConfig(retries={"total_max_attempts": 1}, read_timeout=20),
                )
            )

        yield client
