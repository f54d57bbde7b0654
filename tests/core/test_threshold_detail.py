"""What a kind says beside its number reaches the operator with the reason."""

from datetime import timedelta

import pytest

from monitor.core.model import Observation, Reason
from monitor.core.spec import Bound, SignalSpec
from monitor.core.threshold import LONGEST_DETAIL, SignalState, judge
from monitor.testing import EPOCH

SPEC = SignalSpec(warning=Bound(above=0))


def reason(value: float | None, detail: str, why: Reason | None = None) -> str:
    """Of the verdict on one observation."""
    seen = Observation("violations", "q", value, "settings", EPOCH, why, detail, exists=True)
    _, verdict = judge(SPEC, SignalState(), seen, EPOCH + timedelta(seconds=1), None, 60)
    return verdict.reason


@pytest.mark.parametrize(
    ("value", "detail", "told"),
    [
        (2.0, "set VisibilityTimeout to 1800", "2 settings above 0 (set VisibilityTimeout to 1800)"),
        (2.0, "", "2 settings above 0"),
        (0.0, "nothing is wrong", "0 settings"),
    ],
    ids=["said with the breach", "nothing to say", "not said of what is well"],
)
def test_the_detail_is_part_of_the_reason(value: float, detail: str, told: str) -> None:
    """Incidents, the page and `check` all show the verdict's reason."""
    assert reason(value, detail) == told


def test_a_long_detail_is_cut() -> None:
    """Reasons go into notices and titles."""
    assert len(reason(1.0, "x" * 5000)) < LONGEST_DETAIL + 40


def test_a_failed_read_is_told_as_before() -> None:
    """Its detail is the failure, not an explanation of a value."""
    assert "above" not in reason(None, "no answer", Reason.UNAVAILABLE)
