"""`check`: which exit code, and what a single round shows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from monitor.cli import check
from monitor.cli.check import EXIT_CODES, worst_of
from monitor.cli.talk import clean
from monitor.core.model import Level, Reason, Row

AT = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)


def row(level: Level, **rest: object) -> Row:
    """A row of one signal."""
    values: dict[str, object] = {
        "pipeline": "etl", "check": "depth", "kind": "queue_depth", "target": "dlq", "signal": "visible",
        "unit": "messages", "value": 12.0, "at": AT, "since": AT,
    }  # fmt: skip
    return Row(level=level, **(values | rest))  # type: ignore[arg-type]  # a table of test values


@pytest.mark.parametrize(
    ("levels", "code"),
    [
        ([], 0),
        ([Level.OK, Level.OK], 0),
        ([Level.OK, Level.WARNING], 1),
        ([Level.WARNING, Level.UNKNOWN, Level.OK], 3),
        ([Level.UNKNOWN, Level.CRITICAL, Level.WARNING], 2),
    ],
)
def test_the_worst_level_is_the_exit_code(levels: list[Level], code: int) -> None:
    """Critical before unknown before warning before ok."""
    assert EXIT_CODES[worst_of(levels)] == code


def test_a_pending_breach_is_marked() -> None:
    """The level stays what it is, and the mark stands beside it."""
    cells = check.cells(row(Level.OK, pending=True, detail="12 messages above 10, pending"))
    assert cells[0] == "ok (pending)"
    assert cells[-1] == "12 messages above 10, pending"


def test_a_failed_read_shows_its_reason() -> None:
    """No value, and why."""
    cells = check.cells(row(Level.UNKNOWN, value=None, reason=Reason.DENIED, detail="sqs:GetQueueAttributes"))
    assert cells[-2:] == ("-", "denied: sqs:GetQueueAttributes")


def test_what_is_only_the_value_again_is_left_out() -> None:
    """A quiet row has no reason to tell."""
    assert check.cells(row(Level.OK, detail="12 messages"))[-1] == ""


def test_text_from_outside_is_printable() -> None:
    """Escapes are shown, line ends and tabs stay."""
    assert clean("a\x1b[2Jb\x9bc\td\n") == "a?[2Jb?c\td\n"
