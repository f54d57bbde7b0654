"""The daemon's settings: flags over environment over defaults."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from monitor.settings import Settings, SettingsError, environ, kill_file_says_off, split_listen, unknown_variables


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().startswith("TRIPSWITCH_"):
            monkeypatch.delenv(name)


def test_defaults() -> None:
    """What a daemon does when nobody says anything."""
    settings = Settings.from_sources()
    assert settings.address == ("0.0.0.0", 9108)
    assert settings.store == "sqlite:///tripswitch.db"
    assert settings.token is None
    assert (settings.actions, settings.log_format, settings.log_level) == ("on", "auto", "info")
    assert settings.grace == timedelta(seconds=25)
    assert (settings.concurrency, settings.read_share) == (64, 0.5)


def test_flags_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a flag that was not given leaves it alone."""
    monkeypatch.setenv("TRIPSWITCH_LISTEN", "127.0.0.1:1")
    monkeypatch.setenv("TRIPSWITCH_GRACE", "1m30s")
    settings = Settings.from_sources({"listen": ":2", "grace": None})
    assert settings.address == ("0.0.0.0", 2)
    assert settings.grace == timedelta(seconds=90)


def test_words_are_read_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill switch must not fail to kill because someone wrote OFF, false or 0."""
    monkeypatch.setenv("TRIPSWITCH_LOG_LEVEL", "DEBUG")
    assert Settings.from_sources().log_level == "debug"
    for word in ("off", "OFF", "false", "0", "no"):
        monkeypatch.setenv("TRIPSWITCH_ACTIONS", word)
        assert Settings.from_sources().actions == "off"
    assert Settings.from_sources({"actions": False}).actions == "off"


def test_an_empty_variable_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """`TRIPSWITCH_TOKEN=` in a manifest is no token, so mutating requests stay off."""
    monkeypatch.setenv("TRIPSWITCH_TOKEN", "")
    assert Settings.from_sources().token is None


def test_the_token_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by repr nor by a dump."""
    monkeypatch.setenv("TRIPSWITCH_TOKEN", "hunter2")
    settings = Settings.from_sources()
    assert settings.token is not None
    assert settings.token.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(settings) + settings.model_dump_json()


def test_every_wrong_setting_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its flag or variable, and no value that may be a secret."""
    monkeypatch.setenv("TRIPSWITCH_STORE", "postgres://me:hunter2@db/x")
    monkeypatch.setenv("TRIPSWITCH_CONCURRENCY", "0")
    with pytest.raises(SettingsError) as caught:
        Settings.from_sources({"grace": "5 mins", "actions": "maybe"})
    told = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 4
    assert "--grace: '5 mins' is not a duration" in told
    assert "--actions: 'maybe' is not 'on' or 'off'" in told
    assert "TRIPSWITCH_STORE: is not a store" in told
    assert "TRIPSWITCH_CONCURRENCY: should be greater than or equal to 1" in told
    assert "hunter2" not in told + repr(caught.value)


@pytest.mark.parametrize("url", ["memory:", "sqlite:///a.db", "sqlite:////var/a.db", "dynamodb://tripswitch"])
def test_stores_that_exist(url: str) -> None:
    """Kept as they are; the store room reads them."""
    assert Settings.from_sources({"store": url}).store == url


@pytest.mark.parametrize("listen", ["9108", "host", "host:port", "host:70000", "::1:9108", "host:"])
def test_addresses_that_are_none(listen: str) -> None:
    """IPv6 needs brackets."""
    with pytest.raises(SettingsError, match="is not an address"):
        Settings.from_sources({"listen": listen})


def test_addresses() -> None:
    """(host, port)."""
    assert split_listen("[::1]:80") == ("::1", 80)
    assert split_listen("localhost:0") == ("localhost", 0)


def test_misspelt_variables_are_warned_of() -> None:
    """By name, with the likely one, never with the value."""
    warnings = unknown_variables(
        {"TRIPSWITCH_LISTN": "x", "TRIPSWITCH_TOKEN": "y", "TRIPSWITCH_QQQQQQQQ": "z", "PATH": "p"}
    )
    assert warnings == [
        "TRIPSWITCH_LISTN is no setting (did you mean TRIPSWITCH_LISTEN?)",
        "TRIPSWITCH_QQQQQQQQ is no setting",
    ]


def test_an_unknown_flag_is_a_mistake() -> None:
    """Of ours, and told like a user's."""
    with pytest.raises(SettingsError, match="--nope: unknown setting"):
        Settings.from_sources({"nope": 1})


def test_the_environment_is_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What pipeline files see does not change under them."""
    monkeypatch.setenv("TRIPSWITCH_TEST_COPY", "1")
    seen = environ()
    monkeypatch.setenv("TRIPSWITCH_TEST_COPY", "2")
    assert seen["TRIPSWITCH_TEST_COPY"] == "1"


@pytest.mark.parametrize(
    ("content", "off"), [(None, False), ("on\n", False), ("ON", False), ("", True), ("off", True), ("nonsense", True)]
)
def test_a_kill_file_kills_unless_it_says_on(content: str | None, off: bool) -> None:
    """Touching it is enough; when in doubt it is off."""
    assert kill_file_says_off(content) is off


def test_the_kill_file_is_a_path() -> None:
    """It need not exist."""
    assert Settings.from_sources({"kill_file": "/nowhere/kill"}).kill_file == Path("/nowhere/kill")
