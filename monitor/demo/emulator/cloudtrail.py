"""CloudTrail's event history: LookupEvents over records that the control door put there.

Source: API_LookupEvents: newest first, at most 50 per page, one lookup attribute, management events of 90 days. A
record is CloudTrail's own JSON (eventName, eventSource, eventTime, errorCode, userIdentity, resources, ...); what is
beside it in the reply is taken from it, and errorCode is not among that. Data events (`managementEvent` false) are
never found.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from monitor.demo.emulator.calls import Call, Reply, answer, refuse
from monitor.demo.emulator.state import Answerer, Emulator

_PAGE = 50
Record = Mapping[str, Any]


def install(emulator: Emulator) -> Mapping[str, Answerer]:
    """The operation answered here."""

    def lookup(call: Call) -> Reply | None:
        asked = call.json()
        attributes = asked.get("LookupAttributes") or []
        if len(attributes) > 1:
            return refuse(call, "InvalidLookupAttributesException", "You can only specify one lookup attribute")
        page = int(asked.get("MaxResults", _PAGE))
        if not 1 <= page <= _PAGE:
            return refuse(call, "InvalidMaxResultsException", "MaxResults is 1 to 50")
        token = asked.get("NextToken", "0")
        if not token.isdecimal():
            return refuse(call, "InvalidNextTokenException", "the token is not one of ours")
        found = list(_found(emulator, call, asked, attributes))
        start = int(token)
        reply: dict[str, Any] = {"Events": [_shown(record) for record in found[start : start + page]]}
        if start + page < len(found):
            reply["NextToken"] = str(start + page)
        return answer(call, reply)

    return {"cloudtrail:LookupEvents": lookup}


def put(emulator: Emulator, account: str, region: str, records: list[dict[str, Any]]) -> int:
    """Add records; `ago` (seconds) may stand in for eventTime."""
    for record in records:
        at = datetime.fromtimestamp(time.time() - float(record.pop("ago", 0)), UTC)
        record.setdefault("eventTime", f"{at:%Y-%m-%dT%H:%M:%SZ}")
        record.setdefault("eventID", str(uuid.uuid4()))
        emulator.trail.append({**record, "recipientAccountId": account, "awsRegion": region})
    return len(records)


def _found(emulator: Emulator, call: Call, asked: Record, attributes: list[dict[str, str]]) -> Iterator[Record]:
    begin, end = float(asked.get("StartTime", 0)), float(asked.get("EndTime", time.time()))
    for record in sorted(emulator.trail, key=lambda one: str(one["eventTime"]), reverse=True):
        here = record["recipientAccountId"] == call.account and record["awsRegion"] == call.region
        if here and record.get("managementEvent", True) and begin <= _epoch(record) <= end:
            shown = _shown(record)
            if all(_fits(shown, one["AttributeKey"], one["AttributeValue"]) for one in attributes):
                yield record


def _fits(shown: Record, key: str, value: str) -> bool:
    if key in ("ResourceName", "ResourceType"):
        return any(one.get(key) == value for one in shown["Resources"])
    return str(shown.get(key)) == value


def _shown(record: Record) -> dict[str, Any]:
    identity = record.get("userIdentity") or {}
    resources = [
        {"ResourceName": one.get("ARN", ""), "ResourceType": one.get("type", "")}
        for one in record.get("resources") or ()
    ]
    return {
        "EventId": record["eventID"],
        "EventName": record.get("eventName", ""),
        "ReadOnly": str(record.get("readOnly", False)).lower(),
        "EventTime": _epoch(record),
        "EventSource": record.get("eventSource", ""),
        "Username": identity.get("userName") or str(identity.get("arn", "")).rsplit("/", 1)[-1],
        "Resources": resources,
        "CloudTrailEvent": json.dumps(record),
    }


def _epoch(record: Record) -> float:
    return datetime.strptime(str(record["eventTime"]), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
