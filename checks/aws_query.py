"""Any read-only AWS operation as a check: the operation, its parameters and a JMESPath query, as for the AWS CLI.

A runbook's `aws lambda get-function --function-name ingest --query Configuration.State` is

    kind: aws_query
    service: lambda
    operation: get-function
    parameters: {FunctionName: ingest}
    query: Configuration.State
    equals: Active

What the query yields becomes the signal `value`:

- a number is the value, also where AWS writes it as text; true is 1 and false is 0;
- other text needs `equals` (0 if equal, else 1; a list: equal to any) or `values` (`{Active: 0, else: 1}`);
- a time needs `age: true`: the value is how many seconds ago that was;
- a mapping, or a list of `[name, value]` pairs, is one target per name;
- null, empty text and an empty list are an absent point (`missing:` decides), unless `values` names null;
- a list of anything else is an error: say what is meant, with length(...), sum(...), max(...) or an index.

All pages are read and their lists joined before the query runs, as the CLI does. The service model checks operation,
parameters and query when the file is loaded. The default threshold takes 0 for good: critical above 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import BeforeValidator, Field, field_validator, model_validator

from checks.query_result import Reading, listed, number_of, plain, targets_of, worded
from checks.reading import absent, observe, unknown
from monitor.plugin import (
    Bound,
    Check,
    Observation,
    OperationUse,
    Params,
    ProbeContext,
    ProbeError,
    Reason,
    Signal,
    SignalSpec,
    target_name,
)

VALUE = Signal("value", "value", "What the query yields, as a number.")


class AwsQuery(Params):
    """One call and what to make of its reply."""

    service: str = Field(description="AWS service as the SDK or the CLI names it: `lambda`, `stepfunctions`, `rds`.")
    operation: str = Field(description="Operation, `GetFunction` or `get-function`. It must only read.")
    parameters: Mapping[str, Any] = Field(default_factory=dict, description="Its parameters, in AWS's spelling.")
    query: str = Field(description="JMESPath over the reply, the same as the AWS CLI's --query.")
    region: str | None = Field(None, description="Another region than the pipeline's.")
    target: str | None = Field(
        None, description="Name of the target; default: the only text among the parameters, else the operation."
    )
    unit: str | None = Field(None, description="Unit of the value, for people and metrics.")
    equals: Annotated[tuple[str, ...], BeforeValidator(listed)] | None = Field(
        None, description="Good texts: 0 if the result is one of them, else 1."
    )
    values: Annotated[Mapping[str, float], BeforeValidator(worded)] | None = Field(
        None, description="Numbers for texts, true, false and null; `else` for all others."
    )
    age: bool = Field(False, description="The result is a time: the value is how many seconds ago that was.")
    paginate: bool = Field(True, description="Read all pages; false: the first only.")
    max_pages: int = Field(100, ge=1, le=1000, description="More pages than this are an error: narrow the call.")

    @field_validator("query")
    @classmethod
    def _compiles(cls, query: str) -> str:
        try:
            jmespath.compile(query)
        except JMESPathError as error:
            raise ValueError(f"not a JMESPath expression: {str(error).splitlines()[0]}") from error
        return query

    @model_validator(mode="after")
    def _one_reading(self) -> AwsQuery:
        if sum((self.equals is not None, self.values is not None, self.age)) > 1:
            raise ValueError("give one of equals, values and age")
        return self

    @property
    def reading(self) -> Reading:
        """How to take the result."""
        texts = [value for value in self.parameters.values() if isinstance(value, str) and value]
        target = self.target or (target_name(texts[0]) if len(texts) == 1 else self.operation)
        return Reading(self.query, target, self.equals, self.values, self.age)


async def probe(params: AwsQuery, ctx: ProbeContext) -> Sequence[Observation]:
    """One call, all its pages, one query. Without a `target` a failed call raises: what it was about is not known."""
    try:
        return await _observe(params, ctx)
    except ProbeError as error:
        if params.target is None:
            raise
        return unknown([VALUE], params.target, error)


async def _observe(params: AwsQuery, ctx: ProbeContext) -> list[Observation]:
    reply = await _reply(params, ctx)
    try:
        result = jmespath.search(params.query, plain(reply))
    except JMESPathError as error:
        raise ProbeError(Reason.INVALID, f"{params.query}: {error}") from error
    unit = params.unit or ""
    seen = []
    for target, value in targets_of(params.reading, result):
        number = number_of(params.reading, value, ctx.now)
        if number is None:
            one = absent(VALUE, target, "the query yields nothing", exists=True)
        else:
            one = observe(VALUE, target, number, ctx.now)
        seen.append(Observation(one.signal, target, one.value, unit, one.at, detail=one.detail, exists=True))
    return seen


async def _reply(params: AwsQuery, ctx: ProbeContext) -> Mapping[str, Any]:
    if not params.paginate:
        return await ctx.aws.call(params.service, params.operation, region=params.region, **params.parameters)
    whole: dict[str, Any] = {}
    pages = 0
    async for page in ctx.aws.pages(params.service, params.operation, region=params.region, **params.parameters):
        pages += 1
        if pages > params.max_pages:
            raise ProbeError(Reason.INVALID, f"{params.operation} has more than {params.max_pages} pages: narrow it")
        for key, value in page.items():
            if isinstance(value, list) and isinstance(whole.get(key), list):
                whole[key] = whole[key] + value
            else:
                whole.setdefault(key, value)
    return whole


def operations(params: AwsQuery) -> list[OperationUse]:
    """The one read, for the service model to check at load."""
    return [
        OperationUse(
            params.service,
            params.operation,
            params.parameters,
            mutating=False,
            query=params.query,
            path=("parameters",),
        )
    ]


CHECK: Check[AwsQuery] = Check(
    kind="aws_query",
    summary="A number from any read-only AWS operation and a JMESPath query.",
    params=AwsQuery,
    probe=probe,
    signals=(VALUE,),
    defaults={"value": SignalSpec(critical=Bound(above=0))},
    permissions=(),
    cost="One call per page of the operation and run; most reads are free, Cost Explorer's are $0.01 each.",
    example="""\
ingest-active:
  kind: aws_query
  service: lambda
  operation: get-function
  parameters: {FunctionName: ingest-handler}
  query: Configuration.State
  equals: Active
""",
    operations=operations,
)
