"""What of a document must not be shown: tokens, passwords, webhook URLs. References to secrets may be."""

from __future__ import annotations

import re

from monitor.config.models import is_secret_reference
from monitor.config.problems import KeyPath

MASK = "***"
_KEYS = re.compile(r"token|secret|password|passwd|authorization|credential|api_?key|webhook|external_id", re.IGNORECASE)
_URL_KEYS = frozenset({"url", "urls"})
# Bounded and anchored: on a long word without any address the search must stay linear.
_URL = re.compile(r"(?<![A-Za-z0-9+.-])(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,30})://(?P<host>[^/?#\s]*)(?P<rest>\S*)")
#: A path there is the password.
_WEBHOOK_HOSTS = re.compile(
    r"hooks\.slack\.com|discord(app)?\.com|webhook\.office\.com|events\.pagerduty\.com|api\.telegram\.org"
    r"|hooks\.zapier\.com|chat\.googleapis\.com",
    re.IGNORECASE,
)
_QUERY_SECRET = re.compile(r"(?i)([?&](?:[^=&#]{0,64}(?:token|key|secret|sig|password)[^=&#]{0,64})=)[^&#\s]+")


def masked(text: str, path: KeyPath) -> str:
    """The text as it may be shown at this path. Keeps a URL's scheme and host, so that people recognize it."""
    if is_secret_reference(text):
        return text
    keys = [part for part in path if isinstance(part, str)]
    channel = keys[:1] == ["notify"] and keys[-1:] == ["url"]
    if not channel and keys and _KEYS.search(keys[-1]):
        return MASK
    sending = channel or (keys[:1] == ["breakers"] and keys[-1:] and keys[-1] in _URL_KEYS)
    return _URL.sub(lambda match: _url(match, bool(sending)), text)


def _url(match: re.Match[str], sending: bool) -> str:
    scheme, host, rest = match["scheme"], match["host"], match["rest"]
    web = scheme.lower() in {"http", "https"}
    if (sending and scheme.lower() != "sns") or _WEBHOOK_HOSTS.search(host):
        # In an Apprise URL of another scheme even the host part may be a token.
        return f"{scheme}://{host.rpartition('@')[2]}/{MASK}" if web and rest.strip("/") else f"{scheme}://{MASK}"
    user, at, name = host.rpartition("@")
    shown = f"{MASK}@{name}" if at and user else host
    return f"{scheme}://{shown}{_QUERY_SECRET.sub(lambda found: found[1] + MASK, rest)}"
