"""Where the values of a valid file stand, for whoever has something to say of it later."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from monitor.config.document import build
from monitor.config.problems import START, KeyPath, Mark, Report
from monitor.config.source import read


def places(file: Path, environ: Mapping[str, str]) -> Mapping[KeyPath, Mark]:
    """Position by path; empty for a file that can't be read any more."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    report = Report(str(file))
    root = read(text, report)
    return {} if root is None else dict(build(root, str(file), environ, report).marks)


def place_of(path: KeyPath, marks: Mapping[KeyPath, Mark]) -> Mark:
    """The position of a path, or of its nearest ancestor that stands in the file."""
    for length in range(len(path), 0, -1):
        if (found := marks.get(path[:length])) is not None:
            return found
    return START
