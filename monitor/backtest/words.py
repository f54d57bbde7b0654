"""The result in words and as a document: what the command prints, and what `--output json` gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from monitor.backtest.result import Course, Outcome, Tripped
from monitor.backtest.score import Score
from monitor.backtest.sweep import Swept
from monitor.backtest.tape import Fidelity
from monitor.core.durations import format_duration
from monitor.core.sentence import quantity


def shortly(span: timedelta) -> str:
    """`2d4h`, `17m`: two units are enough for people."""
    seconds = round(span.total_seconds())
    grain = 3600 if seconds >= 86_400 else 60 if seconds >= 3600 else 1
    return format_duration(timedelta(seconds=seconds // grain * grain)) or "0s"


def moment(at: datetime | None) -> str:
    """`2026-03-14 09:26`, UTC."""
    return "-" if at is None else f"{at:%Y-%m-%d %H:%M}"


def cause(trip: Tripped) -> str:
    """What tripped it."""
    return trip.reason


def share(value: float | None) -> str:
    """`93 %`; `-` where nothing can be said."""
    return "-" if value is None else f"{100 * value:.0f} %"


def summary_rows(outcome: Outcome, scores: Mapping[str, Score] | None) -> tuple[list[str], list[list[str]]]:
    """The table of breakers: columns and rows."""
    columns = ["BREAKER", "MODE", "TRIPS", "OPEN", "CUT"]
    if scores is not None:
        columns += ["TRUE", "FALSE", "MISSED", "PRECISION", "RECALL", "DELAY"]
    columns.append("NOTES")
    rows = []
    for course in outcome.courses:
        cut = shortly(course.off_for) if course.cuts_sources else "-"
        trips = "unknown" if course.is_deaf else str(len(course.counted))
        row = [course.breaker, course.mode, trips, shortly(course.open_for), cut]
        if scores is not None:
            row += score_cells(scores[course.breaker])
        rows.append([*row, "; ".join(course_notes(course))])
    return columns, rows


def score_cells(score: Score) -> list[str]:
    """TRUE, FALSE, MISSED, PRECISION, RECALL, DELAY."""
    delay = "-" if score.delay is None else shortly(score.delay)
    counts = [str(score.true), str(score.false), str(score.missed)]
    return [*counts, share(score.precision), share(score.recall), delay]


def course_notes(course: Course) -> list[str]:
    """What a reader must know beside the numbers."""
    notes = ["no history of what trips it"] if course.is_deaf else []
    if course.deaf and not course.is_deaf:
        notes.append(f"deaf to {', '.join(text.split(': ')[0] for text in course.deaf)}")
    withdrawn = len(course.trips) - len(course.counted)
    if withdrawn:
        notes.append(f"{withdrawn} withdrawn before an approval")
    if any(trip.latched for trip in course.trips):
        notes.append("latched: trips_per_day was reached")
    relapses = sum(trip.relapses for trip in course.trips)
    if relapses:
        notes.append(f"{relapses} relapse{'s' if relapses > 1 else ''}")
    if course.trips and course.trips[-1].end is None:
        waiting = course.trips[-1].waiting
        notes.append("still open at the end" + (f" ({waiting})" if waiting else ""))
    return notes


def trip_rows(outcome: Outcome) -> list[list[str]]:
    """BREAKER, FROM, TO, OPEN, CUT, ENDED, WHY."""
    rows = []
    for course in outcome.courses:
        for trip in course.trips:
            end = outcome.span.end
            rows.append(
                [
                    course.breaker,
                    moment(trip.start),
                    moment(trip.end),
                    shortly(trip.open_for(end)),
                    shortly(trip.off_for(end)) if course.cuts_sources else "-",
                    trip.ended + (", latched" if trip.latched else ""),
                    cause(trip),
                ]
            )
    return rows


def source_rows(outcome: Outcome) -> list[list[str]]:
    """CHECK.SIGNAL, FIDELITY, WHY of every signal that is not the probe's own reading."""
    return [
        [f"{check}.{signal}", source.fidelity.value, source.note]
        for check, signals in outcome.sources.items()
        for signal, source in signals.items()
        if source.fidelity in (Fidelity.APPROXIMATE, Fidelity.NONE)
    ]


