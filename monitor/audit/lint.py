"""Lines of a runbook that are valid calls and yet don't do what they seem to: known from the file alone.

Each comes from a command that stood in a runbook; what AWS's own models refuse is an error of the file already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from monitor.audit.findings import Finding, Gravity, KeyPath
from monitor.audit.steps import Doing, doings
from monitor.core.spec import CheckSpec, Pipeline
from monitor.plugin import Registry

Said = tuple[str, str]  # what is wrong, what to do

#: CloudTrail's event history holds management events only (CloudTrail user guide, "Viewing event history").
DATA_EVENTS = frozenset({
    "GetObject", "PutObject", "DeleteObject", "HeadObject", "CopyObject", "ListObjectsV2", "Invoke", "InvokeFunction",
    "GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan", "BatchGetItem", "BatchWriteItem",
    "SendMessage", "ReceiveMessage", "DeleteMessage", "Publish", "PutRecord", "PutRecords", "GetRecords",
})  # fmt: skip

_RATE = re.compile(r"rate|ratio|percent|share|pct", re.IGNORECASE)
_WIDE = re.compile(r"/?(aws/?)?((lambda|ecs|rds|apigateway|vendedlogs|states)/?)?\*?")


def lint(pipelines: Sequence[Pipeline], registry: Registry) -> list[Finding]:
    """Findings in the order of the files."""
    return [one for pipeline in pipelines for one in _of_pipeline(pipeline, registry)]


def _of_pipeline(pipeline: Pipeline, registry: Registry) -> Iterator[Finding]:
    def found(path: KeyPath, said: Said) -> Finding:
        return Finding(pipeline.name, path, Gravity.WARNING, *said)

    for check in pipeline.checks.values():
        of_check = _CHECKS.get(check.kind)
        for inside, *said in of_check(check) if of_check is not None else ():
            yield found(("checks", check.name, *inside), (said[0], said[1]))
    for spec in pipeline.breakers.values():
        steps = list(doings(pipeline, spec, registry))
        for doing in steps:
            if doing.action.name == "set_log_retention":
                for said_of in _retention(doing):
                    yield found(doing.where, said_of)
            if doing.action.name == "aws_call":
                for said_of in _call(doing, steps):
                    yield found((*doing.where, "aws_call", "operation"), said_of)


# --- checks -----------------------------------------------------------------------------------------------------------

Told = tuple[KeyPath, str, str]


def _metric(check: CheckSpec) -> Iterator[Told]:
    """A count that is called a rate."""
    params = check.params
    sources = list(params.metrics.values())
    named = " ".join([check.name, str(params.target or "")])
    if len(sources) == 1 and not _divides(params) and sources[0].stat in ("Sum", "SampleCount") and _RATE.search(named):
        one = sources[0]
        yield (
            ("metrics",),
            f"{one.stat} of {one.metric} is a count, not a rate: its bound means so many, whatever the traffic is",
            "divide it: give a second metric (Requests, Count, Invocations) and `expression: errors / requests`",
        )


def _divides(params: Any) -> bool:
    return "/" in str(params.expression or "")


def _query(check: CheckSpec) -> Iterator[Told]:
    params = check.params
    operation = str(params.operation).replace("-", "").replace("_", "").lower()
    query = str(params.query)
    if operation == "lookupevents":
        for one in params.parameters.get("LookupAttributes") or ():
            name = one.get("AttributeValue") if one.get("AttributeKey") == "EventName" else None
            if name in DATA_EVENTS:
                yield (("parameters",), *_data_event(str(name)))
    if operation == "listversionsbyfunction" and re.search(r"\[-\d+\]", query):
        yield (
            ("query",),
            "the last versions of the list need not have been live: publishing is not releasing, and a page holds 50",
            "look at the alias (get-alias, FunctionVersion); to go back use the action rollback_alias",
        )
    if operation == "describeexecution" and re.match(r"(input|output)\s*[.\[]", query):
        yield (
            ("query",),
            "input and output are texts that hold JSON: a path into them yields nothing",
            "query the whole text, or look at status, startDate and the history",
        )
    if operation in ("getmetricstatistics", "getmetricdata"):
        yield (
            ("operation",),
            f"{params.operation} here reads a fixed window and asks alone",
            "use `kind: metric`: it batches, never judges an incomplete period and knows what silence means",
        )


def _denied(check: CheckSpec) -> Iterator[Told]:
    for n, name in enumerate(check.params.events):
        if name in DATA_EVENTS:
            yield (("events", n), *_data_event(name))


def _data_event(name: str) -> Said:
    return (
        f"{name} is a data event: LookupEvents never returns it, so nothing is ever found",
        "read the function's or service's log group (log_groups), or query CloudTrail Lake or the trail's logs",
    )


_CHECKS: Mapping[str, Callable[[CheckSpec], Iterator[Told]]] = {
    "metric": _metric,
    "aws_query": _query,
    "denied_calls": _denied,
}


# --- actions ----------------------------------------------------------------------------------------------------------


def _retention(doing: Doing) -> Iterator[Said]:
    params: Any = doing.params
    if params is None or params.log_group or params.tags:
        return
    if params.prefix is not None and _WIDE.fullmatch(params.prefix):
        yield (
            f"the prefix {params.prefix!r} means the log groups of everybody in this account",
            "name the pipeline's own prefix, or tags",
        )


def _call(doing: Doing, steps: Sequence[Doing]) -> Iterator[Said]:
    params: Any = doing.params
    if params is None:
        return
    name = f"{params.service}:{_pascal(params.operation)}"
    for about, judge in _CALLS:
        if name == about and (said := judge(params.parameters, steps)):
            yield said


def _pascal(operation: str) -> str:
    if "-" in operation or "_" in operation or operation.islower():
        return "".join(part.capitalize() for part in re.split("[-_]", operation))
    return str(operation)


Given = Mapping[str, Any]
Judge = Callable[[Given, Sequence[Doing]], Said | None]


def _environment(given: Given, steps: Sequence[Doing]) -> Said | None:
    if "Environment" not in given:
        return None
    return (
        "Environment replaces the whole map of variables, and only the unpublished version changes",
        "use the action set_environment: it merges, and with `alias` reaches live traffic",
    )


def _unpublished(given: Given, steps: Sequence[Doing]) -> Said | None:
    if "Environment" in given or any(one.action.name == "rollback_alias" for one in steps):
        return None
    return (
        "only the unpublished version changes: what an alias serves stays as it is",
        "use set_memory or set_environment with `alias`, or publish a version and move the alias",
    )


def _put_rule(given: Given, steps: Sequence[Doing]) -> Said | None:
    if "State" not in given:
        return (
            "PutRule without State enables the rule: a source that was cut starts again",
            "give State: DISABLED, then enable_rule once the pattern was tested",
        )
    if "Description" not in given or "EventPattern" not in given:
        return ("PutRule replaces the whole rule: what is left out is lost", "give every field of DescribeRule")
    return None


def _move_task(given: Given, steps: Sequence[Doing]) -> Said | None:
    return (
        "StartMessageMoveTask refuses the dead letters of Lambda functions and topics",
        "use the action redrive_queue: it moves where AWS can, and by hand (receive, send, delete) where not",
    )


def _resolver(given: Given, steps: Sequence[Doing]) -> Said | None:
    if {"requestMappingTemplate", "code", "pipelineConfig"} & set(given):
        return None
    return (
        "UpdateResolver replaces the resolver: its templates or code are lost",
        "use the action set_resolver_cache: it keeps everything but the caching",
    )


def _scalable(given: Given, steps: Sequence[Doing]) -> Said | None:
    for one in steps:
        params: Any = one.params
        if one.action.name == "aws_call" and params and _pascal(params.operation) == "PutScalingPolicy":
            return None
    return ("a scalable target without a policy scales nothing", "use the action autoscale_table: target and policy")


def _user_pool(given: Given, steps: Sequence[Doing]) -> Said | None:
    return (
        "UpdateUserPoolClient resets every setting that is left out",
        "read the client first and give all of its settings, with ALLOW_ flows only",
    )


def _tiering(given: Given, steps: Sequence[Doing]) -> Said | None:
    return (
        "this adds archive tiers for objects already in that class; Standard objects stay Standard",
        "use the action tier_bucket: a lifecycle transition",
    )


def _capacity(given: Given, steps: Sequence[Doing]) -> Said | None:
    if "ProvisionedThroughput" in given and given.get("BillingMode") != "PROVISIONED":
        return (
            "capacity units are refused on an on-demand table",
            "use the action scale_table: it looks at the billing mode first",
        )
    return None


def _stop(given: Given, steps: Sequence[Doing]) -> Said | None:
    return ("one execution is stopped, unpaced, and new ones start", "cut the source, then use stop_executions")


_CALLS: Sequence[tuple[str, Judge]] = (
    ("lambda:UpdateFunctionConfiguration", _environment),
    ("lambda:UpdateFunctionConfiguration", _unpublished),
    ("events:PutRule", _put_rule),
    ("sqs:StartMessageMoveTask", _move_task),
    ("appsync:UpdateResolver", _resolver),
    ("application-autoscaling:RegisterScalableTarget", _scalable),
    ("cognito-idp:UpdateUserPoolClient", _user_pool),
    ("s3:PutBucketIntelligentTieringConfiguration", _tiering),
    ("dynamodb:UpdateTable", _capacity),
    ("stepfunctions:StopExecution", _stop),
)
