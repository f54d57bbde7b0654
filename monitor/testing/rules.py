"""What both contracts share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

PERMISSION = re.compile(r"[a-z0-9-]+:[A-Z][A-Za-z0-9]+")
NAME = re.compile(r"[a-z][a-z0-9_]*")


def require(holds: object, rule: str) -> None:
    """AssertionError(rule) unless it holds; unlike `assert` it also works under `python -O`."""
    if not holds:
        raise AssertionError(rule)


def is_documented(function: Callable[..., Any]) -> bool:
    """True if the function's module has a docstring."""
    return bool(getattr(function, "__globals__", {}).get("__doc__"))
