"""Sets the limit of an AWS budget, or moves money from one budget to another, and puts both back when undone.

UpdateBudget replaces the whole budget, so all of it is read and written back and only the limit changes. With
`take_from` another budget of the same currency is lowered first by as much as this one is raised. Budgets that plan
limits ahead or adjust themselves have no one limit to set and are refused. A higher limit quiets alarms, nothing else:
whoever approves it decides about money. Source: AWS Budgets API reference, UpdateBudget, DescribeBudget.

Blast radius: the alarms and checks that look at these budgets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import Field, model_validator

from monitor.actions.readback import confirmed
from monitor.plugin import (
    Action,
    ActionContext,
    ActionError,
    Change,
    Json,
    Params,
    Permission,
    Reads,
    Reason,
    Receipt,
    Risk,
    need,
)

#: Of a budget, what AWS computes.
_OWN = frozenset({"CalculatedSpend", "LastUpdatedTime", "HealthStatus"})


class BudgetParams(Params):
    """Which budget, to what."""

    budget: str = Field(description="Name of the budget.", min_length=1)
    amount: float | None = Field(default=None, gt=0, description="The new limit, in the budget's currency.")
    by: float | None = Field(default=None, gt=0, description="Instead: how much more than now.")
    at_most: float | None = Field(default=None, gt=0, description="The limit is never set above this.")
    take_from: str | None = Field(default=None, description="Budget that is lowered by as much.", min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> BudgetParams:
        if (self.amount is None) == (self.by is None):
            raise ValueError("give either `amount` or `by`")
        if self.take_from == self.budget:
            raise ValueError("`take_from` has to be another budget")
        if self.amount is not None and self.at_most is not None and self.amount > self.at_most:
            raise ValueError("`amount` is above `at_most`")
        return self


def plan(params: BudgetParams, now: datetime) -> Change:
    """Pure; with `by` or `take_from` the limits are not known before AWS is asked (`expand`)."""
    to = f"to {params.amount:g}" if params.amount is not None else f"by {params.by:g}"
    source = f", taken from the budget {params.take_from}" if params.take_from else ""
    return _change(params.budget, None if params.amount is None else _shown(Decimal(str(params.amount))), to + source)


async def expand(params: BudgetParams, now: datetime, reads: Reads) -> Sequence[Change]:
    """The budget that gives first, then the one that gets, each with its new limit."""
    budget = await _read(params.budget, reads)
    limit = _limit(budget)
    wanted = Decimal(str(params.amount)) if params.amount is not None else limit + Decimal(str(params.by))
    if params.at_most is not None:
        # A limit that is higher already stays: raising never lowers.
        wanted = max(min(wanted, Decimal(str(params.at_most))), min(wanted, limit))
    changes = [_change(params.budget, _shown(wanted), f"from {_shown(limit)} to {_shown(wanted)}")]
    if params.take_from is not None and wanted > limit:
        source = await _read(params.take_from, reads)
        other, left = _limit(source), _limit(source) - (wanted - limit)
        if _unit(source) != _unit(budget):
            text = f"{params.budget} counts in {_unit(budget)}, {params.take_from} in {_unit(source)}: name another one"
            raise ActionError(Reason.INVALID, f"nothing can be moved between these budgets: {text}")
        if left <= 0:
            text = f"the budget {params.take_from} has {_shown(other)} only: {_shown(wanted - limit)} can't be taken"
            raise ActionError(Reason.INVALID, text)
        lowered = f"from {_shown(other)} to {_shown(left)}, for the budget {params.budget}"
        changes.insert(0, _change(params.take_from, _shown(left), lowered))
    return changes


def _change(budget: str, wanted: str | None, how: str) -> Change:
    return Change(
        action="set_budget",
        resource=f"budgets/{budget}",
        property="limit",
        wanted=wanted,
        summary=f"set the limit of the budget {budget} {how}",
        params={"budget": budget},
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """The limit as a decimal text. Raises ActionError(invalid) for a budget without one."""
    return _shown(_limit(await _read(str(change.params["budget"]), ctx.aws)))


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Writes the budget back as it is, but for its limit."""
    return await _set(change, change.wanted, ctx)


async def undo(receipt: Receipt, ctx: ActionContext) -> Receipt:
    """The earlier limit; what else was changed meanwhile is kept."""
    return replace(await _set(receipt.change, receipt.prior, ctx), prior=receipt.prior)


async def _set(change: Change, wanted: Json, ctx: ActionContext) -> Receipt:
    budget = await _read(str(change.params["budget"]), ctx.aws)
    if _shown(_limit(budget)) == wanted:
        return Receipt(change=change, applied=wanted, detail=f"was {wanted} already")
    kept = {name: value for name, value in budget.items() if name not in _OWN and value not in (None, {}, [])}
    kept["BudgetLimit"] = {"Amount": str(wanted), "Unit": budget["BudgetLimit"]["Unit"]}
    await ctx.aws.mutate("budgets", "UpdateBudget", AccountId=await ctx.aws.account(), NewBudget=kept)
    live = await confirmed(lambda: capture(change, ctx), wanted, ctx, f"the limit of {change.resource}")
    return Receipt(change=change, applied=live, changed=True, detail=f"the limit is {wanted}")


async def _read(budget: str, reads: Reads) -> Mapping[str, Any]:
    # Without its filter expression a budget that has one would be written back as one over the whole bill.
    found = await reads.call(
        "budgets", "DescribeBudget", AccountId=await reads.account(), BudgetName=budget, ShowFilterExpression=True
    )
    return dict(found["Budget"])


def _limit(budget: Mapping[str, Any]) -> Decimal:
    name = budget.get("BudgetName")
    if budget.get("PlannedBudgetLimits") or budget.get("AutoAdjustData"):
        raise ActionError(Reason.INVALID, f"the budget {name} plans its limits or adjusts itself: change it by hand")
    if not budget.get("BudgetLimit"):
        raise ActionError(Reason.INVALID, f"the budget {name} has no limit to change")
    return Decimal(str(budget["BudgetLimit"]["Amount"]))


def _unit(budget: Mapping[str, Any]) -> str:
    return str(budget["BudgetLimit"]["Unit"])


def _shown(amount: Decimal) -> str:
    """`120`, `99.5`: no exponent, no idle zeros."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def needs(params: BudgetParams) -> list[Permission]:
    """For IAM: what one step asks."""
    names = [name for name in (params.budget, params.take_from) if name is not None]
    return [need("budgets:ViewBudget", "budgets:ModifyBudget", budget=names)]


ACTION = Action(
    name="set_budget",
    summary="Sets the limit of an AWS budget, or moves money from another one; everything else of it is kept.",
    params=BudgetParams,
    risk=Risk.DISRUPTIVE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=undo,
    expand=expand,
    permissions=("budgets:ViewBudget", "budgets:ModifyBudget"),
    example="set_budget: {budget: jaunt-data-scout, by: 50, at_most: 300}",
    blast_radius="The alarms and checks that look at these budgets.",
    needs=needs,
)
