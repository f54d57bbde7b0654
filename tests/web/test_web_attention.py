"""What waits for a person: only what a person can do something about."""

from __future__ import annotations

import pytest
from web_sample import check, sample_status

from monitor.core.model import Level, Reason
from monitor.web.attention import todos


@pytest.mark.parametrize("told", [True, False])
def test_a_check_that_may_stay_unknown_is_nobodys_task(told: bool) -> None:
    """`unknown_for: off` says that not to see this is expected (AWS Health without a support plan)."""
    blind = check("aws-health", "aws_query", Level.UNKNOWN, 1, reason=Reason.DENIED, tells_unknown=told)
    found = todos((), (), (blind,), (), sample_status().now)
    assert [one.about for one in found] == (["aws-health"] if told else [])
