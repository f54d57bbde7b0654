"""memory_use: how much of their memory functions used, by their REPORT lines."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from checks.memory_use import CHECK
from monitor.plugin import ProbeError, Reason
from monitor.testing import FakeAws, assert_check_conforms, observed, run_probe


def logs(*rows: Mapping[str, str]) -> FakeAws:
    """An Insights query that is through at once."""
    results = [[{"field": name, "value": value} for name, value in row.items()] for row in rows]
    return FakeAws(
        {
            "logs.StartQuery": {"queryId": "q"},
            "logs.GetQueryResults": {"status": "Complete", "results": results},
            "logs.StopQuery": {"success": True},
        }
    )


def row(group: str, most: float, size: float, runs: int) -> dict[str, str]:
    """One of the query's; memory in MB."""
    return {
        "@log": f"123456789012:{group}",
        "most": f"{most * 1e6:.0f}",
        "size": f"{size * 1e6:.0f}",
        "runs": str(runs),
    }


async def test_the_contract() -> None:
    """Declarations, and unknown when AWS fails."""
    await assert_check_conforms(CHECK)


async def test_the_most_that_was_used_counts_and_a_fitting_size_is_named() -> None:
    """Per function, whatever its log group is called; one query for all."""
    params = {"lambda_functions": ["big", "full"], "log_groups": {"full": "/own/full"}}
    aws = logs(row("/aws/lambda/big", 150, 1024, 300), row("/own/full", 500, 512, 30))
    seen = await run_probe(CHECK, params, aws)
    assert observed(seen) == {
        ("big", "used"): pytest.approx(150 / 1024),
        ("big", "runs"): 300.0,
        ("full", "used"): pytest.approx(500 / 512),
        ("full", "runs"): 30.0,
    }
    details = {one.target: one.detail for one in seen if one.signal == "used"}
    assert details["big"] == "150 of 1024 MB at most in 300 invocations; 192 MB would do"
    assert details["full"].endswith("640 MB would do")
    (started,) = [call for call in aws.calls if call.name == "logs.StartQuery"]
    assert started.params["logGroupNames"] == ["/aws/lambda/big", "/own/full"]


@pytest.mark.parametrize("rows", [[], [row("/aws/lambda/big", 100, 1024, 19)]], ids=["none", "too few"])
async def test_few_invocations_prove_nothing(rows: list[dict[str, str]]) -> None:
    """Absent, not small."""
    seen = observed(await run_probe(CHECK, {"lambda_functions": ["big"]}, logs(*rows)))
    assert seen["big", "used"] is None
    assert seen["big", "runs"] == (19.0 if rows else 0.0)


async def test_a_query_that_fails_is_unknown_for_each_function() -> None:
    """By its reason."""
    aws = FakeAws({"logs.StartQuery": ProbeError(Reason.DENIED, "no")})
    seen = observed(await run_probe(CHECK, {"lambda_functions": ["a", "b"]}, aws))
    assert set(seen.values()) == {Reason.DENIED}
    assert len(seen) == 4
