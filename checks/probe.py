"""Whether something answers from here: an HTTP endpoint, a TCP port, a TLS certificate, a name.

Needs no AWS. `down` is 0 where the answer is as expected and 1 where it is not, comes late or does not come at all: to
a probe, silence is the observation. (If this daemon itself has no network, everything is down; watch two places.)
`latency` is the time to the whole answer in seconds, absent while there is none. `tls_days` is how long the certificate
that was shown stays valid, in days, 0 once it expired; for `https` URLs and `tls` targets.

- `urls`: the status must be one of `status`; the body must hold `body` (a regular expression), and `json` (JMESPath)
  must yield `equals` (or anything but null and false). At most `max_body` bytes are read. A redirect is followed on the
  same host only. Header values may be secret references; neither they nor bodies are ever shown.
- `tcp`: `host:port` accepts a connection.
- `tls`: `host:port` shows a certificate that is valid for the host.
- `dns`: the name resolves, and to at least one of `addresses` if any are given (addresses or networks).
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal
from urllib.parse import urlsplit

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import Field, field_validator, model_validator

from checks.probe_http import Expected, Question, ask
from checks.reading import Group, absent, each_of, observe
from checks.tls import days_left, why_not_valid
from monitor.plugin import (
    Bound,
    Check,
    Duration,
    Observation,
    Params,
    ProbeContext,
    ProbeError,
    Reason,
    Signal,
    SignalSpec,
)

DOWN = Signal("down", "bool", "1 if there was no answer, or not the expected one.")
LATENCY = Signal("latency", "seconds", "Time to the whole answer.")
TLS_DAYS = Signal("tls_days", "days", "How long the certificate stays valid; 0 once it expired.")
SIGNALS = (DOWN, LATENCY, TLS_DAYS)


class Probe(Params):
    """What should answer, and how."""

    urls: tuple[str, ...] = Field((), description="HTTP(S) URLs.")
    tcp: tuple[str, ...] = Field((), description="`host:port` that should accept a connection.")
    tls: tuple[str, ...] = Field((), description="`host:port` that should show a valid certificate.")
    dns: tuple[str, ...] = Field((), description="Names that should resolve.")
    method: Literal["GET", "HEAD", "POST", "OPTIONS"] = Field("GET", description="HTTP method.")
    headers: Mapping[str, str] = Field(default_factory=dict, description="Request headers; values may be references.")
    status: tuple[int, ...] = Field((), description="Expected status codes; default: any of 200 to 299.")
    body: str | None = Field(None, description="Regular expression that the body must hold.")
    json_path: str | None = Field(None, description="JMESPath over the JSON body; null and false are down.")
    equals: str | None = Field(None, description="What `json_path` must yield, as text.")
    redirects: Literal["none", "same_host"] = Field(
        "same_host", description="Which redirects are followed (5 at most)."
    )
    max_body: int = Field(65_536, ge=0, le=1_048_576, description="Bytes of the body that are read.")
    addresses: tuple[str, ...] = Field((), description="Addresses or networks of which `dns` must yield one.")
    ca_file: str | None = Field(None, description="PEM file of the authority to trust instead of the system's.")
    wait: Duration = Field(timedelta(seconds=10), description="How long an answer may take; shorter than `timeout`.")

    @field_validator("body")
    @classmethod
    def _compiles(cls, body: str | None) -> str | None:
        if body is not None:
            try:
                re.compile(body)
            except re.error as error:
                raise ValueError(f"not a regular expression: {error}") from error
        return body

    @field_validator("json_path")
    @classmethod
    def _is_path(cls, path: str | None) -> str | None:
        if path is not None:
            try:
                jmespath.compile(path)
            except JMESPathError as error:
                raise ValueError(f"not a JMESPath expression: {str(error).splitlines()[0]}") from error
        return path

    @field_validator("addresses")
    @classmethod
    def _networks(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for one in addresses:
            ipaddress.ip_network(one, strict=False)
        return addresses

    @field_validator("tcp", "tls")
    @classmethod
    def _ports(cls, places: tuple[str, ...]) -> tuple[str, ...]:
        for place in places:
            _host_port(place)
        return places

    @model_validator(mode="after")
    def _something(self) -> Probe:
        if not (self.urls or self.tcp or self.tls or self.dns):
            raise ValueError("give at least one of urls, tcp, tls and dns")
        for url in self.urls:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError(f"{url!r} is no HTTP URL")
            if parts.username or parts.password:
                raise ValueError("no credentials in a URL: put a reference into `headers`")
        if self.equals is not None and self.json_path is None:
            raise ValueError("`equals` needs a `json_path`")
        return self


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to ask; `name` is how it is called everywhere."""

    name: str
    place: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came. `why` is empty if it is as expected."""

    why: str = ""
    latency: float | None = None
    days: float | None = None


async def probe(params: Probe, ctx: ProbeContext) -> Sequence[Observation]:
    """All targets side by side."""
    headers = {name: await ctx.secret(value) for name, value in params.headers.items()} if params.urls else {}
    expected = Expected(params.status, params.body, params.json_path, params.equals)
    question = Question(
        params.method, headers, expected, params.redirects == "same_host", params.max_body, _trust(params.ca_file)
    )

    async def url(target: Target) -> Answer:
        seen = await ask(target.place, question)
        if target.place.startswith("http:"):
            return Answer(seen.why, seen.seconds)
        # An answered connection is given up before its certificate can be asked for: shake hands once more.
        parts = urlsplit(target.place)
        certificate = await _connect(f"{parts.hostname}:{parts.port or 443}", question.trust)
        return Answer(seen.why, seen.seconds, days_left(certificate, ctx.now))

    async def tcp(target: Target) -> Answer:
        await _connect(target.place, None)
        return Answer()

    async def tls(target: Target) -> Answer:
        certificate = await _connect(target.place, _trust(params.ca_file))
        return Answer(days=days_left(certificate, ctx.now))

    async def dns(target: Target) -> Answer:
        return Answer(why=await _resolve(target.place, params.addresses))

    groups = []
    for places, ask_one, signals in (
        (params.urls, url, SIGNALS),
        (params.tcp, tcp, (DOWN, LATENCY)),
        (params.tls, tls, SIGNALS),
        (params.dns, dns, (DOWN, LATENCY)),
    ):
        read = _reader(ask_one, signals, params.wait, ctx)
        groups.append(Group([Target(_named(place), place) for place in places], read, signals))
    return await each_of(groups)


def _reader(
    ask_one: Callable[[Target], Awaitable[Answer]], signals: Sequence[Signal], wait: timedelta, ctx: ProbeContext
) -> Callable[[Target], Awaitable[list[Observation]]]:
    """Asks within `wait`, and makes every kind of silence an answer."""

    async def read(target: Target) -> list[Observation]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(wait.total_seconds()):
                answer = await ask_one(target)
        except TimeoutError:
            answer = Answer(why=f"no answer within {wait.total_seconds():g}s", latency=None)
        except ssl.SSLError as error:
            why, expired = why_not_valid(error)
            answer = Answer(why=why, days=0.0 if expired else None)
        except (OSError, UnicodeError) as error:
            answer = Answer(why=_said(error))
        else:
            answer = answer if answer.latency is not None else replace(answer, latency=loop.time() - began)
        return _observed(target, answer, signals, ctx)

    return read


def _observed(target: Target, answer: Answer, signals: Sequence[Signal], ctx: ProbeContext) -> list[Observation]:
    down = observe(DOWN, target.name, 1.0 if answer.why else 0.0, ctx.now)
    seen = [replace(down, detail=answer.why)]
    if answer.latency is None:
        seen.append(absent(LATENCY, target.name, "no answer", exists=True))
    else:
        seen.append(observe(LATENCY, target.name, answer.latency, ctx.now))
    if TLS_DAYS in signals and not target.place.startswith("http:"):
        if answer.days is None:
            seen.append(absent(TLS_DAYS, target.name, answer.why or "no certificate was shown", exists=True))
        else:
            seen.append(observe(TLS_DAYS, target.name, answer.days, ctx.now))
    return seen


async def _connect(place: str, trust: ssl.SSLContext | None) -> Mapping[str, object] | None:
    """Open and close a connection; the certificate shown. Raises OSError."""
    host, port = _host_port(place)
    _, writer = await asyncio.open_connection(host, port, ssl=trust, server_hostname=host if trust else None)
    try:
        tls = writer.get_extra_info("ssl_object")
        return tls.getpeercert() if tls is not None else None
    finally:
        writer.transport.abort()


async def _resolve(name: str, addresses: Sequence[str]) -> str:
    """Why the answer is not the expected one; empty if it is."""
    found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    got = sorted({str(one[4][0]).split("%", maxsplit=1)[0] for one in found})
    networks = [ipaddress.ip_network(one, strict=False) for one in addresses]
    if networks and not any(ipaddress.ip_address(one) in network for one in got for network in networks):
        return f"resolves to {', '.join(got[:4])}, none of the expected addresses"
    return ""


def _trust(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ProbeError(Reason.INVALID, f"ca_file {ca_file}: {_said(error)}") from error


def _said(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "the name does not resolve"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    text = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    return str(text)[:200]


def _host_port(place: str) -> tuple[str, int]:
    host, colon, port = place.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ValueError(f"{place!r}: write host:port")
    return host.strip("[]"), int(port)


def _named(place: str) -> str:
    """A URL without its query: that may hold what no label should."""
    return place.split("?", maxsplit=1)[0].split("#", maxsplit=1)[0]


CHECK: Check[Probe] = Check(
    kind="probe",
    summary="Whether HTTP endpoints, TCP ports, TLS certificates and names answer, how fast, and for how long still.",
    params=Probe,
    probe=probe,
    signals=SIGNALS,
    defaults={
        "down": SignalSpec(critical=Bound(above=0)),
        "tls_days": SignalSpec(warning=Bound(below=21), critical=Bound(below=7)),
    },
    permissions=(),
    cost="One connection per target and run, two for https; no AWS call.",
    example="""\
upstream:
  kind: probe
  interval: 60s
  urls: ["https://api.example.com/health"]
  method: HEAD
  thresholds:
    down: {critical: {above: 0, for: 3m}}
    latency: {warning: {above: 2}}
""",
)
