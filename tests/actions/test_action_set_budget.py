"""set_budget."""
# ruff: noqa: N803 - the fakes take AWS's own parameter names

import pytest

from monitor.actions.set_budget import ACTION
from monitor.plugin import ActionError, Reason
from monitor.testing import EPOCH, assert_action_conforms, run_action

OTHERS = {
    "TimeUnit": "MONTHLY", "BudgetType": "COST", "CostTypes": {"IncludeTax": False},
    "CostFilters": {"TagKeyValue": ["user:project$jaunt"]},
}  # fmt: skip


class Budgets:
    """Budgets by name; an update replaces one."""

    def __init__(self, **limits):
        self.all = {name: self.made(name, amount) for name, amount in limits.items()}

    @staticmethod
    def made(name, amount):
        return {**OTHERS, "BudgetName": name, "BudgetLimit": {"Amount": amount, "Unit": "USD"}}

    @property
    def replies(self):
        return {"budgets.DescribeBudget": self.tell, "budgets.UpdateBudget": self.update}

    def tell(self, *, AccountId, BudgetName, ShowFilterExpression=False):
        spent = {"ActualSpend": {"Amount": "95", "Unit": "USD"}}
        told = {**self.all[BudgetName], "CalculatedSpend": spent, "PlannedBudgetLimits": {}}
        if not ShowFilterExpression:
            told.pop("FilterExpression", None)
        return {"Budget": told}

    def update(self, *, AccountId, NewBudget):
        self.all[NewBudget["BudgetName"]] = NewBudget
        return {}


async def test_a_limit_is_raised_and_put_back(fake):
    """As a decimal, whatever AWS writes; every other setting stays."""
    budgets = Budgets(jaunt="100.0")
    run = await run_action(ACTION, {"budget": "jaunt", "amount": 150}, fake(budgets.replies, action=ACTION))
    assert budgets.all["jaunt"] == {**OTHERS, "BudgetName": "jaunt", "BudgetLimit": {"Amount": "150", "Unit": "USD"}}
    assert run.prior == "100"
    await run.undo(ACTION)
    assert budgets.all["jaunt"]["BudgetLimit"]["Amount"] == "100"


async def test_it_conforms(fake):
    """Apply, apply again, undo."""
    await assert_action_conforms(
        ACTION, {"budget": "jaunt", "amount": 150.5}, lambda: fake(Budgets(jaunt="100").replies)
    )


@pytest.mark.parametrize(
    ("params", "wanted"),
    [
        ({"by": 50}, [("jaunt", "150")]),
        ({"by": 50, "at_most": 120}, [("jaunt", "120")]),
        ({"amount": 130, "take_from": "spare"}, [("spare", "10"), ("jaunt", "130")]),
        ({"by": 0.1, "take_from": "spare"}, [("spare", "39.9"), ("jaunt", "100.1")]),
        ({"amount": 90, "take_from": "spare"}, [("jaunt", "90")]),
        ({"by": 50, "at_most": 80, "take_from": "spare"}, [("jaunt", "100")]),
    ],
)
async def test_the_plan_says_the_limits(fake, params, wanted):
    """The one that gives goes first; nothing is taken for a limit that falls."""
    aws = fake(Budgets(jaunt="100", spare="40").replies)
    changes = await ACTION.expand(ACTION.params(budget="jaunt", **params), EPOCH, aws)
    assert [(change.params["budget"], change.wanted) for change in changes] == wanted
    assert all("from" in change.summary for change in changes)
    assert aws.mutations == []


async def test_a_filter_is_kept(fake):
    """AWS tells it only when asked, and an update replaces the whole budget."""
    budgets = Budgets(jaunt="100")
    budgets.all["jaunt"]["FilterExpression"] = {"Tags": {"Key": "project", "Values": ["jaunt"]}}
    await run_action(ACTION, {"budget": "jaunt", "amount": 150}, fake(budgets.replies, action=ACTION))
    assert budgets.all["jaunt"]["FilterExpression"] == {"Tags": {"Key": "project", "Values": ["jaunt"]}}


async def test_money_moves_within_one_unit_only(fake):
    """Fifty dollars are not fifty gigabytes."""
    budgets = Budgets(jaunt="100", spare="400")
    budgets.all["spare"]["BudgetLimit"]["Unit"] = "GB"
    with pytest.raises(ActionError, match="jaunt counts in USD, spare in GB"):
        await ACTION.expand(ACTION.params(budget="jaunt", by=50, take_from="spare"), EPOCH, fake(budgets.replies))


async def test_more_than_there_is_is_not_taken(fake):
    """A sentence, and no change."""
    aws = fake(Budgets(jaunt="100", spare="40").replies)
    with pytest.raises(ActionError, match="has 40 only") as caught:
        await ACTION.expand(ACTION.params(budget="jaunt", by=40, take_from="spare"), EPOCH, aws)
    assert caught.value.reason is Reason.INVALID


@pytest.mark.parametrize(
    "more",
    [
        {"PlannedBudgetLimits": {"1": {"Amount": "1", "Unit": "USD"}}},
        {"AutoAdjustData": {"AutoAdjustType": "HISTORICAL"}},
    ],
)
async def test_budgets_without_one_limit_are_refused(fake, more):
    """They have many, or move by themselves."""
    budgets = Budgets(jaunt="100")
    aws = fake({**budgets.replies, "budgets.DescribeBudget": {"Budget": {**budgets.all["jaunt"], **more}}})
    with pytest.raises(ActionError, match="by hand"):
        await run_action(ACTION, {"budget": "jaunt", "amount": 150}, aws)
    assert aws.mutations == []


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({}, "either"),
        ({"amount": 1, "by": 1}, "either"),
        ({"by": 1, "take_from": "jaunt"}, "another"),
        ({"amount": 200, "at_most": 100}, "above"),
        ({"amount": 0}, "greater than 0"),
    ],
)
def test_what_makes_no_sense_is_refused_at_load(params, words):
    """One way to say it, and within its own bound."""
    with pytest.raises(ValueError, match=words):
        ACTION.params(budget="jaunt", **params)
