"""The report: one HTML file that needs nothing else: inline SVG, no script, no request, dark mode, fit to print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from monitor.backtest import svg, words
from monitor.backtest.picture import Picture
from monitor.backtest.result import Outcome
from monitor.backtest.score import Score
from monitor.backtest.sweep import Swept

#: Slices of a course: about one per pixel of a wide screen.
SLICES = 880

_STYLE = """
:root{color-scheme:light dark;--ink:#1a1f29;--soft:#5b6472;--line:#d9dde4;--paper:#fff;--bad:#b3261e;--warn:#8a5a00;
--good:#1b6e3c;--course:#2457a6;--shade:#b3261e33}
@media (prefers-color-scheme:dark){:root{--ink:#e7eaf0;--soft:#a2abba;--line:#39404d;--paper:#14171d;--bad:#ff8a80;
--warn:#ffc66d;--good:#7ddba0;--course:#8ab4ff;--shade:#ff8a8040}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:70rem;padding:1.5rem;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .5rem}p{margin:.3rem 0}
.soft,caption{color:var(--soft)}caption{text-align:left;padding:.2rem 0}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;vertical-align:top;padding:.3rem .7rem .3rem 0;border-bottom:1px solid var(--line)}
th{font-weight:600;white-space:nowrap}
figure{margin:1rem 0}figcaption{font-size:.9rem}
svg{width:100%;height:auto;font:12px system-ui,sans-serif;display:block}svg text{fill:var(--soft)}
.course{fill:none;stroke:var(--course);stroke-width:1.2}.grid{stroke:var(--line)}
.bound{stroke-dasharray:6 4;stroke-width:1.2}.bound.critical{stroke:var(--bad)}.bound.warning{stroke:var(--warn)}
svg text.critical{fill:var(--bad)}svg text.warning{fill:var(--warn)}
.trip{fill:var(--shade);stroke:var(--bad);stroke-width:.5}.label{fill:var(--good)}
.point{fill:var(--course);fill-opacity:.6}.chosen{fill:none;stroke:var(--bad);stroke-width:3}
.hold{fill:none;stroke:var(--course);stroke-opacity:.4}
tr.chosen td{font-weight:700}
@media print{:root{color-scheme:light;--ink:#000;--soft:#333;--line:#999;--paper:#fff;--course:#000;--shade:#0002;
--bad:#000;--warn:#000;--good:#000}
body{max-width:none;padding:0;font-size:11pt}figure,tr{break-inside:avoid}h2{break-after:avoid}.wide{overflow:visible}}
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


@dataclass(frozen=True, slots=True)
class Content:
    """What a report tells."""

    outcome: Outcome
    pictures: Sequence[Picture]
    scores: Mapping[str, Score] | None = None
    swept: Swept | None = None
    version: str = ""


def html(content: Content) -> str:
    """The whole page."""
    outcome = content.outcome
    span = outcome.span
    when = f"{words.moment(span.start)} to {words.moment(span.end)} UTC"
    body = [
        "<header><h1>Backtest</h1>",
        f'<p class="soft">{escape(when)}, {outcome.runs} runs judged by tripswitch {escape(content.version)}.'
        " Nothing was changed; history does not answer to a cut.</p></header><main>",
        _section("Breakers", _table(*words.summary_rows(outcome, content.scores))),
    ]
    if content.pictures:
        body.append("<section><h2>Courses</h2>" + "".join(_figure(one) for one in content.pictures) + "</section>")
    trips = words.trip_rows(outcome)
    columns = ["Breaker", "From", "To", "Open", "Cut", "Ended", "Why"]
    body.append(_section("Trips", _table(columns, trips) if trips else "<p>None.</p>"))
    plans = words.plan_lines(outcome.courses)
    if plans:
        items = "".join(f"<li>{escape(line)}</li>" for line in plans)
        body.append(_section("What the playbooks would have done", f"<ul>{items}</ul>"))
    if content.swept is not None:
        body.append(_sweep(content.swept))
    doubtful = words.source_rows(outcome)
    if doubtful:
        body.append(
            _section("Signals that are not the daemon's own reading", _table(["Signal", "History", "Why"], doubtful))
        )
    if outcome.notes:
        body.append(_section("Notes", "<ul>" + "".join(f"<li>{escape(n)}</li>" for n in outcome.notes) + "</ul>"))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Backtest {escape(when)}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(body)}</main></body></html>\n"
    )


def _section(title: str, inner: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{inner}</section>"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], chosen: int = -1) -> str:
    head = "".join(f'<th scope="col">{escape(column.capitalize())}</th>' for column in columns)
    lines = "".join(
        f"<tr{' class=chosen' if index == chosen else ''}>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
        for index, row in enumerate(rows)
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'


def _figure(picture: Picture) -> str:
    caption = f"{picture.breaker}: {picture.check}.{picture.signal} of {picture.target}"
    labelled = "; green: labelled incidents" if picture.labels else ""
    return (
        f"<figure>{svg.course_of(picture)}<figcaption>{escape(caption)}"
        f' <span class="soft">(red: open{labelled})</span></figcaption></figure>'
    )


def _sweep(swept: Swept) -> str:
    rows = words.sweep_rows(swept)
    chosen = next((index for index, point in enumerate(swept.points) if point.chosen), -1)
    what = (
        "Precision against median delay; a larger dot finds more; the ring is what is configured."
        if swept.labelled
        else "Trips against the bound, a line per “for”; the ring is what is configured."
    )
    inner = f"<figure>{svg.sweep_of(swept)}<figcaption>{escape(what)}</figcaption></figure>"
    table = _table(words.sweep_columns(swept), rows, chosen)
    return _section(f"Sweep of {swept.check}.{swept.signal}", inner + table)
