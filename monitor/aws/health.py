"""Whether our own identity or a region looks broken: what the storm brake asks before it believes many breaches."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from monitor.aws.clients import Principal
from monitor.aws.errors import Failure
from monitor.core.model import Reason
from monitor.core.ports import Clock

log = structlog.get_logger(__name__)

#: Attempts in a row that must fail before we suspect the observer and not the observed.
_SUSPECT_AFTER = 3
_MOST_PLACES = 1024


@dataclass(frozen=True, slots=True)
class Broken:
    """Where nothing worked lately. `aws_service` is "" when it is the identity that AWS refuses."""

    account_id: str
    aws_region: str
    aws_service: str
    reason: Reason
    detail: str
    failures: int
    since: datetime


class Health:
    """Counts failures in a row per (identity, region, service), and per (identity, region) for refused credentials."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failing: OrderedDict[tuple[Principal, str, str], Broken] = OrderedDict()

    def succeeded(self, principal: Principal, region: str, aws_service: str) -> None:
        """AWS gave a proper answer that our credentials were good for."""
        if not self._failing:
            return
        for service in (aws_service, ""):
            was = self._failing.pop((principal, region, service), None)
            if was is not None and was.failures >= _SUSPECT_AFTER:
                log.info("aws.recovered", aws_region=region, aws_service=service, account_id=principal.key)

    def failed(self, principal: Principal, region: str, aws_service: str, failure: Failure) -> None:
        """An attempt failed. Refusals of one call (denied, throttled, not found, invalid) prove that AWS works."""
        if not failure.identity and not failure.endpoint:
            if failure.reason not in (Reason.BUG, Reason.UNAVAILABLE):
                self.succeeded(principal, region, aws_service)
            return
        key = (principal, region, "" if failure.identity else aws_service)
        was = self._failing.pop(key, None)
        count, since = (was.failures + 1, was.since) if was else (1, self._clock.now())
        self._failing[key] = Broken("", region, key[2], failure.reason, failure.detail, count, since)
        if len(self._failing) > _MOST_PLACES:
            self._failing.popitem(last=False)
        if count == _SUSPECT_AFTER:
            log.warning(
                "aws.failing", account_id=principal.key, aws_region=region, aws_service=key[2],
                reason=failure.reason, detail=failure.detail,
            )  # fmt: skip

    def broken(self) -> tuple[Broken, ...]:
        """What failed at least three times in a row, longest first."""
        found = [
            replace(place, account_id=key[0].key) for key, place in self._failing.items()
            if place.failures >= _SUSPECT_AFTER
        ]  # fmt: skip
        return tuple(sorted(found, key=lambda place: place.since))
