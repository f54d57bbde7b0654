"""What kind of failure a dead letter is: error class and ids, from its body and attributes, keeping neither.

Understood are Lambda's own failure records (attributes ErrorCode and ErrorMessage; destinations' `responsePayload`),
JSON bodies that name an error, and envelopes around them (SNS `Message`, EventBridge `detail`, S3 `Records`). A body
that should be JSON and isn't, is `malformed`. Only names of errors, names of fields and ids leave this module: error
texts may quote data, so of those the leading exception name is all that is taken.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MALFORMED, NO_ERROR = "malformed", "no error named"

_ERRORS = (
    "errortype", "errorclass", "errorcode", "errorname", "exceptiontype", "exceptionclass", "exception", "error",
    "errormessage", "cause", "reason", "failurereason",
)  # fmt: skip
_EVENT_IDS = ("eventid", "messageid", "idempotencykey", "id")
_CORRELATION_IDS = ("correlationid", "xcorrelationid", "requestid", "traceid", "xamzntraceid", "executionid")
#: `ConnectionTimeoutError`, `botocore.errorfactory.ThrottlingException`, `Lambda.TooManyRequestsException`; a bare
#: `Error` names nothing.
_NAME = re.compile(
    r"(?:^|[\s:'\"(])((?:[A-Za-z_]\w*\.)*[A-Za-z_]*?(?:(?<=[A-Za-z])(?:Error|Exception|Fault)|Timeout|Throttled|Denied))\b"
)
_TIMED_OUT = re.compile(r"\btimed out\b", re.I)
_CODE = re.compile(r"[A-Za-z_][\w.-]{1,79}")
_ID = re.compile(r"[\w.:/=+-]{1,128}")
_TRANSIENT = re.compile(
    r"timeout|timedout|throttl|toomany|ratelimit|ratee?xceeded|unavailable|connection|network|deadlock|temporar|retry"
    r"|internalserver|servicefailure|provisionedthroughput|\b(429|500|502|503|504)\b", re.I,
)  # fmt: skip
_PERMANENT = re.compile(
    r"malformed|validation|invalid|schema|parse|decode|json|keyerror|typeerror|valueerror|attributeerror|assertion"
    r"|mismatch|notfound|nosuch|accessdenied|unauthorized|forbidden|permission|\b(400|401|403|404|422)\b", re.I,
)  # fmt: skip
#: How deep and how much of a body is looked at.
_DEEPEST, _MOST_NODES, _LONGEST = 6, 500, 262_144


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a dead letter tells of itself. `error` is what to group by; ids are None where the letter names none."""

    error: str
    event_id: str | None = None
    correlation_id: str | None = None
    #: True: worth sending again as it is. False: it would only come back. None: the name does not tell.
    is_transient: bool | None = None
    #: Field -> value, of the fields the caller asked for.
    fields: Mapping[str, str] | None = None

    @property
    def key(self) -> str:
        """Eight hexadecimal digits, the same for the same error and fields: what to filter by."""
        text = "\n".join([self.error, *(f"{name}={value}" for name, value in sorted((self.fields or {}).items()))])
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def fingerprint(body: str, attributes: Mapping[str, str] | None = None, fields: Sequence[str] = ()) -> Fingerprint:
    """Of one message: its body, its attributes (name -> text), and which of its own fields to group by as well."""
    given = {_plain(name): text for name, text in (attributes or {}).items()}
    document = _parsed(body)
    nodes = list(_nodes(document)) if document is not None else []
    # Attributes first: Lambda puts the error there, beside the event as it came.
    error = _error(given) or next((name for node in nodes if (name := _error(node))), None)
    if error is None:
        error = MALFORMED if document is None else NO_ERROR
    everywhere = [given, *nodes]
    wanted = {name: _first(everywhere, (_plain(name),)) for name in fields}
    return Fingerprint(
        error=error,
        event_id=_first(everywhere, _EVENT_IDS),
        correlation_id=_first(everywhere, _CORRELATION_IDS),
        is_transient=_transience(error),
        fields={name: value for name, value in wanted.items() if value is not None} or None,
    )


def _transience(error: str) -> bool | None:
    # "Malformed" and the like win: a ValidationTimeout is rarer than a JSON error in a retry wrapper.
    if _PERMANENT.search(error):
        return False
    return True if _TRANSIENT.search(error) else None


def _parsed(body: str) -> Any:
    """The JSON object or list; None if it is none."""
    if len(body) > _LONGEST:
        return None
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, (dict, list)) else None


def _nodes(document: Any) -> Iterator[Mapping[str, Any]]:
    """Every object inside, outermost first, with plain field names; texts that hold JSON objects are opened."""
    queue: list[tuple[Any, int]] = [(document, 0)]
    for count, (value, depth) in enumerate(queue):
        if count >= _MOST_NODES:
            return
        if isinstance(value, str) and value.lstrip().startswith("{"):
            value = _parsed(value)  # noqa: PLW2901 - the envelope is not looked at again
        inner: list[Any] = []
        if isinstance(value, dict):
            yield {_plain(name): part for name, part in value.items()}
            inner = list(value.values())
        elif isinstance(value, list):
            inner = value[:20]
        if depth < _DEEPEST:
            queue += [(part, depth + 1) for part in inner if isinstance(part, (dict, list, str))]


def _error(node: Mapping[str, Any]) -> str | None:
    for field in _ERRORS:
        value = node.get(field)
        if isinstance(value, dict):
            value = value.get("type") or value.get("name") or value.get("code")
        if field == "errorcode" and re.fullmatch(r"[1-9]\d{2}", str(value)):
            return str(value)
        if not isinstance(value, str) or not value.strip():
            continue
        if found := _NAME.search(value):
            return found[1][-80:]
        if _TIMED_OUT.search(value):
            return "Timeout"
        if field not in ("errormessage", "cause", "reason", "failurereason") and _CODE.fullmatch(value.strip()):
            return value.strip()
    return None


def _first(nodes: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str | None:
    for name in names:
        for node in nodes:
            value = node.get(name)
            text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
            if text and _ID.fullmatch(text):
                return text
    return None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
