"""Every shipped kind keeps the contract of a kind."""

from __future__ import annotations

from typing import Any

import pytest

from checks import KINDS
from monitor.plugin import Check
from monitor.testing import assert_check_conforms


@pytest.mark.parametrize("check", KINDS, ids=lambda check: check.kind)
async def test_a_kind_conforms(check: Check[Any]) -> None:
    """Declarations are whole, the example parses, and no failed read becomes a value."""
    await assert_check_conforms(check)


def test_kinds_have_distinct_names() -> None:
    """A pipeline file names a kind; two of one name would hide each other."""
    assert len({check.kind for check in KINDS}) == len(KINDS)
