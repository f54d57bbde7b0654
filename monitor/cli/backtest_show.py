"""What `tripswitch backtest` prints and writes."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.cli.talk import count, die, say, show, show_json, show_table

if TYPE_CHECKING:
    from monitor.backtest.result import Outcome
    from monitor.backtest.score import Label, Score
    from monitor.backtest.sweep import Swept
    from monitor.backtest.tape import Tape
    from monitor.core.spec import Pipeline


@dataclass(slots=True)
class Found:
    """Everything a report needs."""

    outcome: Outcome
    tapes: Mapping[str, Tape]
    pipelines: Sequence[Pipeline]
    labels: Sequence[Label] | None
    scores: Mapping[str, Score] | None
    swept: Swept | None = None


def tell(found: Found, output: str) -> None:
    """Everything on stdout; notes on stderr."""
    from monitor.backtest import words

    outcome = found.outcome
    if output == "json":
        show_json(words.document(outcome, found.scores, found.swept))
        return
    columns, rows = words.summary_rows(outcome, found.scores)
    show_table(columns, rows)
    _draw(found)
    trips = words.trip_rows(outcome)
    if trips:
        show_table(("BREAKER", "FROM", "TO", "OPEN", "CUT", "ENDED", "WHY"), trips)
    plans = words.plan_lines(outcome.courses)
    if plans:
        show("\n".join(["the playbooks would have done:", *(f"  {line}" for line in plans)]) + "\n")
    if found.swept is not None:
        swept = found.swept
        show_table(words.sweep_columns(swept), words.sweep_rows(swept), f"{swept.check}.{swept.signal} (* configured)")
    doubtful = words.source_rows(outcome)
    if doubtful:
        show_table(("SIGNAL", "HISTORY", "WHY"), doubtful)
    for note in outcome.notes:
        say(f"note: {note}")
    span = outcome.span
    say(f"{count(outcome.runs, 'run')} from {words.moment(span.start)} to {words.moment(span.end)} UTC replayed")


def _draw(found: Found) -> None:
    """Each breaker's signal, as wide as the terminal; colours only on one, and never with NO_COLOR."""
    from rich.console import Console

    from monitor.backtest.chart import MARGIN, chart
    from monitor.backtest.picture import pictures

    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    width = min(console.width if console.is_terminal else 100, 160)
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower()
    slices = max(20, width - MARGIN)
    for picture in pictures(found.outcome, found.pipelines, found.tapes, found.labels, slices):
        for line in chart(picture, unicode=encoding.startswith("utf")):
            console.print(line)
        console.print()


def write(found: Found, path: Path) -> None:
    """The report, by its suffix. Ends the command if it can't be made."""
    from monitor import __version__
    from monitor.backtest.page import SLICES, Content, html
    from monitor.backtest.picture import pictures
    from monitor.backtest.png import NoBrowser, draw

    shown = pictures(found.outcome, found.pipelines, found.tapes, found.labels, SLICES)
    page = html(Content(found.outcome, shown, found.scores, found.swept, __version__))
    try:
        if path.suffix == ".png":
            trips = sum(len(course.trips) for course in found.outcome.courses)
            draw(page, path, 500 + 320 * (len(shown) + (found.swept is not None)) + 60 * trips)
        else:
            path.write_text(page, encoding="utf-8")
    except (NoBrowser, OSError) as error:
        die(str(error))
    say(f"{path} written")
