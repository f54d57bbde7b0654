"""What the tests of kinds share."""

from __future__ import annotations

from datetime import datetime

import pytest

from monitor.plugin import ProbeError, Reason
from monitor.testing import EPOCH


@pytest.fixture
def now() -> datetime:
    """When the runs of these tests start: a Wednesday noon."""
    return EPOCH


@pytest.fixture
def gone() -> ProbeError:
    """What the reader raises for a resource that isn't there."""
    return ProbeError(Reason.NOT_FOUND, "no such resource")


@pytest.fixture
def down() -> ProbeError:
    """What the reader raises when AWS gives no proper answer."""
    return ProbeError(Reason.UNAVAILABLE, "no answer")
