"""Shared pieces of the loader's tests: a small registry and a way to load text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from config_fakes import REGISTRY, FakeOperations

from monitor.config import ConfigError, Loaded, load

ENVIRON = {"ACCOUNT_ID": "123456789012", "AWS_REGION": "us-east-1", "LIMIT": "250", "SLACK_TOKEN": "xoxb-9"}

Load = Callable[..., Loaded]


@pytest.fixture
def load_text(tmp_path: Path) -> Load:
    """`load_text(yaml, environ=...)` loads it as the file etl.yaml."""

    def loading(text: str, environ: Mapping[str, str] = ENVIRON) -> Loaded:
        path = tmp_path / "etl.yaml"
        path.write_text(text, encoding="utf-8")
        return load([path], REGISTRY, environ, FakeOperations())

    return loading


@pytest.fixture
def problems_of(load_text: Load) -> Callable[..., list[str]]:
    """`problems_of(yaml)`: every problem as `line:col: path: message (suggestion)`."""

    def telling(text: str, environ: Mapping[str, str] = ENVIRON) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load_text(text, environ)
        return [str(problem).removeprefix(f"{problem.file}:") for problem in caught.value.problems]

    return telling
