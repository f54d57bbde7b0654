"""A person's trip of a breaker that only observes is real, and the page says so before and after."""

from __future__ import annotations

from typing import Any

from web_sample import breaker, sample_status

from monitor.core.model import Level, Mode, State
from monitor.web.attention import pipeline_panels, todos
from monitor.web.overview import verdict


def test_a_trip_by_hand_is_no_observation() -> None:
    """Open in the verdict, in its pipeline's panel and on its switch, although its mode is observe."""
    shadow = breaker("loop", State.OPEN, mode=Mode.OBSERVE)
    drill = breaker("loop", State.OPEN, mode=Mode.OBSERVE, tripped_by="ann")
    assert (shadow.observes, drill.observes) == (True, False)
    status = sample_status()
    assert "would act" in str(verdict(status, (), (shadow,)))
    assert verdict(status, (), (drill,)).level is Level.CRITICAL
    panels = {one: pipeline_panels(status, (), (one,))[0] for one in (shadow, drill)}
    assert (panels[shadow].tripped, panels[drill].tripped) == (0, 1)
    assert [panels[one].switches[0].observes for one in (shadow, drill)] == [True, False]
    assert any("would have acted" in one.what for one in todos((shadow,), (), (), (), status.now))
    assert not any("would have acted" in one.what for one in todos((drill,), (), (), (), status.now))


async def test_the_question_says_that_a_drill_acts(client: Any) -> None:
    """Whoever trips an observing breaker by hand must not be told that nothing will change."""
    html = await (await client.get("/", headers={"Accept-Encoding": "identity"})).text()
    assert "a trip by hand acts all the same" in html
    assert "tripping records" not in html
