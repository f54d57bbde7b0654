"""Every shipped kind keeps the contract of a kind."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import pytest

import checks
from checks import KINDS
from monitor.plugin import Check
from monitor.testing import assert_check_conforms


@pytest.mark.parametrize("check", KINDS, ids=lambda check: check.kind)
async def test_a_kind_conforms(check: Check[Any]) -> None:
    """Declarations are whole, the example parses, and no failed read becomes a value."""
    await assert_check_conforms(check)


def test_every_module_with_a_kind_is_in_the_list_once() -> None:
    """What is not in the list does not exist for the product; two of one name would hide each other."""
    modules = [importlib.import_module(found.name) for found in pkgutil.iter_modules(checks.__path__, "checks.")]
    written = [module.CHECK.kind for module in modules if hasattr(module, "CHECK")]
    assert sorted(check.kind for check in KINDS) == sorted(set(written))
