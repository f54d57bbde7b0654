"""The usual run changes nothing of a bound's track, and costs next to nothing."""

from datetime import timedelta

from monitor.core.spec import Bound, Clear
from monitor.core.track import Novelty, Pace, Track, Zone, advance


def test_a_resting_track_stays_the_very_same() -> None:
    """The shortcut for the usual run answers what the long way would: nothing under way, nothing changes."""
    bound, pace = Bound(above=5, hold=timedelta(minutes=2), clear=Clear(below=3)), Pace(60.0, 60.0, 60.0)
    resting = advance(Track(), bound, Zone.CLEARED, Novelty.NEW, pace)
    assert resting.at_rest
    assert advance(resting, bound, Zone.CLEARED, Novelty.NEW, Pace(9e9, 180.0, 60.0)) is resting
    breached = advance(resting, bound, Zone.BREACHED, Novelty.NEW, pace)
    assert not breached.at_rest
    assert advance(breached, bound, Zone.CLEARED, Novelty.NEW, pace) == resting
    frozen = advance(resting, bound, Zone.UNDECIDED, Novelty.NEW, pace)
    assert advance(frozen, bound, Zone.CLEARED, Novelty.NEW, pace) == resting


def test_a_track_that_counts_datapoints_takes_no_shortcut() -> None:
    """M-of-N must see every cleared datapoint, or breached ones would stay in its window."""
    bound, pace = Bound(above=5, datapoints=2, of=3), Pace(60.0, 60.0, 60.0)
    track = Track()
    for zone in (Zone.BREACHED, Zone.CLEARED, Zone.CLEARED, Zone.CLEARED):
        track = advance(track, bound, zone, Novelty.NEW, pace)
    assert track.window == (False, False, False)
