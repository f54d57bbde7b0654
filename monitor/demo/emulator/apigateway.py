"""Method settings of an API Gateway stage that go away when a patch removes them; moto keeps them.

Source: API Gateway API reference, patch operations for UpdateStage: `remove` of `/{resource}/{method}`, `/*/*` for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.apigateway.models import Stage

from monitor.demo.emulator.state import Answerer, Emulator, patch


def install(emulator: Emulator) -> Mapping[str, Answerer]:
    """Mend UpdateStage; nothing is answered at the door."""
    patch(Stage, "apply_operations", _removing)
    return {}


def _removing(original: Any) -> Any:
    def apply(stage: Any, operations: list[dict[str, Any]]) -> Any:
        for one in operations:
            if one["op"] == "remove":
                stage.method_settings.pop(one["path"].removeprefix("/"), None)
        return original(stage, operations)

    return apply
