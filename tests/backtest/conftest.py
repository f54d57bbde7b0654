"""Pipelines, tapes and replays in few words."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog

from monitor.backtest.tape import Fidelity, Source, Tape
from monitor.core.model import Observation
from monitor.core.spec import CheckSpec

# The rig of the engine's own tests: the backtest is held to what it does.
sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))

START = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)

#: A value, None for an absent point, a whole observation, or ... for nothing said.
Reading = float | None | Observation


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The engine tells of every trip; here nobody reads it."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.fixture
def tape() -> Callable[..., Tape]:
    """`tape(spec, {"a": [1, 2, None]})`: one run per reading, from START on."""

    def make(spec: CheckSpec, readings: dict[str, Sequence[Reading]], start: datetime = START) -> Tape:
        made = Tape(spec, start, max(len(one) for one in readings.values()))
        for target, values in readings.items():
            column = made.column((target, "level"))
            for index, value in enumerate(values):
                at = made.at(index)
                seen = value if isinstance(value, Observation) else Observation(
                    "level", target, value, "things", at, exists=True
                )  # fmt: skip
                column.put(index, seen)
        made.sources["level"] = Source(Fidelity.RECORDED)
        made.finish()
        return made

    return make


def minutes(number: float) -> timedelta:
    """A span."""
    return timedelta(minutes=number)
