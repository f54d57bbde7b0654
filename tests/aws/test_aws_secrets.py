"""Secret references resolve late, briefly cached, and never leak."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from monitor.aws import SecretResolver
from monitor.core.model import Reason
from monitor.plugin import ActionError, ProbeError
from monitor.testing import FakeClock


class Vault:
    """Reveals canned replies and counts."""

    def __init__(self, replies: dict[str, Any]) -> None:
        self.replies = replies
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def reveal(self, aws_service: str, operation: str, **params: Any) -> Mapping[str, Any]:
        self.asked.append((operation, params))
        reply = self.replies[operation]
        if isinstance(reply, Exception):
            raise reply
        assert isinstance(reply, dict)
        return reply


def resolver(replies: dict[str, Any] | None = None) -> tuple[SecretResolver, Vault, FakeClock]:
    """A resolver with one environment variable and a vault."""
    vault, clock = Vault(replies or {}), FakeClock()
    return SecretResolver({"TOKEN": "hush"}, lambda: vault, clock), vault, clock


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ("env:TOKEN", "hush"),
        ("https://hooks.example.com/x", "https://hooks.example.com/x"),
        ("plain", "plain"),
        ("ssm:/a/b", "p"),
        ("secretsmanager:db#password", "s"),
        ("secretsmanager:db", '{"password": "s"}'),
    ],
)
async def test_a_reference_resolves(reference: str, value: str) -> None:
    """Known schemes are looked up, anything else is itself."""
    found, vault, _ = resolver(
        {"GetParameter": {"Parameter": {"Value": "p"}}, "GetSecretValue": {"SecretString": '{"password": "s"}'}}
    )
    assert await found.resolve(reference) == value
    if reference.startswith("ssm"):
        assert vault.asked == [("GetParameter", {"Name": "/a/b", "WithDecryption": True})]


async def test_a_file_is_read_without_its_newline(tmp_path: Path) -> None:
    """Mounted secrets often end in one."""
    (tmp_path / "token").write_text("hush\n")
    assert await resolver()[0].resolve(f"file:{tmp_path / 'token'}") == "hush"


async def test_values_are_kept_for_five_minutes() -> None:
    """A rotated secret is seen after that."""
    found, vault, clock = resolver({"GetParameter": {"Parameter": {"Value": "p"}}})
    for seconds in (0, 200, 200):
        await clock.advance(seconds)
        await found.resolve("ssm:/a")
    assert len(vault.asked) == 2


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("env:NOPE", Reason.NOT_FOUND),
        ("env:", Reason.INVALID),
        ("file:/nonexistent/x", Reason.NOT_FOUND),
        (f"file:{os.sep}", Reason.UNAVAILABLE),
        ("ssm:/x", Reason.DENIED),
        ("secretsmanager:db#nope", Reason.NOT_FOUND),
        ("secretsmanager:db#password", Reason.INVALID),
    ],
)
async def test_a_failed_reference_has_a_reason_and_no_value(reference: str, reason: Reason) -> None:
    """Errors name the reference, never what was found."""
    secret = "hush{" if reason is Reason.INVALID else '{"password": "hush"}'
    found, _, _ = resolver(
        {"GetParameter": ProbeError(Reason.DENIED, "no"), "GetSecretValue": {"SecretString": secret}}
    )
    with pytest.raises(ActionError) as caught:
        await found.resolve(reference)
    assert caught.value.reason is reason
    assert "hush" not in str(caught.value)
    assert "hush" not in repr(found)
