"""AWS Health: events that the control door tells, or the refusal of an account without a support plan.

Sources: API_DescribeEvents, AWS Health user guide ("you must have a Business, Enterprise On-Ramp or Enterprise Support
plan": SubscriptionRequiredException otherwise). An account of the emulator has no plan until it is told events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monitor.demo.emulator.calls import Call, Reply, answer, refuse
from monitor.demo.emulator.state import Answerer, Emulator

#: Event fields by the member of EventFilter that selects them.
_FILTERS = {
    "services": "service", "regions": "region", "eventStatusCodes": "statusCode",
    "eventTypeCategories": "eventTypeCategory", "eventTypeCodes": "eventTypeCode",
}  # fmt: skip


def install(emulator: Emulator) -> Mapping[str, Answerer]:
    """The operation answered here."""
    return {"health:DescribeEvents": lambda call: _events(emulator, call)}


def set_events(emulator: Emulator, account: str, events: Sequence[Mapping[str, Any]] | None) -> int:
    """The account has a plan and these events ({service, region, statusCode, ...}); None: no plan."""
    if events is None:
        emulator.settings.health.pop(account, None)
    else:
        emulator.settings.health[account] = list(events)
    return len(events or ())


def _events(emulator: Emulator, call: Call) -> Reply:
    known = emulator.settings.health.get(call.account)
    if known is None:
        return refuse(call, "SubscriptionRequiredException", "")
    wanted = call.json().get("filter") or {}

    def matches(event: Mapping[str, Any]) -> bool:
        return all(event.get(field) in wanted[name] for name, field in _FILTERS.items() if wanted.get(name))

    return answer(call, {"events": [event for event in known if matches(event)]})
