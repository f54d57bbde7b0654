"""The policy that `tripswitch iam-policy` prints for a scene's pipeline, in force at the emulator's door."""

from __future__ import annotations

from typing import Any

from monitor.app import registry
from monitor.audit.needs import Settings, asked_by
from monitor.audit.policy import Policy, policies
from monitor.aws.operations import Operations
from monitor.aws.quotas import sdk_service
from monitor.config import Loaded
from monitor.core.iam import Where
from monitor.demo.emulator.child import ACCOUNT, REGION

#: What the daemon's SDK clients add to their User-Agent: the scene's own clients may do anything.
DAEMON = "tripswitch"
_OPERATIONS = Operations()


def policies_of(loaded: Loaded) -> list[Policy]:
    """What the command prints, with the account and region of the emulator."""
    return policies(asked_by(loaded.pipelines, registry(), Settings(Where("aws", REGION, ACCOUNT), _spelled)))


def statements_of(loaded: Loaded) -> list[dict[str, Any]]:
    """Their statements together."""
    return [statement for one in policies_of(loaded) for statement in one.document["Statement"]]


def _spelled(service: str, name: str) -> tuple[str, str]:
    return sdk_service(service), _OPERATIONS.canonical(service, name) or name