def document(outcome: Outcome, scores: Mapping[str, Score] | None, swept: Swept | None = None) -> dict[str, Any]:
    """For programs: seconds, ISO times, nulls for what can't be said."""
    found: dict[str, Any] = {
        "start": outcome.span.start.isoformat(),
        "end": outcome.span.end.isoformat(),
        "runs": outcome.runs,
        "breakers": [_course(course, scores) for course in outcome.courses],
        "signals": [
            {"check": check, "signal": signal, "fidelity": source.fidelity.value, "note": source.note}
            for check, signals in outcome.sources.items()
            for signal, source in signals.items()
        ],
        "notes": outcome.notes,
    }
    if swept is not None:
        found["sweep"] = sweep_document(swept)
    return found


def _course(course: Course, scores: Mapping[str, Score] | None) -> dict[str, Any]:
    end = course.span.end
    told: dict[str, Any] = {
        "breaker": course.breaker,
        "mode": course.mode,
        "trips": len(course.counted),
        "open_seconds": course.open_for.total_seconds(),
        "cut_seconds": course.off_for.total_seconds() if course.cuts_sources else None,
        "deaf": list(course.deaf),
        "history": [_trip(trip, end) for trip in course.trips],
    }
    if scores is not None:
        told["score"] = score_document(scores[course.breaker])
    return told


def score_document(score: Score) -> dict[str, Any]:
    """The numbers of a score."""
    return {
        "true": score.true,
        "false": score.false,
        "missed": score.missed,
        "precision": score.precision,
        "recall": score.recall,
        "median_delay_seconds": None if score.delay is None else score.delay.total_seconds(),
    }


def _trip(trip: Tripped, end: datetime) -> dict[str, Any]:
    return {
        "start": trip.start.isoformat(),
        "opened": trip.opened.isoformat() if trip.opened else None,
        "end": trip.end.isoformat() if trip.end else None,
        "ended": trip.ended,
        "open_seconds": trip.open_for(end).total_seconds(),
        "cut_seconds": trip.off_for(end).total_seconds(),
        "reason": trip.reason,
        "targets": list(trip.targets),
        "causes": [
            {"check": c.check, "signal": c.signal, "target": c.target, "value": c.value, "reason": c.reason}
            for c in trip.causes
        ],
        "would_do": list(trip.plans),
        "relapses": trip.relapses,
        "latched": trip.latched,
        "waiting": trip.waiting,
    }


def plan_lines(courses: Sequence[Course]) -> list[str]:
    """What the playbooks would have done, once per different plan."""
    lines: dict[str, int] = {}
    for course in courses:
        for trip in course.trips:
            for plan in trip.plans:
                line = f"{course.breaker}: {plan}"
                lines[line] = lines.get(line, 0) + 1
    return [f"{line} ({times}x)" if times > 1 else line for line, times in lines.items()]


def sweep_columns(swept: Swept) -> list[str]:
    """The columns of `sweep_rows`."""
    columns = [swept.side.upper(), "FOR", "TRIPS", "OPEN", "CUT"]
    return [*columns, "TRUE", "FALSE", "MISSED", "PRECISION", "RECALL", "DELAY"] if swept.labelled else columns


def sweep_rows(swept: Swept) -> list[list[str]]:
    """One row per bound and `for`; the configured one is marked."""
    rows = []
    for point in swept.points:
        bound = quantity(point.bound, swept.unit) + (" *" if point.chosen else "")
        row = [bound, shortly(point.hold), str(point.trips), shortly(point.open_for), shortly(point.off_for)]
        rows.append([*row, *(score_cells(point.score) if point.score is not None else [])])
    return rows


def sweep_document(swept: Swept) -> dict[str, Any]:
    """For programs."""
    return {
        "check": swept.check,
        "signal": swept.signal,
        "side": swept.side,
        "points": [
            {
                "bound": point.bound,
                "for_seconds": point.hold.total_seconds(),
                "trips": point.trips,
                "open_seconds": point.open_for.total_seconds(),
                "cut_seconds": point.off_for.total_seconds(),
                "configured": point.chosen,
                **({"score": score_document(point.score)} if point.score is not None else {}),
            }
            for point in swept.points
        ],
    }
