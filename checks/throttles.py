"""Requests that AWS refused for going too fast, and how much of Lambda's concurrency is in use.

`throttled` sums refused requests over the complete minutes of `window`:

- a Lambda function's Throttles;
- a table's ReadThrottleEvents and WriteThrottleEvents, its own and those of every global secondary index, which only
  exist under the index' own dimension (ThrottledRequests by table alone is no valid metric);
- a state machine's ExecutionThrottled.

No datapoint means zero, once the resource or its traffic was seen; where there was traffic but no throttle point the
zero is real and observed as such. `concurrency_used` is a function's ConcurrentExecutions over its reserved
concurrency or, without one, the unreserved pool's use over its limit: what the function competes for. With a reserved
concurrency of 0 nothing may run, which is 1. No datapoint there means that nothing ran.

A REST API has no throttle metric at all: `rejected` is its 4XXError count, an upper bound in which the 429s of a
throttle cannot be told from any other client error. It has no default threshold.

Default thresholds are the runbooks': any throttle at all, critical when it lasts 5 minutes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from pydantic import Field, model_validator

from checks import refusals
from checks.executions import DISCOVERY
from checks.reading import each_of
from checks.refusals import REJECTED, THROTTLED, USED
from monitor.plugin import (
    Bound,
    Check,
    Duration,
    Missing,
    Observation,
    Params,
    Permission,
    ProbeContext,
    ResourceKind,
    Selector,
    SignalSpec,
    discovery,
    need,
)

SIGNALS = (THROTTLED, USED, REJECTED)


class Throttles(Params):
    """Which resources, of one service or several."""

    lambda_functions: Selector | None = Field(None, description="Lambda functions by name, ARN, glob or tag.")
    tables: Selector | None = Field(None, description="DynamoDB tables by name, ARN, glob or tag.")
    state_machines: Selector | None = Field(None, description="State machines by name, ARN, glob or tag.")
    apis: Selector | None = Field(None, description="REST APIs of API Gateway by name or id, glob or tag.")
    window: Duration = Field(timedelta(minutes=5), description="Complete minutes that are summed.")

    @model_validator(mode="after")
    def _something(self) -> Throttles:
        if not (self.lambda_functions or self.tables or self.state_machines or self.apis):
            raise ValueError("give at least one of lambda_functions, tables, state_machines and apis")
        return self


async def probe(params: Throttles, ctx: ProbeContext) -> Sequence[Observation]:
    """All services at once; a resource that fails is unknown alone."""
    return await each_of(
        [
            await refusals.functions(params.lambda_functions, params.window, ctx),
            await refusals.tables(params.tables, params.window, ctx),
            await refusals.machines(params.state_machines, params.window, ctx),
            await refusals.apis(params.apis, params.window, ctx),
        ]
    )


def needs(params: Throttles) -> list[Permission]:
    """For IAM: what one configuration asks."""
    found = [need("cloudwatch:GetMetricData")]
    if params.lambda_functions:
        found += discovery(ResourceKind.FUNCTION, params.lambda_functions)
        found.append(need("lambda:GetFunctionConcurrency", function=params.lambda_functions))
        found.append(need("lambda:GetAccountSettings"))
    if params.tables:
        found += discovery(ResourceKind.TABLE, params.tables)
        found.append(need("dynamodb:DescribeTable", table=params.tables))
    if params.state_machines:
        found += discovery(ResourceKind.STATE_MACHINE, params.state_machines)
        found.append(need("states:DescribeStateMachine", machine=params.state_machines))
    return [*found, *discovery(ResourceKind.REST_API, params.apis)]


CHECK: Check[Throttles] = Check(
    kind="throttles",
    summary="Refused requests of functions, tables, state machines and APIs, and Lambda concurrency in use.",
    params=Throttles,
    probe=probe,
    signals=SIGNALS,
    defaults={
        "throttled": SignalSpec(
            warning=Bound(above=0), critical=Bound(above=0, hold=timedelta(minutes=5)), missing=Missing.ZERO
        ),
        "concurrency_used": SignalSpec(warning=Bound(above=0.8), missing=Missing.ZERO),
    },
    permissions=(
        "cloudwatch:GetMetricData",
        "lambda:GetFunctionConcurrency",
        "lambda:GetAccountSettings",
        "lambda:ListFunctions",
        "dynamodb:DescribeTable",
        "dynamodb:ListTables",
        "states:DescribeStateMachine",
        "apigateway:GET",
        *DISCOVERY,
    ),
    cost="Per function 3 or 4 metrics, per state machine and API 2, per table 4 and 2 per index ($0.01 per 1,000).",
    example="""\
ingest-throttles:
  kind: throttles
  lambda_functions: ingest-handler
  tables: etl-metadata
  thresholds:
    throttled: {critical: {above: 0, for: 5m}}
""",
    selectors=("lambda_functions", "tables", "state_machines", "apis"),
    needs=needs,
)
