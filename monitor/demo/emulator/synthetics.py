"""The last runs of canaries, as the control door set them; moto keeps canaries, but runs none.

Source: API_synthetics_DescribeCanariesLastRun: canaries that never ran are not in the answer.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from moto.synthetics.models import synthetics_backends

from monitor.demo.emulator.calls import Call, Reply, answer
from monitor.demo.emulator.state import Answerer, Emulator


def install(emulator: Emulator) -> Mapping[str, Answerer]:
    """The operation answered here."""
    return {"synthetics:DescribeCanariesLastRun": last_runs}


def set_run(account: str, region: str, name: str, state: str, reason: str = "") -> None:
    """The canary has run now: PASSED, FAILED or RUNNING."""
    _runs(account, region)[name] = {
        "Id": str(uuid.uuid4()),
        "Name": name,
        "Status": {"State": state, "StateReason": reason},
        "Timeline": {"Started": datetime.now(UTC).timestamp()},
    }


def last_runs(call: Call) -> Reply | None:
    """DescribeCanariesLastRun."""
    names = call.json().get("Names") or []
    runs = {name: run for name, run in _runs(call.account, call.region).items() if not names or name in names}
    return answer(call, {"CanariesLastRun": [{"CanaryName": name, "LastRun": run} for name, run in runs.items()]})


def _runs(account: str, region: str) -> dict[str, dict[str, Any]]:
    backend: Any = synthetics_backends[account][region]
    if not hasattr(backend, "emulated_runs"):
        backend.emulated_runs = {}
    runs: dict[str, dict[str, Any]] = backend.emulated_runs
    return runs
