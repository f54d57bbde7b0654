"""Has a CloudFront distribution show a page of its own where its origin answers with an error, and takes it back.

Only the named error codes of the distribution's custom error responses are changed: the configuration is read, changed
and written back whole under its ETag (UpdateDistribution replaces everything and wants IfMatch), so a change that
somebody else makes in between is never lost, it makes this one start anew. Undo puts back what each code had, also that
it had nothing. The page must be reachable through the distribution: give `/maintenance/*` a cache behaviour with
another origin where the origin itself may be down (CloudFront Developer Guide, "Generate custom error responses").
Edge locations follow within minutes. Source: CloudFront API reference, GetDistributionConfig, UpdateDistribution.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field, field_validator

from monitor.actions.readback import confirmed
from monitor.plugin import (
    Action,
    ActionContext,
    ActionError,
    Change,
    Duration,
    Json,
    Params,
    Permission,
    ProbeError,
    Reason,
    Receipt,
    Risk,
    need,
)

#: Error codes that CloudFront can answer with a page (Developer Guide, as above).
CODES = (400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504)
#: How often a configuration that moved under our hands is read again before the dispatcher's own retry.
_ROUNDS = 3


class ErrorPageParams(Params):
    """Which distribution, which page, for which errors."""

    distribution: str = Field(description="Id of the distribution, e.g. E2QWRUHAPOMQZL.", pattern=r"^[A-Z0-9]{5,20}$")
    page: str = Field(
        description="Path of the page in the distribution, e.g. /maintenance/index.html.", pattern=r"^/.+"
    )
    codes: tuple[int, ...] = Field(
        default=(500, 502, 503, 504), min_length=1, description="The origin's answers in whose place the page is shown."
    )
    status: int = Field(default=503, ge=200, le=599, description="Status that viewers get with the page.")
    ttl: Duration = Field(
        default=timedelta(seconds=10), description="How long an edge keeps the error before it asks the origin again."
    )

    @field_validator("codes")
    @classmethod
    def _known(cls, codes: tuple[int, ...]) -> tuple[int, ...]:
        for code in codes:
            if code not in CODES:
                raise ValueError(f"CloudFront has no page for {code}; for {', '.join(map(str, CODES))} it has")
        return tuple(sorted(set(codes)))


def plan(params: ErrorPageParams, now: datetime) -> Change:
    """Pure."""
    entry: dict[str, Json] = {"page": params.page, "status": str(params.status), "ttl": int(params.ttl.total_seconds())}
    codes = ", ".join(map(str, params.codes))
    return Change(
        action="set_error_page",
        resource=f"cloudfront/{params.distribution}",
        property="error pages " + codes,
        wanted={str(code): dict(entry) for code in params.codes},
        summary=f"show {params.page} of {params.distribution} with status {params.status} in place of {codes}",
        params={"distribution": params.distribution, "codes": [str(code) for code in params.codes]},
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """{code: {page, status, ttl}}; null for a code without a response of its own."""
    return _shown(await _read(change, ctx), change)


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Merges the responses in and reads them back."""
    return await _set(change, change.wanted, ctx)


async def undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
    """What each of the codes had before; all else stays as it is now."""
    return replace(await _set(receipt.change, receipt.prior, ctx), prior=receipt.prior)


async def _set(change: Change, wanted: Json, ctx: ActionContext) -> Receipt:
    assert isinstance(wanted, Mapping)
    for attempt in range(_ROUNDS):
        told = await _read(change, ctx)
        if _shown(told, change) == wanted:
            return Receipt(change=change, applied=dict(wanted), detail="was so already", changed=attempt > 0)
        try:
            await ctx.aws.mutate(
                "cloudfront",
                "UpdateDistribution",
                Id=change.params["distribution"],
                IfMatch=told["ETag"],
                DistributionConfig=_merged(told["DistributionConfig"], wanted),
            )
            break
        except ActionError as error:
            if not _is_stale(error) or attempt + 1 == _ROUNDS:
                raise
    live = await confirmed(lambda: capture(change, ctx), wanted, ctx, f"the error pages of {change.resource}")
    return Receipt(change=change, applied=live, changed=True, detail="edge locations follow within minutes")


def _merged(config: Mapping[str, Any], wanted: Mapping[str, Json]) -> dict[str, Any]:
    responses = (config.get("CustomErrorResponses") or {}).get("Items") or ()
    kept = [dict(one) for one in responses if str(one["ErrorCode"]) not in wanted]
    for code, entry in wanted.items():
        if isinstance(entry, Mapping):
            page = {"ResponsePagePath": entry["page"], "ResponseCode": entry["status"]} if entry["page"] else {}
            kept.append({"ErrorCode": int(code), **page, "ErrorCachingMinTTL": entry["ttl"]})
    items = {"Items": kept} if kept else {}
    return {**config, "CustomErrorResponses": {"Quantity": len(kept), **items}}


def _shown(told: Mapping[str, Any], change: Change) -> Json:
    responses = (told["DistributionConfig"].get("CustomErrorResponses") or {}).get("Items") or ()
    by_code = {str(one["ErrorCode"]): one for one in responses}
    codes = change.params["codes"]
    assert isinstance(codes, list)
    return {str(code): _entry(by_code.get(str(code))) for code in codes}


def _entry(response: Mapping[str, Any] | None) -> Json:
    """A response may hold a caching time alone, without a page."""
    if response is None:
        return None
    return {
        "page": response.get("ResponsePagePath") or "",
        "status": str(response.get("ResponseCode") or ""),
        "ttl": int(response.get("ErrorCachingMinTTL", 10)),
    }


def _is_stale(error: ActionError) -> bool:
    return "PreconditionFailed" in error.detail or "InvalidIfMatchVersion" in error.detail


async def _read(change: Change, ctx: ActionContext) -> Mapping[str, Any]:
    name = change.params["distribution"]
    try:
        return await ctx.aws.call("cloudfront", "GetDistributionConfig", Id=name)
    except ProbeError as error:
        if error.reason is Reason.NOT_FOUND:
            raise ActionError(
                Reason.NOT_FOUND, f"there is no distribution {name}: give its id, not its domain"
            ) from error
        raise


def needs(params: ErrorPageParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    return [need(*ACTION.permissions, distribution=params.distribution)]


ACTION = Action(
    name="set_error_page",
    summary="Has a CloudFront distribution show a page where its origin answers with an error.",
    params=ErrorPageParams,
    risk=Risk.REVERSIBLE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=undo,
    permissions=("cloudfront:GetDistributionConfig", "cloudfront:UpdateDistribution"),
    example="set_error_page: {distribution: E2QWRUHAPOMQZL, page: /maintenance/index.html}",
    blast_radius="What viewers of one distribution see in place of errors.",
    needs=needs,
)
