"""The rules every store shares: how a body becomes text, what has expired, which batches make sense.

An expired document counts as absent everywhere (it is neither read nor matched by a version) even before `prune`
removes it, so that a store with lazy expiry, such as DynamoDB's TTL, behaves the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from monitor.core.ports import Delete, Item, Lease, Put

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = 1_000_000


def encode_body(body: Mapping[str, Any]) -> str:
    """The body as JSON text. Raises TypeError or ValueError (NaN, infinity) when it is no plain JSON object."""
    return json.dumps(dict(body), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def decode_body(text: str) -> dict[str, Any]:
    """What `encode_body` wrote, as fresh objects the caller may keep."""
    body: dict[str, Any] = json.loads(text)
    return body


def to_micros(at: datetime) -> int:
    """Microseconds since 1970 (UTC), exact: floats of seconds would lose the last digits."""
    if at.tzinfo is None:
        raise ValueError(f"{at!r} has no time zone; the store takes aware times only")
    span = at - _EPOCH
    return (span.days * 86_400 + span.seconds) * _MICROSECOND + span.microseconds


def from_micros(micros: int) -> datetime:
    """The inverse of `to_micros`."""
    seconds, rest = divmod(micros, _MICROSECOND)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)


def has_expired(expires_at: datetime | None, now: datetime) -> bool:
    """True from the very instant of `expires_at` on."""
    return expires_at is not None and expires_at <= now


def check_batch(writes: Sequence[Put | Delete]) -> None:
    """Raises ValueError for a batch no store can mean: one document written twice, a Delete of nothing,
    an expiry without a time zone.

    DynamoDB refuses the former in a transaction; refusing it everywhere keeps the stores alike.
    """
    seen: set[tuple[str, str]] = set()
    for write in writes:
        name = (write.kind, write.key)
        if name in seen:
            raise ValueError(f"{write.kind} {write.key!r} is written twice in one commit")
        seen.add(name)
        lowest = 0 if isinstance(write, Put) else 1
        if write.version < lowest:
            raise ValueError(f"{write.kind} {write.key!r}: version {write.version} can't be expected")
        if isinstance(write, Put) and write.expires_at is not None:
            to_micros(write.expires_at)


def written(put: Put, text: str, lease: Lease | None) -> Item:
    """The document as it stands after `put`; `text` is its encoded body, so that the caller's object isn't shared."""
    epoch = lease.epoch if lease is not None else 0
    return Item(put.kind, put.key, put.version + 1, epoch, decode_body(text), put.expires_at)


def describe_conflict(write: Put | Delete, stored: int | None) -> str:
    """Why a conditional write was refused."""
    wanted = f"version {write.version}" if write.version else "none"
    found = f"version {stored}" if stored else "none"
    return f"{write.kind} {write.key!r}: expected {wanted}, found {found}"
