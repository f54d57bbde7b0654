"""Service Quotas that the control door sets, with their usage metrics.

Sources: API_servicequotas_GetServiceQuota, API_GetAWSDefaultServiceQuota, API_ServiceQuota (UsageMetric, Period): the
applied value exists only where one was ever applied, else NoSuchResourceException.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moto.servicequotas.models import servicequotas_backends

from monitor.demo.emulator.calls import Call, Reply, answer, refuse
from monitor.demo.emulator.state import Answerer, Emulator


def install(emulator: Emulator) -> Mapping[str, Answerer]:
    """The operations answered here."""
    return {
        "servicequotas:GetServiceQuota": lambda call: _told(call, "applied"),
        "servicequotas:GetAWSDefaultServiceQuota": lambda call: _told(call, "default"),
    }


def set_quotas(account: str, region: str, quotas: Sequence[Mapping[str, Any]]) -> int:
    """Quotas {service, code, applied?, default?, name?, usage?, period?}; `usage` and `period` as AWS shapes them."""
    known = _known(account, region)
    for quota in quotas:
        known[quota["service"], quota["code"]] = quota
    return len(known)


def _known(account: str, region: str) -> dict[tuple[str, str], Mapping[str, Any]]:
    backend: Any = servicequotas_backends[account][region]
    if not hasattr(backend, "emulated_quotas"):
        backend.emulated_quotas = {}
    known: dict[tuple[str, str], Mapping[str, Any]] = backend.emulated_quotas
    return known


def _told(call: Call, which: str) -> Reply | None:
    asked = call.json()
    quota = _known(call.account, call.region).get((asked.get("ServiceCode", ""), asked.get("QuotaCode", "")))
    if quota is None or quota.get(which) is None:
        return refuse(call, "NoSuchResourceException", "The request failed because the specified quota does not exist.")
    reply = {
        "ServiceCode": quota["service"],
        "QuotaCode": quota["code"],
        "QuotaName": quota.get("name", quota["code"]),
        "Value": float(quota[which]),
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
        "UsageMetric": quota.get("usage"),
        "Period": quota.get("period"),
    }
    return answer(call, {"Quota": {key: value for key, value in reply.items() if value is not None}})
