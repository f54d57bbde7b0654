"""What several test files of the room share."""

from __future__ import annotations

from typing import Any

from monitor.app import registry
from monitor.audit.policy import Policy

REGISTRY = registry()


def allowed(policies: list[Policy]) -> dict[str, Any]:
    """action -> resource(s), over all statements."""
    found: dict[str, Any] = {}
    for policy in policies:
        for statement in policy.document["Statement"]:
            for action in statement["Action"]:
                resources = statement["Resource"]
                found.setdefault(action, []).extend([resources] if isinstance(resources, str) else resources)
    return found
