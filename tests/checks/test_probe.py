"""probe: answers and silences of real servers on the loopback."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError

from checks.probe import CHECK, Probe
from checks.probe_http import Expected, unexpected
from monitor.plugin import ProbeError
from monitor.testing import FakeAws, observed, run_probe

TOKEN = "t0ps3cret"
NOW = datetime.now(UTC)


async def health(request: web.Request) -> web.Response:
    """Well."""
    return web.json_response({"status": "ok", "queue": 3}, headers={"Set-Cookie": "seen=1"})


async def private(request: web.Request) -> web.Response:
    """Wants the token."""
    return web.Response(status=200 if request.headers.get("Authorization") == TOKEN else 401)


async def elsewhere(request: web.Request) -> web.Response:
    """Redirects to another host."""
    raise web.HTTPFound("http://internal.example/health")


async def here(request: web.Request) -> web.Response:
    """Redirects on the same host."""
    raise web.HTTPFound("/health")


async def round_and_round(request: web.Request) -> web.Response:
    """Redirects to itself."""
    raise web.HTTPFound(request.path)


async def hang(request: web.Request) -> web.Response:
    """Never answers."""
    await asyncio.Event().wait()
    raise AssertionError("not reached")


async def endless(request: web.Request) -> web.StreamResponse:
    """A body without end."""
    answer = web.StreamResponse()
    await answer.prepare(request)
    with contextlib.suppress(ConnectionError):
        while True:
            await answer.write(b"needle " + b"x" * 8192)
    return answer


@contextlib.asynccontextmanager
async def served(trust: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server on a free port; `host:port`."""
    app = web.Application()
    app.add_routes([
        web.get("/health", health), web.get("/private", private), web.get("/elsewhere", elsewhere),
        web.get("/here", here), web.get("/round", round_and_round), web.get("/hang", hang),
        web.get("/endless", endless),
    ])  # fmt: skip
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=trust).start()
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def server() -> AsyncIterator[str]:
    """Plain HTTP."""
    async with served() as place:
        yield place


async def ask(params: dict[str, Any], secrets: dict[str, str] | None = None) -> dict[tuple[str, str], Any]:
    """One run."""
    return dict(observed(await run_probe(CHECK, {"wait": "2s", **params}, FakeAws(), NOW, secrets)))


@pytest.mark.parametrize(
    ("path", "more", "down"),
    [
        ("/health", {}, 0.0),
        ("/health", {"method": "HEAD"}, 0.0),
        ("/health", {"body": r'"status":\s*"ok"'}, 0.0),
        ("/health", {"body": "degraded"}, 1.0),
        ("/health", {"json_path": "status", "equals": "ok"}, 0.0),
        ("/health", {"json_path": "queue", "equals": "3"}, 0.0),
        ("/health", {"json_path": "status", "equals": "down"}, 1.0),
        ("/health", {"json_path": "missing"}, 1.0),
        ("/nowhere", {}, 1.0),
        ("/nowhere", {"status": [404]}, 0.0),
        ("/private", {}, 1.0),
        ("/here", {}, 0.0),
        ("/here", {"redirects": "none"}, 1.0),
        ("/here", {"redirects": "none", "status": [302]}, 0.0),
        ("/elsewhere", {}, 1.0),
        ("/round", {}, 1.0),
        ("/hang", {"wait": "100ms"}, 1.0),
        ("/endless", {"max_body": 100, "body": "^needle"}, 0.0),
        ("/endless", {"max_body": 100, "json_path": "a"}, 1.0),
    ],
)
async def test_an_http_answer(server: str, path: str, more: dict[str, Any], down: float) -> None:
    """Status, body and JSON as expected, or down; redirects stay on the host; bodies and waits are bounded."""
    url = f"http://{server}{path}"
    seen = await ask({"urls": [url], **more})
    assert seen[url, "down"] == down
    assert (seen[url, "latency"] is None) is (path == "/hang")
    assert (url, "tls_days") not in seen


async def test_a_header_may_be_a_secret_reference(server: str) -> None:
    """The value is resolved late, and stands nowhere in what is observed."""
    url = f"http://{server}/private"
    params = {"urls": [url], "headers": {"Authorization": "env:API_TOKEN"}, "wait": "2s"}
    seen = await run_probe(CHECK, params, FakeAws(), NOW, {"env:API_TOKEN": TOKEN})
    assert observed(seen)[url, "down"] == 0.0
    assert TOKEN not in repr(seen)


async def test_a_secret_that_cannot_be_resolved_is_unknown(server: str) -> None:
    """That says nothing of the server: no value."""
    with pytest.raises(ProbeError, match="nothing lies"):
        await ask({"urls": [f"http://{server}/private"], "headers": {"Authorization": "env:API_TOKEN"}})


async def test_the_query_is_no_part_of_the_targets_name(server: str) -> None:
    """Keys in a URL must not become labels."""
    seen = await ask({"urls": [f"http://{server}/health?key={TOKEN}"]})
    assert {target for target, _ in seen} == {f"http://{server}/health"}


