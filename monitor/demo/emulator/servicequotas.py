"""Service Quotas that the control door sets, with their usage metrics.

Sources: API_servicequotas_GetServiceQuota, API_GetAWSDefaultServiceQuota, API_ServiceQuota (UsageMetric, Period): the
applied value exists only where one was ever applied, else NoSuchResourceException.
API_RequestServiceQuotaIncrease: refused (ResourceAlreadyExistsException) while a request for the quota is open, and for
no more than what is applied; AWS decides when the control door says so.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from moto.servicequotas.models import servicequotas_backends

from monitor.demo.emulator.calls import Call, Reply, answer, refuse
from monitor.demo.emulator.state import Answerer, Emulator

_OPEN = ("PENDING", "CASE_OPENED")


def install(emulator: Emulator) -> Mapping[str, Answerer]:
    """The operations answered here."""
    return {
        "servicequotas:GetServiceQuota": lambda call: _told(call, "applied"),
        "servicequotas:GetAWSDefaultServiceQuota": lambda call: _told(call, "default"),
        "servicequotas:RequestServiceQuotaIncrease": _request,
        "servicequotas:ListRequestedServiceQuotaChangeHistoryByQuota": _history,
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


def decide(account: str, region: str, status: str) -> int:
    """AWS answers every open request: APPROVED applies the value, anything else does not; how many."""
    backend, known, count = servicequotas_backends[account][region], _known(account, region), 0
    for request in _requests(backend):
        if request["Status"] in _OPEN:
            request["Status"], request["LastUpdated"], count = status, time.time(), count + 1
            key = (request["ServiceCode"], request["QuotaCode"])
            if status == "APPROVED":
                known[key] = {**known[key], "applied": request["DesiredValue"]}
    return count


def _requests(backend: Any) -> list[dict[str, Any]]:
    if not hasattr(backend, "emulated_requests"):
        backend.emulated_requests = []
    found: list[dict[str, Any]] = backend.emulated_requests
    return found


def _request(call: Call) -> Reply:
    asked, backend = call.json(), servicequotas_backends[call.account][call.region]
    key = (asked["ServiceCode"], asked["QuotaCode"])
    quota = _known(call.account, call.region).get(key)
    if quota is None:
        return refuse(call, "NoSuchResourceException", "The request failed because the specified quota does not exist.")
    mine = [one for one in _requests(backend) if (one["ServiceCode"], one["QuotaCode"]) == key]
    if any(one["Status"] in _OPEN for one in mine):
        return refuse(
            call, "ResourceAlreadyExistsException", "Only one open service quota increase request is allowed."
        )
    if float(asked["DesiredValue"]) <= float(quota.get("applied") or quota["default"]):
        return refuse(call, "IllegalArgumentException", "You must provide a quota value greater than the current one.")
    made = {
        "Id": uuid.uuid4().hex, "ServiceCode": key[0], "QuotaCode": key[1], "Status": "PENDING",
        "DesiredValue": float(asked["DesiredValue"]), "Created": time.time(), "LastUpdated": time.time(),
    }  # fmt: skip
    _requests(backend).append(made)
    return answer(call, {"RequestedQuota": made})


def _history(call: Call) -> Reply:
    asked, backend = call.json(), servicequotas_backends[call.account][call.region]
    key = (asked["ServiceCode"], asked["QuotaCode"])
    found = [one for one in _requests(backend) if (one["ServiceCode"], one["QuotaCode"]) == key]
    return answer(call, {"RequestedQuotas": found})
