"""structlog for ours, the standard library's logging for others', one stream, one format, one redactor."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

from monitor.core.model import Reason
from monitor.telemetry.redaction import Redactor

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logging(log_format: str, level: str, redactor: Redactor, stream: TextIO | None = None) -> None:
    """Once at start (again in tests). `log_format`: auto | json | console; auto is JSON unless `stream` (stdout) is
    a terminal. Libraries log from warning on, whatever `level` is. Raises ValueError for other words."""
    out = stream if stream is not None else sys.stdout
    if level.lower() not in _LEVELS:
        raise ValueError(f"log level {level!r} is none of {', '.join(_LEVELS)}")
    if log_format not in {"auto", "json", "console"}:
        raise ValueError(f"log format {log_format!r} is none of auto, json, console")
    as_json = log_format == "json" or (log_format == "auto" and not out.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _trace_bugs_only,
    ]
    ending = _ending(as_json, redactor, colors=out.isatty())
    structlog.configure(
        processors=[*shared, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level.lower()]),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        # Loggers made before this call must obey it too.
        cache_logger_on_first_use=False,
    )
    _route_libraries(out, [_mark_foreign, *shared], ending)


def _ending(as_json: bool, redactor: Redactor, *, colors: bool) -> Sequence[Processor]:
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False, sort_keys=False)
        if as_json
        else structlog.dev.ConsoleRenderer(
            colors=colors, timestamp_key="at", exception_formatter=structlog.dev.plain_traceback
        )
    )
    return [structlog.processors.format_exc_info, redactor, renderer]


def _route_libraries(out: TextIO, before: list[Processor], ending: Sequence[Processor]) -> None:
    """One handler on the root: aiohttp, botocore, asyncio, warnings, anybody's."""
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    root = logging.getLogger()
    for old in list(root.handlers):
        # Ours of an earlier call only: a test runner's own handlers stay.
        if isinstance(old.formatter, structlog.stdlib.ProcessorFormatter):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)


def _mark_foreign(logger: Any, method: str, event: EventDict) -> EventDict:
    """A library's record: its logger's name, and a traceback it thought worth logging counts as a bug's."""
    record: logging.LogRecord = event["_record"]
    event["logger"] = record.name
    if record.exc_info:
        event.setdefault("reason", Reason.BUG.value)
    return event


def _trace_bugs_only(logger: Any, method: str, event: EventDict) -> EventDict:
    """For an expected failure the kind and text of the error say enough; a traceback is for a bug."""
    info = event.get("exc_info")
    if not info or event.get("reason") == Reason.BUG:
        return event
    event.pop("exc_info")
    error = info if isinstance(info, BaseException) else (info[1] if isinstance(info, tuple) else sys.exc_info()[1])
    if error is not None:
        event.setdefault("error", f"{type(error).__name__}: {error}")
    return event