async def test_tcp(server: str, unused_tcp_port: int) -> None:
    """A port that listens is up, one that doesn't is down; one disturbs the other in nothing."""
    closed = f"127.0.0.1:{unused_tcp_port}"
    seen = await ask({"tcp": [server, closed]})
    assert (seen[server, "down"], seen[closed, "down"]) == (0.0, 1.0)
    assert (seen[server, "latency"], seen[closed, "latency"]) == (pytest.approx(0, abs=1), None)


async def test_dns() -> None:
    """A name resolves, or not, or to something else than expected."""
    assert (await ask({"dns": ["localhost"]}))["localhost", "down"] == 0.0
    params = {"dns": ["localhost"], "addresses": ["127.0.0.0/8", "::1"]}
    assert (await ask(params))["localhost", "down"] == 0.0
    seen = await run_probe(CHECK, {"dns": ["localhost"], "addresses": ["192.0.2.1"]}, FakeAws(), NOW)
    assert observed(seen)["localhost", "down"] == 1.0
    assert "none of the expected" in seen[0].detail


def certificate(folder: Path, begins: datetime, ends: datetime, host: str = "localhost") -> tuple[Path, ssl.SSLContext]:
    """A self-signed certificate (its own authority), and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    built = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(begins).not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = folder / "cert.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "both.pem").write_bytes(secret + built.public_bytes(serialization.Encoding.PEM))
    path.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    return path, context


async def test_tls_days(tmp_path: Path) -> None:
    """A certificate that ends in ten days, over TLS alone and over HTTPS."""
    authority, context = certificate(tmp_path, NOW - timedelta(days=1), NOW + timedelta(days=10))
    async with served(context) as place:
        port = place.rsplit(":", 1)[1]
        url, bare = f"https://localhost:{port}/health", f"localhost:{port}"
        seen = await ask({"urls": [url], "tls": [bare], "ca_file": str(authority)})
    assert (seen[url, "down"], seen[bare, "down"]) == (0.0, 0.0)
    assert seen[url, "tls_days"] == pytest.approx(10, abs=0.01)
    assert seen[bare, "tls_days"] == pytest.approx(10, abs=0.01)


@pytest.mark.parametrize("way", ["urls", "tls"])
async def test_an_expired_certificate_has_no_days_left(tmp_path: Path, way: str) -> None:
    """Down, and 0 days: what expired is not unknown."""
    authority, context = certificate(tmp_path, NOW - timedelta(days=9), NOW - timedelta(days=1))
    async with served(context) as place:
        bare = "localhost:" + place.rsplit(":", 1)[1]
        target = f"https://{bare}/health" if way == "urls" else bare
        seen = await ask({way: [target], "ca_file": str(authority)})
    assert (seen[target, "down"], seen[target, "tls_days"]) == (1.0, 0.0)


@pytest.mark.parametrize("way", ["urls", "tls"])
async def test_a_certificate_nobody_vouches_for_is_down(tmp_path: Path, way: str) -> None:
    """Not trusted: down, and how long it would be valid is not said."""
    _, context = certificate(tmp_path, NOW - timedelta(days=1), NOW + timedelta(days=10))
    async with served(context) as place:
        bare = "localhost:" + place.rsplit(":", 1)[1]
        target = f"https://{bare}/health" if way == "urls" else bare
        seen = await ask({way: [target]})
    assert (seen[target, "down"], seen[target, "tls_days"]) == (1.0, None)


async def test_no_tls_where_tls_should_be_is_down(server: str) -> None:
    """A plain server on a TLS port."""
    assert (await ask({"tls": [server]}))[server, "down"] == 1.0


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "at least one"),
        ({"urls": ["ftp://x"]}, "no HTTP URL"),
        ({"urls": ["https://me:pass@x/"]}, "no credentials"),
        ({"tcp": ["host"]}, "write host:port"),
        ({"tcp": ["host:99999"]}, "write host:port"),
        ({"urls": ["http://x"], "body": "("}, "not a regular expression"),
        ({"urls": ["http://x"], "json_path": "a["}, "not a JMESPath"),
        ({"urls": ["http://x"], "equals": "ok"}, "needs a `json_path`"),
        ({"dns": ["x"], "addresses": ["not an address"]}, "address"),
    ],
)
def test_what_makes_no_sense_is_refused(params: dict[str, Any], said: str) -> None:
    """With what to write instead."""
    with pytest.raises(ValidationError, match=said):
        Probe.model_validate(params)


def test_nothing_of_a_body_is_said() -> None:
    """Why an answer is not the expected one never quotes it."""
    secret = b'{"card": "4111", "ok": false}'
    for expected in (Expected(body="never"), Expected(json_path="card", equals="x"), Expected(json_path="ok")):
        assert "4111" not in unexpected(200, secret, True, expected)
