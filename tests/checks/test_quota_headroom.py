"""quota_headroom: which usage is held against which limit."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from checks.quota_headroom import CHECK, QuotaHeadroom
from monitor.plugin import ProbeError, Reason
from monitor.testing import FakeAws, assert_check_conforms, observed, run_probe

ACCOUNT = {"AccountLimit": {"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": 900}}


async def run(params: Any, replies: Any = (), metrics: Any = ()) -> Any:
    """What was observed."""
    return observed(await run_probe(CHECK, params, FakeAws(dict(replies), metrics=dict(metrics))))


async def test_it_conforms() -> None:
    """The contract of a kind."""
    await assert_check_conforms(CHECK)


async def test_the_accounts_concurrency() -> None:
    """The busiest minute over the account's limit, reserved or not."""
    metrics = {"AWS/Lambda.ConcurrentExecutions[]": [100, 870, 300]}
    seen = await run({"lambda_concurrency": True}, {"lambda.GetAccountSettings": ACCOUNT}, metrics)
    assert seen == {("lambda-concurrency", "used"): 0.87, ("lambda-concurrency", "limit"): 1000.0}


@pytest.mark.parametrize(("limit", "used"), [([200_000], 0.5), ([], 0.1)], ids=["raised or lowered", "default"])
async def test_open_executions(limit: list[float], used: float) -> None:
    """Against the limit AWS publishes, or the default million."""
    metrics = {"AWS/States.OpenExecutionCount[]": [100_000], "AWS/States.OpenExecutionLimit[]": limit}
    assert (await run({"open_executions": True}, metrics=metrics))["open-executions", "used"] == used


async def test_a_function_that_runs_into_its_timeout() -> None:
    """Duration is in milliseconds, the timeout in seconds."""
    metrics = {"AWS/Lambda.Duration[FunctionName=f]": [2000, 285_000]}
    seen = await run({"lambda_timeouts": "f"}, {"lambda.GetFunctionConfiguration": {"Timeout": 300}}, metrics)
    assert seen == {("f", "used"): 0.95, ("f", "limit"): 300.0}


def quota(value: float, metric: str, stat: str, period: Any = None) -> dict[str, Any]:
    """GetServiceQuota."""
    usage = {"MetricNamespace": "AWS/Usage", "MetricName": metric, "MetricDimensions": {"Service": "S"},
             "MetricStatisticRecommendation": stat}  # fmt: skip
    return {"Quota": {"Value": value, "UsageMetric": usage, **({"Period": period} if period else {})}}


@pytest.mark.parametrize(
    ("reply", "points", "used"),
    [
        (quota(50, "ResourceCount", "Maximum"), [10, 40], 0.8),
        (quota(10, "CallCount", "Sum", {"PeriodValue": 1, "PeriodUnit": "SECOND"}), [60, 300, 60], 0.5),
        (quota(600, "CallCount", "Sum", {"PeriodValue": 1, "PeriodUnit": "MINUTE"}), [300], 0.5),
        (quota(0, "ResourceCount", "Maximum"), [], 1.0),
        (quota(50, "ResourceCount", "Maximum"), [], None),
    ],
    ids=["resources", "calls per second", "calls per minute", "nothing is allowed", "nothing is used"],
)
async def test_any_metered_quota(reply: Any, points: list[float], used: float | None) -> None:
    """A sum over a minute is spread over the quota's own period."""
    name = reply["Quota"]["UsageMetric"]["MetricName"]
    params = {"quotas": {"mine": {"service": "states", "code": "L-12345678"}}}
    metrics = {f"AWS/Usage.{name}[Service=S]": points}
    assert (await run(params, {"service-quotas.GetServiceQuota": reply}, metrics))["mine", "used"] == used


async def test_a_quota_that_was_never_applied_has_a_default(gone: ProbeError) -> None:
    """Service Quotas answers NoSuchResource for the applied value then."""
    replies = {
        "service-quotas.GetServiceQuota": gone,
        "service-quotas.GetAWSDefaultServiceQuota": quota(50, "ResourceCount", "Maximum"),
    }
    params = {"quotas": {"mine": {"service": "lambda", "code": "L-12345678"}}}
    metrics = {"AWS/Usage.ResourceCount[Service=S]": [25]}
    assert (await run(params, replies, metrics))["mine", "used"] == 0.5


async def test_a_quota_without_usage_can_not_be_watched() -> None:
    """Said as invalid, not shown as free."""
    params = {"quotas": {"mine": {"service": "lambda", "code": "L-12345678"}}}
    seen = await run(params, {"service-quotas.GetServiceQuota": {"Quota": {"Value": 5.0}}})
    assert set(seen.values()) == {Reason.INVALID}


def test_something_has_to_be_watched() -> None:
    """And all of it is known from config."""
    with pytest.raises(ValidationError, match="at least one"):
        QuotaHeadroom.model_validate({})
    quotas = {"mine": {"service": "lambda", "code": "L-12345678"}}
    params = QuotaHeadroom.model_validate({"open_executions": True, "lambda_timeouts": "f", "quotas": quotas})
    assert CHECK.targets(params) == ("open-executions", "f", "mine")
