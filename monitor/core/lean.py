"""Records without what equals their defaults: timers are stored per target, and documents have a size limit.

`codec.decode` reads them back, since a missing key takes the field's default.
"""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from monitor.core.codec import encode
from monitor.core.model import Json


def lean(record: Any) -> dict[str, Json]:
    """A dataclass as JSON values, fields that hold their default left out, at every depth."""
    body: dict[str, Json] = {}
    for field in fields(record):
        value = getattr(record, field.name)
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if value != default:
            body[field.name] = lean(value) if is_dataclass(value) else encode(value)
    return body
