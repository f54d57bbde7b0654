"""Notice URLs: which way they go, and how they may be shown."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import urlsplit

_REFERENCES = ("env:", "file:", "ssm:", "secretsmanager:")
_ARN = re.compile(r"arn:[\w-]+:sns:[\w-]+:\d{12}:[\w.-]+")


def is_reference(url: str) -> bool:
    """True for a secret reference; `file://` is one too, as no notice goes to a file."""
    return url.startswith(_REFERENCES)


def scheme_of(url: str) -> str:
    """`https`, `sns`, `slack`, …; `secret` for a reference, `invalid` for what has none. Safe as a metric's label."""
    if is_reference(url):
        return "secret"
    scheme = url.partition("://")[0].lower()
    return scheme if "://" in url and re.fullmatch(r"[a-z][a-z0-9+.-]{0,31}", scheme) else "invalid"


def mask_url(url: str) -> str:
    """What of a URL may be shown: a reference and an SNS topic whole, a webhook's host, of the others the scheme."""
    scheme = scheme_of(url)
    if scheme == "secret":
        return url
    if scheme == "sns":
        return url if topic_arn(url) else "sns://***"
    if scheme == "slack-channel":  # holds a reference; anything else there may be the token itself, options too
        reference, query, _ = url.partition("://")[2].partition("?")
        return f"slack-channel://{reference}{query and '?***'}" if is_reference(reference) else "slack-channel://***"
    if scheme in {"http", "https"}:
        try:
            host = urlsplit(url).hostname
        except ValueError:
            host = None
        return f"{scheme}://{host}/***" if host else f"{scheme}://***"
    # An Apprise URL may carry its token where a host would stand.
    return "***" if scheme == "invalid" else f"{scheme}://***"


def channel_name(url: str) -> str:
    """What a channel is called on record: as `mask_url`, told apart where the mask hides the difference."""
    shown = mask_url(url)
    return f"{shown}#{hashlib.sha256(url.encode()).hexdigest()[:8]}" if "***" in shown else shown


def topic_arn(url: str) -> str | None:
    """The ARN in `sns://arn:aws:sns:REGION:ACCOUNT:TOPIC`, or None when it isn't one."""
    arn = url.partition("://")[2]
    return arn if _ARN.fullmatch(arn) else None


def is_slack(url: str) -> bool:
    """True for a Slack incoming webhook, which takes `{"text": …}` only."""
    try:
        return urlsplit(url).hostname in {"hooks.slack.com", "hooks.slack-gov.com"}
    except ValueError:
        return False
