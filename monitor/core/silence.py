"""Silences: a person mutes notices (and, if asked, holds actions) for what matches, until an end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from monitor.core.model import Json
from monitor.core.view import SilenceView

LABELS = ("pipeline", "check", "breaker", "target", "severity")


@dataclass(frozen=True, slots=True)
class Silence:
    """Active from `starts` until just before `until`. Every matcher must match; see `matches` for globs."""

    id: str
    matchers: Mapping[str, str]
    starts: datetime
    until: datetime
    by: str
    comment: str = ""
    hold_actions: bool = False

    def __post_init__(self) -> None:
        """Refuse what would never apply, or apply to everything by accident. Raises ValueError."""
        check_matchers(self.matchers)
        if self.until <= self.starts:
            raise ValueError("a silence ends after it starts (give for example --for 2h)")

    def active(self, now: datetime) -> bool:
        """Whether it applies at `now`."""
        return self.starts <= now < self.until

    def to_json(self) -> dict[str, Json]:
        """Plain values; `from_json` reads them back exactly."""
        return {
            "id": self.id, "matchers": dict(self.matchers), "starts": self.starts.isoformat(),
            "until": self.until.isoformat(), "by": self.by, "comment": self.comment, "hold_actions": self.hold_actions,
        }  # fmt: skip

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Silence:
        """The value `to_json` described. Raises KeyError or ValueError for anything else."""
        return cls(
            body["id"], dict(body["matchers"]), datetime.fromisoformat(body["starts"]),
            datetime.fromisoformat(body["until"]), body["by"], body["comment"], body["hold_actions"],
        )  # fmt: skip

    def to_view(self) -> SilenceView:
        """As page and API show it."""
        return SilenceView(self.id, dict(self.matchers), self.until, self.by, self.comment, self.hold_actions)


def check_matchers(matchers: Mapping[str, str]) -> None:
    """Raise ValueError, with an example, for no matchers, an unknown label or an empty pattern."""
    if not matchers:
        raise ValueError("a silence needs a matcher (for example pipeline=etl, or breaker=etl/s3-*)")
    for label, pattern in matchers.items():
        if label not in LABELS:
            raise ValueError(
                f"{label!r} is not a label of a silence (use {', '.join(LABELS)}; for example check=dlq-*)"
            )
        if not pattern:
            raise ValueError(f"the pattern of {label} is empty (write for example {label}=etl-*)")


def matches(matchers: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether every matcher matches its label, case-sensitively; a label that is absent matches nothing.

    Globs are `*`, `?`, `[ab]`. A check or breaker may be named as people address it: `PIPELINE/BREAKER`.
    """
    return all(_match(label, pattern, labels) for label, pattern in matchers.items())


def matching(silences: Iterable[Silence], labels: Mapping[str, str], now: datetime) -> list[Silence]:
    """The silences that apply to something with these labels at `now`, the last to end first."""
    found = [silence for silence in silences if silence.active(now) and matches(silence.matchers, labels)]
    return sorted(found, key=lambda silence: silence.until, reverse=True)


def _match(label: str, pattern: str, labels: Mapping[str, str]) -> bool:
    if label not in labels:
        return False
    value = labels[label]
    if label in {"check", "breaker"} and "/" in pattern:
        value = f"{labels.get('pipeline', '')}/{value}"
    # Equality first: a target may itself hold brackets.
    return value == pattern or fnmatchcase(value, pattern)
