"""Law 12 for texts: what looks like a credential, or is known to be one, is masked wherever it stands."""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

MASK = "***"
#: Known values kept; the oldest goes first (rotated credentials come for ever).
_MOST_VALUES = 1_000
#: A shorter "secret" would mask half of every line.
_SHORTEST = 4
#: Longer texts are cut: a log line is no place for a payload. Tracebacks may be longer.
_LONGEST = 1_000
_LONGEST_TRACE = 16_000
_DEEPEST = 8
_MOST_ITEMS = 50

#: Fields masked whole whatever they hold, compared in lower case without `-` and `_`.
_SECRET_FIELDS = frozenset({
    "authorization", "proxyauthorization", "cookie", "setcookie", "password", "passwd", "secret", "token", "apikey",
    "accesskey", "secretkey", "secretaccesskey", "awssecretaccesskey", "sessiontoken", "awssessiontoken",
    "xamzsecuritytoken", "clientsecret", "webhook", "webhookurl", "credentials",
})  # fmt: skip
#: Fields that hold what others sent; only their size is told.
_BODY_FIELDS = frozenset({"body", "messagebody", "payload", "requestbody", "responsebody"})

#: (what to find, what to put there). Order matters: the specific before the general.
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # Webhooks carry their secret in the path.
    (re.compile(r"(https?://(?:[\w.-]*hooks?[\w.-]*|[\w.-]*webhooks?[\w.-]*)(?::\d+)?/)[^\s\"'<>]+", re.I),
     r"\1" + MASK),
    (re.compile(r"(https?://[^\s\"'<>/]+/(?:[^\s\"'<>?#]*/)?(?:web)?hooks?/)[^\s\"'<>]+", re.I), r"\1" + MASK),
    (re.compile(r"(https?://api\.telegram\.org/bot)[^\s\"'<>]+", re.I), r"\1" + MASK),
    # user:password@host of any scheme.
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s/@\"'<>]+@", re.I), r"\1" + MASK + "@"),
    # Header and query forms. `Credential` and `Signature` are those of signed AWS URLs.
    (re.compile(r"(\bauthorization['\"]?\s*[:=]\s*['\"]?)(?:(?:bearer|basic|aws4-hmac-sha256)\s+)?[^\r\n'\"]+", re.I),
     r"\1" + MASK),
    (re.compile(r"(\bbearer\s+)[\w.~+/=-]{8,}", re.I), r"\1" + MASK),
    (re.compile(
        r"(\b(?:x-amz-(?:security-token|signature|credential)|aws_?secret_?access_?key|secret_?access_?key"
        r"|aws_?session_?token|session_?token|access_?token|api_?key|client_?secret|password|passwd|token|sig)"
        r"['\"]?\s*[:=]\s*['\"]?)[^\s&,;'\"<>)}]+", re.I), r"\1" + MASK),
    # AWS access key ids and session tokens by their prefixes
    # (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids).
    (re.compile(r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"), MASK),
    (re.compile(r"\b(?:IQoJ|FwoG|FQoG)[A-Za-z0-9+/=_-]{40,}"), MASK),
)  # fmt: skip


class Redactor:
    """Masks texts and structures. `add` the secrets that are known; forms of credentials are found without."""

    def __init__(self) -> None:
        self._values: OrderedDict[str, None] = OrderedDict()
        self._known: re.Pattern[str] | None = None
        self._is_stale = False

    def add(self, value: str) -> None:
        """Mask this value from now on, also as it looks in a URL or in JSON. Values under four characters are not."""
        value = value.strip()
        if len(value) < _SHORTEST or value in self._values:
            return
        self._values[value] = None
        if len(self._values) > _MOST_VALUES:
            self._values.popitem(last=False)
        self._is_stale = True

    def text(self, text: str) -> str:
        """The text without secrets."""
        if self._is_stale:
            self._compile()
        if self._known is not None:
            text = self._known.sub(MASK, text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text

    def _compile(self) -> None:
        forms = {
            form
            for known in self._values
            for form in (known, quote(known, safe="", errors="replace"), json.dumps(known)[1:-1])
        }
        # Longest first: a secret that contains another must not leave its rest in the open.
        self._known = re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)))
        self._is_stale = False

    def value(self, value: Any, field: str = "", depth: int = 0) -> Any:
        """A copy of plain data without secrets; anything that is no plain data becomes its masked text."""
        plain = field.lower().replace("-", "").replace("_", "")
        if plain in _SECRET_FIELDS and value not in (None, "", True, False):
            return MASK
        if plain in _BODY_FIELDS and value is not None:
            return f"({len(value if isinstance(value, (str, bytes)) else str(value))} characters withheld)"
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if depth >= _DEEPEST:
            return "…"
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(inner, str(key), depth + 1) for key, inner in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            items = [self.value(inner, "", depth + 1) for inner in list(value)[:_MOST_ITEMS]]
            return items if len(value) <= _MOST_ITEMS else [*items, f"… ({len(value) - _MOST_ITEMS} more)"]
        text = self.text(value if isinstance(value, str) else str(value))
        longest = _LONGEST_TRACE if field in {"exception", "stack"} else _LONGEST
        if len(text) > longest:
            text = f"{text[:longest]}… ({len(text) - longest} more characters)"
        return text

    def __call__(self, logger: Any, method: str, event: Any) -> Any:
        """As a structlog processor; the last before the renderer."""
        return self.value(event)
