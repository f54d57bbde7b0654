"""The daemon's settings. The only module that reads the environment.

A flag of `run` wins over `TRIPSWITCH_*`, which wins over the default. Nothing here is resolved or opened: a token may
be a secret reference, a store is a URL, a kill file need not exist.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from monitor.core.durations import parse_duration

PREFIX = "TRIPSWITCH_"
_STORES = re.compile(r"memory:|sqlite:///.+|dynamodb://[A-Za-z0-9_.-]{3,255}(\?.*)?")


class SettingsError(Exception):
    """Every setting that is wrong, one sentence each, with the flag or variable it came from."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _duration(value: object) -> timedelta:
    """`25s`; a bare number is refused like in pipeline files, for its unit would be a guess."""
    span = parse_duration(value)
    if span <= timedelta(0):
        raise ValueError("must be longer than zero")
    return span


def _listen(text: str) -> str:
    split_listen(text)
    return text


def split_listen(text: str) -> tuple[str, int]:
    """`host:port`, `:port` (every address) or `[::1]:port`. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not port.isdigit() or not 0 <= int(port) <= 65_535 or (":" in host and not bracketed):
        raise ValueError(f"'{text}' is not an address (write for example 0.0.0.0:9108 or [::]:9108)")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 (the documented default)


def _store(url: str) -> str:
    if not _STORES.fullmatch(url):
        # Not echoed: it may hold a password that belongs to another kind of database.
        raise ValueError(
            "is not a store (write memory:, sqlite:///file.db, sqlite:////absolute/file.db or dynamodb://TABLE)"
        )
    return url


def _url(url: str | None) -> str | None:
    if url is not None and not re.fullmatch(r"https?://[^\s/]+.*", url):
        raise ValueError("is not an http:// or https:// address")
    return url.rstrip("/") if url else url


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _switch(value: Any) -> Any:
    """`on` and `off` in the spellings people use for booleans."""
    if isinstance(value, bool):
        return "on" if value else "off"
    word = _lower(value)
    return {"true": "on", "1": "on", "yes": "on", "false": "off", "0": "off", "no": "off"}.get(word, word)


Span = Annotated[timedelta, BeforeValidator(_duration)]
Word = BeforeValidator(_lower)


class Settings(BaseSettings):
    """Settings of a daemon and of the client commands. Build it with `from_sources`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, env_ignore_empty=True)

    listen: Annotated[str, AfterValidator(_listen)] = Field("0.0.0.0:9108", description="Address of the HTTP server.")
    store: Annotated[str, AfterValidator(_store)] = Field(
        "sqlite:///tripswitch.db",
        description="Where state lives: memory:, sqlite:///relative.db, sqlite:////absolute.db, dynamodb://TABLE.",
    )
    token: SecretStr | None = Field(
        None, description="Bearer token of mutating requests, or a secret reference to it; without one they are off."
    )
    log_format: Annotated[Literal["auto", "json", "console"], Word] = Field(
        "auto", description="auto: console on a terminal, else JSON."
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Word] = Field(
        "info", description="Least severe events to log."
    )
    actions: Annotated[Literal["on", "off"], BeforeValidator(_switch)] = Field(
        "on", description="Kill switch at start: off pauses every mutating call."
    )
    kill_file: Path | None = Field(
        None, description="Kill switch: while this file exists, actions are off (unless it says just `on`)."
    )
    grace: Span = Field(timedelta(seconds=25), description="From SIGTERM to the end of the process.")
    concurrency: int = Field(64, ge=1, le=10_000, description="Check runs at the same time.")
    read_share: float = Field(0.5, gt=0, le=1, description="Share of each AWS read quota to stay under.")
    url: Annotated[str | None, AfterValidator(_url)] = Field(
        None, description="The daemon that client commands talk to."
    )
    endpoint: Annotated[str | None, AfterValidator(_url)] = Field(
        None, description="Another address for all AWS services (an emulator); AWS_ENDPOINT_URL works too."
    )

    @classmethod
    def from_sources(cls, flags: Mapping[str, Any] | None = None) -> Settings:
        """Flags (by field name; None: not given) over the environment over the defaults. Raises SettingsError."""
        given = {name: value for name, value in (flags or {}).items() if value is not None}
        try:
            return cls(**given)
        except ValidationError as error:
            problems = tuple(dict.fromkeys(_told(one, given) for one in error.errors(include_url=False)))
        raise SettingsError(problems)

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) to listen on."""
        return split_listen(self.listen)


def _told(error: Mapping[str, Any], flags: Mapping[str, Any]) -> str:
    name = str(error["loc"][0]) if error["loc"] else ""
    source = f"--{name.replace('_', '-')}" if name in flags else f"{PREFIX}{name.upper()}"
    text = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    if error["type"] == "extra_forbidden":
        return f"{source}: unknown setting"
    if error["type"] == "literal_error":
        return f"{source}: {error['input']!r} is not {error['ctx']['expected']}"
    return f"{source}: {text}"


def environ() -> Mapping[str, str]:
    """A copy of the environment, for variables in pipeline files and for `env:` references."""
    return dict(os.environ)


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """A warning for each `TRIPSWITCH_*` that is no setting, with the likely one. Values are never told."""
    known = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
    warnings: list[str] = []
    for name in sorted(environment):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            close = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.8)
            hint = f" (did you mean {close[0]}?)" if close else ""
            warnings.append(f"{name} is no setting{hint}")
    return warnings


def kill_file_says_off(content: str | None) -> bool:
    """What a kill file means: absent (None) is on, the one word `on` is on, anything else (also nothing) is off."""
    return content is not None and content.strip().lower() != "on"
