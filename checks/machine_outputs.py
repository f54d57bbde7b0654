"""What a state machine's definition gives off: calls, messages, events, objects written. Pure reading of ASL.

Covers optimised integrations and the SDK's own (`arn:aws:states:::aws-sdk:s3:putObject`), within Parallel and Map
states, JSONPath (`Parameters`, `KEY.$`) and JSONata (`Arguments`, `{% %}`). A value chosen at run time could be any.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from monitor.plugin import Anything, Text

_INTEGRATION = re.compile(r"arn:aws[a-z-]*:states:::(?:aws-sdk:)?([a-z0-9]+):([A-Za-z]+)")
_FORMAT = re.compile(r"States\.Format\('((?:[^'\\]|\\.)*)'")
_S3_WRITES = frozenset({"putobject", "copyobject", "completemultipartupload", "createmultipartupload"})


@dataclass(slots=True)
class Outputs:
    """`calls`: ARNs, or `function NAME` and `job NAME`. `queues`: URLs. `events`: what is put on a bus (key `bus`)."""

    calls: list[str] = field(default_factory=list)
    queues: list[str] = field(default_factory=list)
    events: list[Mapping[str, Any]] = field(default_factory=list)
    writes: list[tuple[str, Text]] = field(default_factory=list)


def outputs_of(definition: Mapping[str, Any]) -> Outputs:
    """Everything its states give off; a bucket that is chosen at run time can't be followed."""
    found = Outputs()
    for state in _states(definition):
        writer = state.get("ResultWriter")
        if isinstance(writer, Mapping):
            given = _given(writer)
            _written(found, given.get("Bucket"), _prefix(given, "Prefix"))
        resource = state.get("Resource")
        if isinstance(resource, str):
            _task(found, resource, _given(state))
    return found


def place_of(text: str) -> tuple[str, Text]:
    """Bucket and keys of `s3://bucket/prefix`, or of a bare bucket's name."""
    bucket, _, prefix = text.removeprefix("s3://").partition("/")
    return bucket, Text(prefix)


def _states(definition: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for state in (definition.get("States") or {}).values():
        yield state
        inner = [state.get("Iterator"), state.get("ItemProcessor"), *(state.get("Branches") or ())]
        for one in inner:
            if isinstance(one, Mapping):
                yield from _states(one)


def _given(state: Mapping[str, Any]) -> Mapping[str, Any]:
    found = state.get("Arguments") or state.get("Parameters") or {}
    return found if isinstance(found, Mapping) else {}


def _task(found: Outputs, resource: str, given: Mapping[str, Any]) -> None:
    if re.match(r"arn:aws[a-z-]*:lambda:", resource):
        found.calls.append(resource)
        return
    match = _INTEGRATION.match(resource)
    if match is None:
        return
    service, operation = match[1], match[2].lower()
    if service == "lambda" and operation == "invoke":
        _call(found, given.get("FunctionName"), "function")
    elif service in ("sfn", "states") and operation in ("startexecution", "startsyncexecution"):
        _call(found, given.get("StateMachineArn"), None)
    elif service == "glue" and operation == "startjobrun":
        _call(found, given.get("JobName"), "job")
    elif service == "sns" and operation == "publish":
        _call(found, given.get("TopicArn"), None)
    elif service == "sqs" and operation.startswith("sendmessage"):
        if isinstance(url := given.get("QueueUrl"), str) and not _is_chosen(url):
            found.queues.append(url)
    elif service == "events" and operation == "putevents":
        entries = given.get("Entries")
        found.events += [_event(one) for one in entries or () if isinstance(one, Mapping)]
    elif service == "s3" and operation in _S3_WRITES:
        _written(found, given.get("Bucket"), _key(given))


def _call(found: Outputs, name: Any, kind: str | None) -> None:
    if not isinstance(name, str) or _is_chosen(name):
        return
    if name.startswith("arn:"):
        found.calls.append(name)
    elif kind is not None:
        # A name may carry a qualifier: NAME:LIVE.
        found.calls.append(f"{kind} {name.split(':', maxsplit=1)[0]}")


def _event(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    def text(name: str) -> str | Text:
        value = entry.get(name)
        return value if isinstance(value, str) and not _is_chosen(value) else Text()

    bus = entry.get("EventBusName")
    return {
        "source": text("Source"),
        "detail-type": text("DetailType"),
        "detail": Anything(),
        "account": Text(),
        "region": Text(),
        "bus": bus if isinstance(bus, str) else "default",
    }


def _written(found: Outputs, bucket: Any, key: Text) -> None:
    if isinstance(bucket, str) and not _is_chosen(bucket):
        found.writes.append((bucket.rsplit(":", 1)[-1], key))


def _key(given: Mapping[str, Any]) -> Text:
    value = given.get("Key")
    if isinstance(value, str):
        return Text() if _is_chosen(value) else Text(value, exact=True)
    formed = _FORMAT.match(str(given.get("Key.$", "")))
    if formed is None:
        return Text()
    parts = formed[1].split("{}")
    return Text(parts[0], exact=True) if len(parts) == 1 else Text(parts[0], parts[-1])


def _prefix(given: Mapping[str, Any], name: str) -> Text:
    value = given.get(name)
    return Text(value) if isinstance(value, str) and not _is_chosen(value) else Text()


def _is_chosen(value: str) -> bool:
    """Chosen at run time: JSONata, or a JSONPath."""
    return value.startswith(("{%", "$"))
