"""The terminal's picture: one signal in blocks, its bound as a line, trips underneath."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.text import Text

from monitor.backtest.picture import Picture
from monitor.core.sentence import quantity

_BLOCKS = " ▁▂▃▄▅▆▇█"
_PLAIN = " .:-=+*#@"
ROWS = 8
#: Columns beside the plot itself.
MARGIN = 12


def chart(picture: Picture, *, unicode: bool = True) -> list[Text]:
    """Lines as wide as the picture has slices, plus MARGIN. Without `unicode`: ASCII only."""
    low, top = picture.bottom, picture.top
    scale = (top - low) or 1.0
    lines = [Text(f"{picture.breaker}  {picture.check}.{picture.signal} of {picture.target}", style="bold")]
    bounds = {_row(value, low, scale): (value, level) for value, level in picture.bounds}
    for row in range(ROWS - 1, -1, -1):
        line = Text()
        drawn = bounds.get(row)
        label = quantity(drawn[0], "") if drawn else quantity(top, "") if row == ROWS - 1 else ""
        line.append(f"{label[: MARGIN - 3]:>{MARGIN - 2}} ")
        line.append("┤" if unicode else "|")
        style = {"critical": "red", "warning": "yellow"}.get(drawn[1], "") if drawn else ""
        for one in picture.slices:
            char, over = _char(one, row, low, scale, picture, unicode=unicode)
            if drawn and char == " ":
                line.append("─" if unicode else "-", style)
            else:
                line.append(char, "red" if over else "cyan")
        lines.append(line)
    lines.append(_marks(picture, unicode=unicode))
    first, last = (datetime.fromtimestamp(at, UTC) for at in (picture.start, picture.end))
    ends = f"{first:%m-%d %H:%M}", f"{last:%m-%d %H:%M} UTC"
    lines.append(Text(" " * MARGIN + ends[0] + ends[1].rjust(max(1, len(picture.slices) - len(ends[0])))))
    return lines


def _row(value: float, low: float, scale: float) -> int:
    return min(ROWS - 1, max(0, int((value - low) / scale * ROWS)))


def _char(
    one: tuple[float, float] | None, row: int, low: float, scale: float, picture: Picture, *, unicode: bool
) -> tuple[str, bool]:
    blocks = _BLOCKS if unicode else _PLAIN
    if one is None:
        return ("?" if row == 0 else " "), False
    eighths = round((one[1] - low) / scale * ROWS * 8) - row * 8
    if row == 0:
        eighths = max(1, eighths)
    over = any(level == "critical" and one[1] > value for value, level in picture.bounds)
    return blocks[max(0, min(8, eighths))], over


def _marks(picture: Picture, *, unicode: bool) -> Text:
    width = len(picture.slices)
    cells = [" "] * width
    bar, mark = ("━", "▲") if unicode else ("=", "^")
    span = (picture.end - picture.start) or 1.0
    for trip in picture.trips:
        first = min(width - 1, int((trip.start - picture.start) / span * width))
        last = min(width - 1, int((trip.end - picture.start) / span * width))
        for index in range(first, last + 1):
            cells[index] = bar if cells[index] == " " else cells[index]
        cells[first] = mark
    line = Text(f"{'trips':>{MARGIN - 2}}  ")
    line.append("".join(cells), "bold red")
    return line
