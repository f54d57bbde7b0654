"""The listener that holds the shipped files to their scenes."""

from __future__ import annotations

import pytest
from played import FOLDER, ROOT, SCENES, Played, parts_of, scenes_in, told_by

FILES = sorted((ROOT / FOLDER).glob("test_scenario_etl*.py"))
NODES = [f"{FOLDER}/{file.name}::{name}" for file in FILES for name in scenes_in(file)]


def heard(shown: str, outcome: str = "passed", excused: dict[str, str] | None = None) -> list[str]:
    """Faults after all scenes of the file ran, the first of which showed that."""
    played = Played(lambda pipeline: ["breaker loop", "check rate"], excused or {})
    played.collected(NODES)
    played.ended(NODES[0], "call", outcome, [])
    played.ended(NODES[0], "teardown", "passed", [("played etl", shown), ("played another", "breaker loop")])
    return played.faults()


def test_what_no_scene_shows_is_named() -> None:
    """Breakers that did not open, checks that were not breached."""
    assert heard("check rate") == ["etl: no scene opens the breaker loop"]
    assert heard("breaker loop") == ["etl: no scene breaches rate"]
    assert heard("breaker loop|check rate") == []


def test_a_scene_that_failed_shows_nothing() -> None:
    """Nor does one that was skipped."""
    assert len(heard("breaker loop|check rate", "failed")) == len(heard("breaker loop|check rate", "skipped")) == 2


def test_an_excuse_holds_only_as_long_as_it_is_needed() -> None:
    """Played meanwhile: out with it."""
    assert heard("breaker loop", excused={"etl/rate": "its source can't be had here"}) == []
    assert "needs no excuse" in heard("breaker loop|check rate", excused={"etl/rate": "once"})[0]


def test_a_run_of_some_scenes_is_left_alone() -> None:
    """One scene less than all."""
    played = Played(lambda pipeline: ["breaker loop"])
    played.collected(NODES[1:])
    assert played.faults() == []


def test_a_scene_tells_by_its_feed() -> None:
    """Opened breakers and breached checks, nothing that is well."""
    events = [
        {"event": "breaker.tripped", "breaker": "other"},
        {"event": "breaker.opened", "breaker": "loop"},
        {"event": "level.changed", "check": "rate", "now": "critical"},
        {"event": "level.changed", "check": "calm", "now": "ok"},
        {"event": "level.changed", "check": "blind", "now": "unknown"},
    ]
    assert told_by(events) == "breaker loop|check rate"


@pytest.mark.parametrize("pipeline", SCENES)
def test_every_pipeline_has_scenes_and_parts(pipeline: str) -> None:
    """By the names that the listener goes by."""
    assert any((ROOT / FOLDER).glob(f"{SCENES[pipeline]}*.py"))
    assert {part.split()[0] for part in parts_of(pipeline)} == {"breaker", "check"}
