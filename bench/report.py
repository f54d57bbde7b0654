"""A measured figure, and how figures are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """`goal` is the most that `value` may be (None: shown only). `peer` is the same thing done by `beside`."""

    metric: str
    value: float
    unit: str
    goal: float | None = None
    peer: float | None = None
    beside: str = ""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Value over peer."""
        return self.value / self.peer if self.peer else None

    @property
    def met(self) -> bool | None:
        """Whether the goal is met."""
        return None if self.goal is None else self.value <= self.goal

    def as_json(self) -> dict[str, Any]:
        """Plain values, with what follows from them."""
        return {**asdict(self), "ratio": self.ratio, "met": self.met}


def show(name: str, about: str, figures: Sequence[Figure]) -> None:
    """A table for people."""
    table = Table(title=f"{name}: {about}", title_justify="left", expand=False)
    for column in ("metric", "value", "goal", "peer", "ratio", "note"):
        table.add_column(column, justify="right" if column in ("value", "goal", "ratio") else "left")
    for one in figures:
        goal = "" if one.goal is None else f"<= {number(one.goal)} {'ok' if one.met else 'MISSED'}"
        peer = f"{number(one.peer)} {one.beside}" if one.peer is not None else ""
        ratio = f"{one.ratio:.2f}" if one.ratio is not None else ""
        table.add_row(one.metric, f"{number(one.value)} {one.unit}", goal, peer, ratio, one.note)
    Console(width=160).print(table)


def number(value: float) -> str:
    """Three digits that matter."""
    if value == int(value) and abs(value) < 1e9:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie; 0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


Say = Callable[[str], None]
