"""`--local`: one breaker, the daemon's store, nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from fake_surface import Run

from monitor.app import read_config, registry
from monitor.cli.local import OneBreaker, narrowed
from monitor.core.ports import Put
from monitor.engine.clock import SystemClock
from monitor.store import MemoryStore

FILE = """\
pipeline: orders
checks:
  depth: {kind: queue_depth, queues: [orders], thresholds: {visible: {critical: {above: 10}}}}
  dead: {kind: queue_depth, queues: [orders-dlq], thresholds: {visible: {critical: {above: 10}}}}
  other: {kind: queue_depth, queues: [refunds]}
breakers:
  pause:
    severity: SEV2
    mode: auto
    trip_when: depth.visible
    on_trip:
      - set_event_source: {function: orders-consumer, enabled: false}
    recover:
      steps:
        - verify: {check: dead, level: ok, for: 1m}
        - undo: set_event_source
  pause-more:
    severity: SEV2
    trip_when: dead.visible
    on_trip:
      - set_event_source: {function: other-consumer, enabled: false}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A pipeline with two breakers."""
    path = tmp_path / "orders.yaml"
    path.write_text(FILE)
    return path


def test_only_what_the_breaker_needs_is_kept(file: Path) -> None:
    """Its own checks and those it verifies; no other check, no other breaker."""
    loaded = narrowed(read_config([file], {}, registry()), "orders/pause")
    assert [sorted(p.checks) for p in loaded.pipelines] == [["dead", "depth"]]
    assert [list(p.breakers) for p in loaded.pipelines] == [["pause"]]


def test_a_breaker_that_is_not_there_is_wrong_usage(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The ones that are there are named."""
    with pytest.raises(typer.Exit) as ended:
        narrowed(read_config([file], {}, registry()), "orders/nope")
    assert ended.value.exit_code == 2
    assert "orders/pause, orders/pause-more" in capsys.readouterr().err


async def test_other_breakers_stay_out_of_sight() -> None:
    """Neither a longer name nor another pipeline's breaker shows; other kinds of documents do."""
    inner = MemoryStore(SystemClock())
    await inner.open()
    keys = ("orders/pause", "orders/pause-more", "orders/x", "refunds/pause")
    await inner.commit([Put("breaker", key, {}, 0) for key in keys])
    await inner.commit([Put("change", f"{key}/t1/0/s/0000", {}, 0) for key in keys])
    await inner.commit([Put("silence", "s-1", {}, 0)])
    store = OneBreaker(inner, "orders/pause")
    assert [item.key for item in await store.scan("breaker")] == ["orders/pause"]
    assert [item.key for item in await store.scan("change", "orders/")] == ["orders/pause/t1/0/s/0000"]
    assert len(await store.scan("silence")) == 1
    await store.close()


async def test_a_store_that_forgets_is_refused(cli: Run, file: Path) -> None:
    """What is tripped from here must be there for the next daemon."""
    result = await cli("breaker", "trip", "orders/pause", "--local", str(file), "--store", "memory:", "--yes")
    assert (result.exit_code, "--store" in result.stderr) == (2, True)
