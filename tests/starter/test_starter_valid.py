"""Whatever an account holds, what is drafted loads."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import timedelta
from functools import cache
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starter_worlds import NOW, PastReads, inventories

from monitor import app
from monitor.core.model import Mode
from monitor.plugin import Registry
from monitor.starter import Drafts, Inventory, Wishes, draft


@cache
def known() -> Registry:
    """Every kind and action; no fixture, because Hypothesis would print it with each example."""
    return app.registry()


def drafted(found: Inventory, registry: Registry, seed: int, wishes: Wishes) -> Drafts:
    """The drafts of an inventory."""
    return asyncio.run(draft(PastReads(seed), found, wishes, registry, NOW))  # type: ignore[arg-type]


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(inventories(), st.integers(0, 10_000), st.sampled_from([None, "all"]), st.sampled_from([1, 14, 60, 200]))
def test_every_draft_is_valid_and_observes(found: Inventory, seed: int, name: str | None, days: int) -> None:
    """The loader accepts all files at once, every breaker observes, and every file says its schema first."""
    registry = known()
    wishes = Wishes(name=name, history=timedelta(days=days), fresh=("some-bucket/raw/",))
    drafts = drafted(found, registry, seed, wishes)
    with tempfile.TemporaryDirectory() as folder:
        for one in drafts.files:
            assert one.text.startswith("# yaml-language-server: $schema=")
            Path(folder, one.file).write_text(one.text, encoding="utf-8")
        if not drafts.files:
            return
        loaded = app.read_config([Path(folder)], {}, registry)
    assert {pipeline.name for pipeline in loaded.pipelines} == {one.name for one in drafts.files}
    modes = {breaker.mode for pipeline in loaded.pipelines for breaker in pipeline.breakers.values()}
    assert modes <= {Mode.OBSERVE}
    if name is not None:
        assert [one.name for one in drafts.files] == [name]
