"""What the demo shows: a live screen on a terminal, timeline lines elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from monitor.demo.scenarios import Scenario

_BARS = "▁▂▃▄▅▆▇█"
_COLOURS = {"closed": "green", "tripping": "red", "open": "red", "half_open": "yellow"}
_MARKS = {"done": "✓", "running": "▶", "waiting": "…", "held": "‖", "retrying": "↻", "failed": "✗"}


@dataclass(slots=True)
class Screen:
    """Both faces of the demo. `say` adds a line to the timeline; `show` takes a new state."""

    scenario: Scenario
    out: TextIO
    tty: bool
    page: str = ""
    began: float = field(default_factory=time.monotonic)
    values: deque[float] = field(default_factory=lambda: deque(maxlen=60))
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=12))
    breaker: Mapping[str, Any] = field(default_factory=dict)
    proven: list[str] = field(default_factory=list)
    note: str = ""
    live: Live | None = None

    def __enter__(self) -> Screen:
        if self.tty:
            console = Console(file=self.out)
            self.live = Live(self.render(), console=console, refresh_per_second=4, transient=False)
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live is not None:
            self.live.update(self.render())
            self.live.stop()
            self.live = None

    def say(self, who: str, text: str) -> None:
        """A line of the timeline, with the seconds since the start."""
        line = f"+{time.monotonic() - self.began:6.1f}s  {who:<13}  {text}"
        self.lines.append(line)
        if self.live is None:
            print(line, file=self.out, flush=True)
        else:
            self.live.update(self.render())

    def show(self, breaker: Mapping[str, Any], value: float | None, note: str) -> None:
        """A new state of the breaker, the newest reading, what else there is to see."""
        self.breaker, self.note = breaker, note
        if value is not None:
            self.values.append(value)
        if self.live is not None:
            self.live.update(self.render())

    def render(self) -> RenderableType:
        """The whole screen."""
        state = str(self.breaker.get("state", "closed"))
        head = Text.assemble(
            (self.scenario.title, "bold"),
            "\n\nbreaker ",
            (f"etl/{self.scenario.breaker}", "bold"),
            "  ",
            (f" {state} ", f"bold reverse {_COLOURS.get(state, 'white')}"),
            f"  {self.breaker.get('reason', '')}",
        )
        foot = Text(f"status page {self.page}   Ctrl-C ends the demo", style="dim")
        return Panel(
            Group(head, Text(), self._chart(), Text(), self._stages(), Text(), self._steps(), self._timeline(), foot),
            title="tripswitch demo",
            subtitle=self.scenario.name,
        )

    def _chart(self) -> Text:
        watch = self.scenario.watch
        top = max([watch.threshold * 1.25, *self.values, 1.0])
        text = Text()
        for value in self.values:
            bar = _BARS[min(len(_BARS) - 1, int(value / top * (len(_BARS) - 1)))]
            text.append(bar, style="red" if value > watch.threshold else "green")
        newest = f"{self.values[-1]:g}" if self.values else "-"
        return text.append(f"  {newest} {watch.unit} (threshold {watch.threshold:g})").append(
            f"   {self.note}", style="bold"
        )

    def _stages(self) -> Text:
        text = Text()
        for stage in self.scenario.stages:
            done = stage.name in self.proven
            text.append(f"{'✓' if done else '·'} {stage.name}   ", style="bold green" if done else "dim")
        return text

    def _steps(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for step in self.breaker.get("steps", ()):
            detail = step["detail"] or step["summary"]
            remaining = [c["remaining"] for c in step.get("changes", ()) if c.get("remaining")]
            if remaining:
                detail = f"{detail} ({sum(remaining)} left)"
            table.add_row(_MARKS.get(step["phase"], "·"), step["verb"], step["phase"], detail[:90])
        return table

    def _timeline(self) -> Text:
        return Text("\n" + "\n".join(self.lines) + "\n", style="dim")


def verdict(scenario: Scenario, proven: Sequence[str]) -> str:
    """What was seen, or what is missing."""
    missing = [stage for stage in scenario.stages if stage.name not in proven]
    if not missing:
        return f"proven in the emulator: {', '.join(stage.name for stage in scenario.stages)}"
    return "missing: " + "; ".join(f"{stage.name} ({stage.text})" for stage in missing)
