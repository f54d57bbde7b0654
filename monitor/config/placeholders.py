"""`${trip...}` in a step's parameters: known only when the step runs, so models are tried with stand-ins."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.config.variables import TRIP_FIELDS
from monitor.core.model import Json

TARGETS = "${trip.targets}"
_STAND_INS = {f"${{trip.{name}}}": f"trip-{name.replace('_', '-')}" for name in TRIP_FIELDS}


def with_dummies(data: Json) -> Json:
    """A copy in which every placeholder is a plain word."""
    if isinstance(data, str):
        for placeholder, word in _STAND_INS.items():
            data = data.replace(placeholder, word)
        return data
    if isinstance(data, Mapping):
        return {key: with_dummies(value) for key, value in data.items()}
    if isinstance(data, list):
        return [with_dummies(value) for value in data]
    return data
