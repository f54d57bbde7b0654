"""Requests a higher service quota, once: while AWS still decides over an earlier request, none is made.

A process: a request can't be withdrawn by an API, and what AWS grants stays granted. Nothing is requested either when
the quota is as high already, or when a person at AWS closed a request for as much within the last week. The answer
takes hours to days; `quota_headroom` sees it when it is there. Quotas of global services live in us-east-1.
Source: Service Quotas API reference, RequestServiceQuotaIncrease, ListRequestedServiceQuotaChangeHistoryByQuota
(statuses PENDING, CASE_OPENED, APPROVED, DENIED, CASE_CLOSED, NOT_APPROVED, INVALID_REQUEST), GetServiceQuota.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from monitor.plugin import (
    Action,
    ActionContext,
    ActionError,
    Change,
    Json,
    Params,
    Permission,
    ProbeError,
    Reason,
    Receipt,
    Risk,
    need,
)

#: Requests over which AWS still decides.
_OPEN = ("PENDING", "CASE_OPENED")
_REFUSED = ("DENIED", "CASE_CLOSED", "NOT_APPROVED", "INVALID_REQUEST")
#: A refusal this young stands: asking again the same day wins nothing.
_STANDS = timedelta(days=7)
_HISTORY = "servicequotas:ListRequestedServiceQuotaChangeHistoryByQuota"


class QuotaParams(Params):
    """Which quota, how high."""

    service: str = Field(
        description="Service code of Service Quotas, e.g. lambda.", pattern=r"^[a-zA-Z][a-zA-Z0-9-]{1,62}$"
    )
    quota: str = Field(
        description="Quota code, e.g. L-B99A9384 (concurrent executions).", pattern=r"^[a-zA-Z0-9-]{1,128}$"
    )
    value: float = Field(description="The value to ask for.", gt=0)


def plan(params: QuotaParams, now: datetime) -> Change:
    """Pure."""
    return Change(
        action="request_quota",
        resource=f"servicequotas/{params.service}/{params.quota}",
        wanted=None,
        summary=f"request {params.value:g} for the quota {params.quota} of {params.service}",
        params=params.model_dump(mode="json"),
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """{value, open}: the quota now, and the status of a request under way."""
    pending = await _newest(change, _OPEN, ctx)
    return {"value": await _value(change, ctx), "open": None if pending is None else str(pending["Status"])}


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Asks, unless that was done, is done, or was refused lately. `data`: id, status."""
    asked = float(str(change.params["value"]))
    now = await _value(change, ctx)
    if now is not None and now >= asked:
        return Receipt(change=change, applied=now, detail=f"the quota is {now:g} already: nothing requested")
    if (pending := await _newest(change, _OPEN, ctx)) is not None:
        return _told(change, pending, f"a request for {float(pending['DesiredValue']):g} is under way")
    refused = await _newest(change, _REFUSED, ctx)
    if refused is not None and float(refused["DesiredValue"]) >= asked and _age(refused, ctx) < _STANDS:
        return _told(
            change, refused, f"AWS closed a request for as much ({refused['Status']}): take it up with support"
        )
    try:
        reply = await ctx.aws.mutate(
            "service-quotas", "RequestServiceQuotaIncrease", idempotent=False,
            ServiceCode=change.params["service"], QuotaCode=change.params["quota"], DesiredValue=asked,
        )  # fmt: skip
        made: Mapping[str, Any] = reply["RequestedQuota"]
    except ActionError as error:
        # AWS itself keeps a second one out while one is open; a lost answer may have been a yes.
        found = (
            await _newest(change, _OPEN, ctx) if error.ambiguous or "ResourceAlreadyExists" in error.detail else None
        )
        if found is None:
            raise
        return _told(
            change, found, f"a request for {float(found['DesiredValue']):g} is under way", changed=error.ambiguous
        )
    return _told(change, made, f"requested {asked:g}; AWS decides within hours or days", changed=True)


def _told(change: Change, request: Mapping[str, Any], detail: str, *, changed: bool = False) -> Receipt:
    data: dict[str, Json] = {"id": str(request.get("Id", "")), "status": str(request.get("Status", ""))}
    return Receipt(
        change=change, changed=changed, detail=f"{detail} (request {data['id']}, {data['status']})", data=data
    )


async def _newest(change: Change, statuses: tuple[str, ...], ctx: ActionContext) -> Mapping[str, Any] | None:
    found: list[Mapping[str, Any]] = []
    pages = ctx.aws.pages(
        "service-quotas", "ListRequestedServiceQuotaChangeHistoryByQuota",
        ServiceCode=change.params["service"], QuotaCode=change.params["quota"],
    )  # fmt: skip
    async for page in pages:
        found += [one for one in page.get("RequestedQuotas") or () if one.get("Status") in statuses]
    return max(found, key=lambda one: one["Created"], default=None)


def _age(request: Mapping[str, Any], ctx: ActionContext) -> timedelta:
    at: datetime = request.get("LastUpdated") or request["Created"]
    return ctx.now() - at


async def _value(change: Change, ctx: ActionContext) -> float | None:
    """The applied value, else AWS's default; None if neither can be told."""
    asked: dict[str, Any] = {"ServiceCode": change.params["service"], "QuotaCode": change.params["quota"]}
    for operation in ("GetServiceQuota", "GetAWSDefaultServiceQuota"):
        try:
            return float((await ctx.aws.call("service-quotas", operation, **asked))["Quota"]["Value"])
        except ProbeError as error:
            if error.reason is not Reason.NOT_FOUND:
                raise
    return None


def needs(params: QuotaParams) -> list[Permission]:
    """For IAM: what one step asks."""
    return [need(*ACTION.permissions)]


ACTION = Action(
    name="request_quota",
    summary="Requests a higher service quota, once.",
    params=QuotaParams,
    # Harmless, but nothing takes it back and a person at AWS may read it.
    risk=Risk.DISRUPTIVE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=None,
    permissions=(
        "servicequotas:GetServiceQuota",
        "servicequotas:GetAWSDefaultServiceQuota",
        _HISTORY,
        "servicequotas:RequestServiceQuotaIncrease",
    ),
    example="request_quota: {service: lambda, quota: L-B99A9384, value: 2000}",
    blast_radius="A request to AWS for one quota; granted, it stays.",
    needs=needs,
)
