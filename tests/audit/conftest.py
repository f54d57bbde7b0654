"""Pipelines as texts, loaded as the commands load them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from audit_helpers import REGISTRY

from monitor.app import read_config
from monitor.audit.needs import Settings, asked_by
from monitor.audit.policy import Policy, policies
from monitor.aws.operations import Operations
from monitor.aws.quotas import sdk_service
from monitor.config import Loaded
from monitor.core.iam import Where

_OPERATIONS = Operations()


def spelled(service: str, name: str) -> tuple[str, str]:
    """As the SDK spells them."""
    return sdk_service(service), _OPERATIONS.canonical(service, name) or name


def settings(observe: bool = False, references: tuple[str, ...] = ()) -> Settings:
    """An account in Virginia."""
    return Settings(Where("aws", "us-east-1", "123456789012"), spelled, references, observe)


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Loaded]:
    """`load(text, ...)`: each text is a file."""

    def loaded(*texts: str) -> Loaded:
        for n, text in enumerate(texts):
            (tmp_path / f"p{n}.yaml").write_text(text)
        return read_config([tmp_path], {"ACCOUNT_ID": "123456789012"}, REGISTRY)

    return loaded


@pytest.fixture
def made(load: Callable[..., Loaded]) -> Callable[..., list[Policy]]:
    """`made(text, ..., observe=True)`: the policies of these files."""

    def policies_of(*texts: str, observe: bool = False, references: tuple[str, ...] = ()) -> list[Policy]:
        return policies(asked_by(load(*texts).pipelines, REGISTRY, settings(observe, references)))

    return policies_of
