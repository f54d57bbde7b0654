"""Certificates as Python's ssl module shows them."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from datetime import UTC, datetime

#: X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL's x509_vfy.h.
_EXPIRED = 10


def days_left(certificate: Mapping[str, object] | None, now: datetime) -> float | None:
    """Days until `notAfter`, 0 once it passed; None without a certificate."""
    if not certificate or "notAfter" not in certificate:
        return None
    end = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), tz=UTC)
    return max(0.0, (end - now).total_seconds() / 86_400)


def why_not_valid(error: ssl.SSLError) -> tuple[str, bool]:
    """In words, and whether it is that the certificate (or one above it) expired."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not valid: {error.verify_message}"[:200], error.verify_code == _EXPIRED
    return f"no TLS: {(error.reason or 'handshake failed').lower().replace('_', ' ')}"[:200], False
