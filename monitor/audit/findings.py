"""What the linter says: of which place in which pipeline, how bad, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

KeyPath = tuple[str | int, ...]


class Gravity(StrEnum):
    """error: it can't work. warning: it does something else than it seems. note: it could not be told."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """`path` is in the pipeline's file; `todo` what to do."""

    pipeline: str
    path: KeyPath
    gravity: Gravity
    message: str
    todo: str = ""
