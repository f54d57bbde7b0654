"""The knobs of the AWS room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class AwsSettings:
    """Defaults suit one account. Times are per attempt except `deadline`, which bounds all attempts of one call.

    `endpoint_url` None: the SDK decides (it honours AWS_ENDPOINT_URL). `read_share` is the part of each quota that
    reads may use. `freshness` is how long a read's reply is shared. `quotas` replaces (burst, refill per second) by
    `service:Operation` or `service`. `settle` is how long after its end a CloudWatch period counts as complete.
    """

    endpoint_url: str | None = None
    default_region: str | None = None
    read_share: float = 0.5
    connect_timeout: timedelta = timedelta(seconds=3)
    read_timeout: timedelta = timedelta(seconds=10)
    deadline: timedelta = timedelta(seconds=20)
    max_connections: int = 64
    freshness: timedelta = timedelta(seconds=1)
    discovery: timedelta = timedelta(minutes=5)
    collect: timedelta = timedelta(milliseconds=20)
    settle: timedelta = timedelta(0)
    quotas: Mapping[str, tuple[float, float]] = field(default_factory=dict)
