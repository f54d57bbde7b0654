"""deployment_recency: what counts as a change, and since when."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from checks.deployment_recency import CHECK, DeploymentRecency
from monitor.plugin import Reason
from monitor.testing import EPOCH, FakeAws, assert_check_conforms, observed, run_probe


def ago(minutes: float) -> datetime:
    """So many minutes before the run."""
    return EPOCH - timedelta(minutes=minutes)


def written(minutes: float) -> str:
    """As Lambda writes times."""
    return ago(minutes).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


async def run(replies: dict[str, Any], **params: Any) -> Any:
    """What was observed."""
    return observed(await run_probe(CHECK, params, FakeAws(replies)))


async def test_it_conforms() -> None:
    """The contract of a kind."""
    await assert_check_conforms(CHECK)


@pytest.mark.parametrize(("minutes", "recent"), [(10, 1.0), (29.9, 1.0), (30, 0.0), (3000, 0.0)])
async def test_a_function_that_was_modified(minutes: float, recent: float) -> None:
    """Recent until `within` has passed."""
    seen = await run({"lambda.GetFunctionConfiguration": {"LastModified": written(minutes)}}, lambda_functions="api")
    assert seen["api", "recent"] == recent
    assert seen["api", "age"] == pytest.approx(minutes * 60, abs=1)


@pytest.mark.parametrize(
    ("alias", "recent"),
    [
        ({"FunctionVersion": "8"}, 1.0),
        ({"FunctionVersion": "7"}, 0.0),
        ({"FunctionVersion": "7", "RoutingConfig": {"AdditionalVersionWeights": {"8": 0.1}}}, 1.0),
        ({"FunctionVersion": "7", "RoutingConfig": {"AdditionalVersionWeights": {"8": 0.0}}}, 0.0),
    ],
    ids=["the new version", "rolled back", "a canary of the new version", "a canary without traffic"],
)
async def test_an_alias_is_as_new_as_what_it_serves(alias: Any, recent: float) -> None:
    """A rollback ends recency, a canary begins it."""
    versions = {"7": written(9000), "8": written(5)}
    replies = {
        "lambda.GetAlias": alias,
        "lambda.GetFunctionConfiguration": lambda **asked: {"LastModified": versions[asked["Qualifier"]]},
    }
    assert (await run(replies, aliases="api:LIVE"))["api:LIVE", "recent"] == recent


async def test_a_stack_counts_by_its_last_update() -> None:
    """Never updated: by its creation."""
    updated = {"Stacks": [{"CreationTime": ago(9000), "LastUpdatedTime": ago(5)}]}
    assert (await run({"cloudformation.DescribeStacks": updated}, stacks="app"))["app", "recent"] == 1.0
    created = {"Stacks": [{"CreationTime": ago(9000)}]}
    assert (await run({"cloudformation.DescribeStacks": created}, stacks="app"))["app", "recent"] == 0.0


async def test_the_newest_deployment_of_a_group_counts() -> None:
    """AWS lists ids in no order; 25 are described at once."""
    made = {f"d-{number}": ago(1000 - number) for number in range(60)}
    sizes = []

    def described(deploymentIds: list[str]) -> Any:  # noqa: N803 - AWS's spelling
        sizes.append(len(deploymentIds))
        return {"deploymentsInfo": [{"deploymentId": one, "createTime": made[one]} for one in deploymentIds]}

    replies = {"codedeploy.ListDeployments": {"deployments": sorted(made)}, "codedeploy.BatchGetDeployments": described}
    seen = await run(replies, deployment_groups="shop/api")
    assert (seen["shop/api", "age"], sizes) == ((1000 - 59) * 60.0, [25, 25, 10])


async def test_nothing_deployed_is_absent() -> None:
    """Which `missing: zero` takes for not recent; the group is known to exist."""
    fake = FakeAws({"codedeploy.ListDeployments": {"deployments": []}})
    seen = await run_probe(CHECK, {"deployment_groups": "shop/api"}, fake)
    assert {(one.signal, one.value, one.reason, one.exists) for one in seen} == {
        ("age", None, None, True),
        ("recent", None, None, True),
    }


async def test_targets_fail_alone(gone: Exception) -> None:
    """A missing alias leaves the stack."""
    replies = {"lambda.GetAlias": gone, "cloudformation.DescribeStacks": {"Stacks": [{"CreationTime": ago(1)}]}}
    seen = await run(replies, aliases="api:LIVE", stacks="app")
    assert (seen["api:LIVE", "recent"], seen["app", "recent"]) == (Reason.NOT_FOUND, 1.0)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "at least one"),
        ({"aliases": "api"}, "one:two"),
        ({"aliases": "api:*"}, "plain names"),
        ({"deployment_groups": "shop"}, "one/two"),
        ({"stacks": "a", "within": "8d"}, "longer than look_back"),
    ],
)
def test_mistakes_are_told_at_load(params: Any, message: str) -> None:
    """With what to write."""
    with pytest.raises(ValidationError, match=message):
        DeploymentRecency.model_validate(params)
