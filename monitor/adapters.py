"""The small pieces that fit one room's plug to another's socket; `app` puts them in place.

Here: adapters between rooms that must not know each other. Not here: decisions, and anything a room can do itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from monitor.aws.cloud import Aws
from monitor.core.incident import Notice as Sent
from monitor.core.model import Severity
from monitor.core.ports import Clock, Secrets
from monitor.core.spec import AwsSpec
from monitor.engine.engine import Engine
from monitor.engine.incidents import Incidents
from monitor.engine.killswitch import ReadParameter
from monitor.engine.services import Guard
from monitor.notices import Delivery, Notice, Outbox, channel_name
from monitor.plugin import Reads, Writes
from monitor.telemetry import Redactor


class MaskedSecrets:
    """Secrets (ports.Secrets) that are masked in every log line from the moment they are known."""

    def __init__(self, secrets: Secrets, redactor: Redactor) -> None:
        self._secrets = secrets
        self._redactor = redactor

    async def resolve(self, reference: str) -> str:
        """The value behind a reference. Raises ActionError."""
        value = await self._secrets.resolve(reference)
        if value != reference:
            self._redactor.add(value)
        return value


class Cloud:
    """AWS as the engine wants it, with identities remembered: an account does not change under a role."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._known: dict[AwsSpec, tuple[str, str]] = {}

    def reads(self, spec: AwsSpec) -> Reads:
        """Reads in the pipeline's place."""
        return self._aws.reads(spec)

    def writes(self, spec: AwsSpec, guard: Guard) -> Writes:
        """Guarded writes in the pipeline's place."""
        return self._aws.writes(spec, guard)

    async def identity(self, spec: AwsSpec) -> tuple[str, str]:
        """(account id, region). Raises ProbeError until it was known once."""
        if spec not in self._known:
            self._known[spec] = await self._aws.identity(spec)
        return self._known[spec]

    def broken(self) -> dict[tuple[str, str], str]:
        """Places where the daemon's identity, or several services at once, stopped working."""
        services: dict[tuple[str, str], list[str]] = {}
        found: dict[tuple[str, str], str] = {}
        for one in self._aws.health():
            place = (one.account_id, one.aws_region)
            if one.aws_service == "":
                found[place] = f"AWS refuses the daemon's identity ({one.reason}: {one.detail})"
            else:
                services.setdefault(place, []).append(one.aws_service)
        for place, names in services.items():
            if len(names) >= 2:
                found.setdefault(place, f"no answer from {', '.join(sorted(names))}")
        return found


def poster(outbox: Outbox, engine: Callable[[], Engine]) -> Callable[[str, Severity, str, str, str], None]:
    """Queues a notice for the pipeline's channels that have not had it yet."""

    def post(name: str, severity: Severity, key: str, title: str, body: str) -> None:
        found = engine().pipeline(name)
        incident, _, rest = key.partition(" ")
        taken = engine().incidents.taken(incident, rest)
        channels = [spec for spec in (found.notify if found else ()) if channel_name(spec.url) not in taken]
        outbox.post(Notice(incident, rest or key, severity, title, body), channels)

    return post


def recorder(clock: Clock, incidents: Callable[[], Incidents]) -> Callable[[Delivery], None]:
    """Writes into the incident what became of a notice."""

    def record(told: Delivery) -> None:
        entry = Sent(clock.now(), told.notice.event, told.channel, told.sent, told.detail, told.notice.key)
        incidents().delivered(told.notice.incident, entry, last=told.last)

    return record


def parameter_reader(cloud: Cloud) -> Callable[[AwsSpec, str], ReadParameter]:
    """Reads an SSM parameter, for the kill switch."""

    def of(spec: AwsSpec, name: str) -> ReadParameter:
        async def read() -> str:
            reply = await cloud.reads(spec).call("ssm", "GetParameter", Name=name)
            return str(reply["Parameter"]["Value"])

        return read

    return of


def sns_publisher(cloud: Cloud) -> Callable[[str, str, str], Awaitable[None]]:
    """Publishes to SNS with the daemon's own identity; notices are exempt from the gates."""

    async def permit(aws_service: str, operation: str, seconds: float) -> None:
        """Notices are exempt from the gates."""

    async def publish(topic: str, subject: str, message: str) -> None:
        region = topic.split(":")[3] if topic.count(":") >= 5 else None
        writes = cloud.writes(AwsSpec(region=region or None), permit)
        await writes.mutate("sns", "Publish", idempotent=False, TopicArn=topic, Subject=subject, Message=message)

    return publish
