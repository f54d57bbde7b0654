"""What a probe gets besides AWS: a wait on the injected clock, and values behind references."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from monitor.core.model import Reason
from monitor.engine.runner import Probing
from monitor.plugin import ActionError, Check, Observation, Params, ProbeContext, ProbeError, Signal
from monitor.testing import EPOCH, FakeAws, FakeClock, FakeProbeContext


class Vault:
    """Resolves one reference."""

    async def resolve(self, reference: str) -> str:
        if reference != "env:DSN":
            raise ActionError(Reason.DENIED, f"{reference} is not yours")
        return "postgresql://..."


async def test_the_runner_resolves_references() -> None:
    """The value, or the reason as a probe's own error."""
    context: ProbeContext = Probing(FakeAws(), EPOCH, FakeClock(auto=True), Vault())
    assert await context.secret("env:DSN") == "postgresql://..."
    with pytest.raises(ProbeError) as refused:
        await context.secret("ssm:/other")
    assert refused.value.reason is Reason.DENIED


async def test_without_a_resolver_a_reference_is_invalid() -> None:
    """Rather than a bug."""
    with pytest.raises(ProbeError, match="no secrets"):
        await Probing(FakeAws(), EPOCH, FakeClock(auto=True)).secret("env:DSN")


@pytest.mark.parametrize("make", [lambda clock: Probing(FakeAws(), EPOCH, clock), lambda clock: FakeProbeContext(
    FakeAws(clock=clock), EPOCH)], ids=["runner", "kit"])  # fmt: skip
async def test_waiting_passes_on_the_injected_clock(make: Any) -> None:
    """A probe that polls needs no real time in a test."""
    clock = FakeClock(auto=True)
    await make(clock).sleep(5.0)
    assert clock.now() - EPOCH == timedelta(seconds=5)


class Grouped(Params):
    """A kind whose targets may be found in what it reads."""

    by: str | None = None


async def _probe(params: Grouped, ctx: ProbeContext) -> Sequence[Observation]:
    return []


def test_targets_that_roam_are_discovered() -> None:
    """Only with the parameter that makes them roam; a group not seen again is gone, not unknown."""
    check: Check[Grouped] = Check(
        "grouped",
        "s",
        Grouped,
        _probe,
        (Signal("n", "lines", "h"),),
        {},
        (),
        "free",
        "",
        roaming=lambda p: p.by is not None,
    )
    assert check.discovers(Grouped(by="city"))
    assert not check.discovers(Grouped())
