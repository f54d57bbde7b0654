"""Secret references, resolved late: `env:NAME`, `file:/path`, `ssm:/name`, `secretsmanager:id`, optionally `#key`.

`secretsmanager:db#password` takes one field of a JSON secret. Values are kept for five minutes in memory only and
appear in no log, message or repr.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from monitor.core.model import Reason
from monitor.core.ports import Clock
from monitor.plugin import ActionError, ProbeError

_KEEP_SECONDS = 300.0
_MOST_KEPT = 256
_SCHEMES = ("env", "file", "ssm", "secretsmanager")


class Revealing(Protocol):
    """Reads that may return secrets (AwsReads)."""

    async def reveal(self, aws_service: str, operation: str, **params: Any) -> Mapping[str, Any]:
        """One unshared read."""


class SecretResolver:
    """Implements ports.Secrets. `reads` gives the daemon's own identity, asked only when a reference needs AWS."""

    def __init__(self, environ: Mapping[str, str], reads: Callable[[], Revealing], clock: Clock) -> None:
        self._environ = environ
        self._reads = reads
        self._clock = clock
        self._kept: dict[str, tuple[float, str]] = {}

    async def resolve(self, reference: str) -> str:
        """The value behind a reference; anything else is returned as it is. Raises ActionError."""
        scheme, colon, rest = reference.partition(":")
        if not colon or scheme not in _SCHEMES:
            return reference
        now = self._clock.tick()
        kept = self._kept.get(reference)
        if kept is not None and now - kept[0] < _KEEP_SECONDS:
            return kept[1]
        if not rest:
            raise ActionError(Reason.INVALID, f"{reference!r} names nothing: write for example {scheme}:NAME")
        value = await self._read(scheme, rest)
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[reference] = (now, value)
        return value

    async def _read(self, scheme: str, rest: str) -> str:
        if scheme == "env":
            if rest not in self._environ:
                raise ActionError(Reason.NOT_FOUND, f"the environment variable {rest} is not set")
            return self._environ[rest]
        if scheme == "file":
            return await asyncio.to_thread(_read_file, Path(rest))
        name, _, key = rest.partition("#")
        try:
            text = await self._from_aws(scheme, name)
        except ProbeError as error:
            raise ActionError(error.reason, error.detail) from None
        return _field(text, key, f"{scheme}:{name}") if key else text

    async def _from_aws(self, scheme: str, name: str) -> str:
        if scheme == "ssm":
            reply = await self._reads().reveal("ssm", "GetParameter", Name=name, WithDecryption=True)
            return str(reply["Parameter"]["Value"])
        reply = await self._reads().reveal("secretsmanager", "GetSecretValue", SecretId=name)
        if "SecretString" in reply:
            return str(reply["SecretString"])
        raise ProbeError(Reason.INVALID, f"secretsmanager:{name} is binary; only text secrets can be used")


def _read_file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise ActionError(Reason.NOT_FOUND, f"the secret file {path} does not exist") from None
    except PermissionError:
        raise ActionError(Reason.DENIED, f"the secret file {path} can't be read by this user") from None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise ActionError(Reason.UNAVAILABLE, f"the secret file {path} can't be read: {why}") from None


def _field(text: str, key: str, where: str) -> str:
    try:
        fields = json.loads(text)
    except ValueError:
        raise ActionError(Reason.INVALID, f"{where} is no JSON, so it has no field {key}") from None
    if not isinstance(fields, dict) or key not in fields:
        raise ActionError(Reason.NOT_FOUND, f"{where} has no field {key}")
    return str(fields[key])
