"""CloudWatch Logs that search: filter patterns by AWS's syntax, Insights queries that run, are looked at and stopped.

Sources: API_FilterLogEvents with "Filter pattern syntax"; API_StartQuery (times in seconds, both ends included, at
most 50 groups, limit 10,000), API_GetQueryResults (Scheduled and Running before Complete; here the first look finds
it running), API_StopQuery (refused once a query ended). moto returns every event for most patterns and ignores filter
and stats.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.logs.models import logs_backends
from moto.logs.utils import EventMessageFilter

from monitor.demo.emulator import insights
from monitor.demo.emulator.calls import Call, Reply, answer, refuse
from monitor.demo.emulator.log_words import BadPattern, matches
from monitor.demo.emulator.state import Answerer, Emulator, patch

#: Queries remembered; the oldest goes first.
_MOST = 200


def install(emulator: Emulator) -> Mapping[str, Answerer]:
    """Mend the patterns; the query operations answered here."""
    patch(EventMessageFilter, "__init__", lambda _: _take)
    patch(EventMessageFilter, "matches", lambda _: _match)
    desk = Desk()
    return {
        "logs:StartQuery": desk.start,
        "logs:GetQueryResults": desk.look,
        "logs:StopQuery": desk.stop,
    }


def _take(wanted: Any, pattern: str) -> None:
    wanted.pattern = pattern or ""


def _match(wanted: Any, message: str) -> bool:
    try:
        return matches(wanted.pattern, message)
    except BadPattern as error:
        raise JsonRESTError("InvalidParameterException", f"Invalid filter pattern: {error}") from error


@dataclass(slots=True)
class Query:
    """One query: its answer is known at once, and told from the second look on."""

    rows: list[dict[str, str]]
    scanned: int
    looks: int = 0
    status: str = "Running"


@dataclass(slots=True)
class Desk:
    """Queries by id."""

    queries: dict[str, Query] = field(default_factory=dict)

    def start(self, call: Call) -> Reply | None:
        """StartQuery."""
        asked = call.json()
        names = asked.get("logGroupNames") or [asked[key] for key in ("logGroupName",) if key in asked]
        names += [one.rsplit("log-group:", 1)[-1].removesuffix(":*") for one in asked.get("logGroupIdentifiers") or ()]
        if not names or len(names) > 50:
            return refuse(call, "InvalidParameterException", "1 to 50 log groups")
        groups = logs_backends[call.account][call.region].groups
        for name in names:
            if name not in groups:
                return refuse(call, "ResourceNotFoundException", f"Log group '{name}' does not exist")
        begin, end = int(asked["startTime"]) * 1000, int(asked["endTime"]) * 1000 + 999
        rows = [
            insights.event_row(name, stream.log_stream_name, event.timestamp, event.message)
            for name in names
            for stream in groups[name].streams.values()
            for event in stream.events
            if begin <= event.timestamp <= end
        ]
        try:
            found = insights.run(asked["queryString"], rows, int(asked.get("limit", 10_000)))
        except (insights.BadQuery, IndexError, ValueError) as error:
            return refuse(call, "MalformedQueryException", str(error))
        number = str(uuid.uuid4())
        self.queries[number] = Query(found, len(rows))
        while len(self.queries) > _MOST:
            del self.queries[next(iter(self.queries))]
        return answer(call, {"queryId": number})

    def look(self, call: Call) -> Reply | None:
        """GetQueryResults."""
        query = self.queries.get(call.json().get("queryId", ""))
        if query is None:
            return refuse(call, "ResourceNotFoundException", "there is no such query")
        query.looks += 1
        if query.status == "Running" and query.looks > 1:
            query.status = "Complete"
        rows = query.rows if query.status == "Complete" else []
        results = [[{"field": name, "value": value} for name, value in row.items()] for row in rows]
        counted = {"recordsMatched": float(len(rows)), "recordsScanned": float(query.scanned), "bytesScanned": 0.0}
        return answer(call, {"results": results, "statistics": counted, "status": query.status})

    def stop(self, call: Call) -> Reply | None:
        """StopQuery."""
        query = self.queries.get(call.json().get("queryId", ""))
        if query is None or query.status != "Running":
            return refuse(call, "InvalidParameterException", "the query is not running")
        query.status = "Cancelled"
        return answer(call, {"success": True})
