"""EC2: a security group can be given an id, so that a pipeline file can name it before it exists.

AWS chooses ids; the tag `_custom_id_` does it here, as moto does elsewhere. Everything else is moto's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.ec2.models.security_groups import SecurityGroupBackend

from monitor.demo.emulator.state import Answerer, Emulator, patch

_TAG = "_custom_id_"


def install(emulator: Emulator) -> Mapping[str, Answerer]:
    """Mend the creation; nothing is answered at the door."""
    patch(SecurityGroupBackend, "create_security_group", _named)
    return {}


def _named(original: Any) -> Any:
    def create(backend: Any, *args: Any, **more: Any) -> Any:
        group = original(backend, *args, **more)
        wanted = next((one["value"] for one in group.get_tags() if one["key"] == _TAG), None)
        if wanted is not None:
            kept = backend.groups[group.vpc_id]
            kept[wanted] = kept.pop(group.id)
            group.id = group.group_id = wanted
        return group

    return create
