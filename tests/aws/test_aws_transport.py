"""Decoding and TLS."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.aws.errors import Failure
from monitor.aws.pricing import request_price
from monitor.aws.transport import shared_tls, timestamp
from monitor.core.model import Reason
from monitor.core.prices import USAGE


@pytest.mark.parametrize(
    "written",
    [1772368480, 1772368480.0, "2026-03-01T12:34:40Z", "2026-03-01T13:34:40+01:00", "2026-03-01T12:34:40",
     "Sun, 01 Mar 2026 12:34:40 GMT", "1772368480"],
)  # fmt: skip
def test_every_way_aws_writes_a_time_is_read(written: object) -> None:
    """Epochs, ISO with and without a zone, and HTTP dates are aware UTC."""
    found = timestamp(written)
    assert (found, found.tzinfo) == (datetime(2026, 3, 1, 12, 34, 40, tzinfo=UTC), UTC)


@settings(deadline=None)
@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_a_time_survives_its_iso_form(at: datetime) -> None:
    """Fast parsing loses no precision."""
    assert timestamp(at.isoformat()) == at


def test_sessions_share_one_tls_context() -> None:
    """Thirty clients would otherwise hold thirty sets of root certificates."""
    http = shared_tls()
    first, second = (http(timeout=1)._build_verify_context() for _ in range(2))
    assert first is second
    assert first.check_hostname


def test_costs_are_those_of_the_price_list() -> None:
    """A Cost Explorer page is a cent, a queue read 0.4 millionths, a control plane call nothing."""
    assert request_price("ce", "GetCostAndUsage") == 0.01
    assert request_price("sqs", "GetQueueAttributes") == pytest.approx(4e-7)
    assert request_price("lambda", "GetFunction") == 0
    assert request_price("cloudwatch", "GetMetricData") == 0
    assert all(price.dollars > 0 and price.source for price in USAGE.values())


def test_a_failure_becomes_either_error() -> None:
    """Reason and detail are kept."""
    failure = Failure(Reason.DENIED, "no")
    assert failure.as_probe_error().reason is failure.as_action_error(idempotent=True).reason is Reason.DENIED
