"""`python -m bench.endpoint`: a canned AWS on loopback, in a process of its own.

It speaks what the benchmarks need (SQS attributes, GetMetricData, Step Functions lists and stops, EventBridge rules,
STS), enforces token buckets, counts every call, and notes when what it said first became bad and when something was
first changed. Any other call is answered by an empty reply.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

ACCOUNT = "123456789012"
_STS = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    f"<Arn>arn:aws:iam::{ACCOUNT}:user/bench</Arn><UserId>AIDABENCH</UserId><Account>{ACCOUNT}</Account>"
    "</GetCallerIdentityResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
)
_MUTATING = ("StopExecution", "DisableRule", "EnableRule", "PutRule", "PutParameter")


class Bucket:
    """AWS's token bucket."""

    def __init__(self, burst: float, refill: float) -> None:
        self.burst, self.refill = burst, refill
        self.tokens, self.at = burst, time.monotonic()

    def take(self) -> bool:
        """True if a token was there."""
        now = time.monotonic()
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.refill)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(slots=True)
class State:
    """How it answers. `depth` is every queue's visible messages, `deep` those of single queues; latency in seconds."""

    latency: float = 0.0
    depth: int = 0
    deep: dict[str, int] = field(default_factory=dict)
    buckets: dict[str, Bucket] = field(default_factory=dict)
    #: name -> start (epoch seconds), newest last.
    running: dict[str, float] = field(default_factory=dict)
    rules: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    queries: int = 0
    largest: int = 0
    #: (monotonic seconds, what, name)
    marks: list[tuple[float, str, str]] = field(default_factory=list)
    told: set[str] = field(default_factory=set)

    def change(self, given: dict[str, Any]) -> None:
        """From the side door."""
        for name, value in given.items():
            if name == "buckets":
                self.buckets = {operation: Bucket(*limits) for operation, limits in value.items()}
            elif name == "executions":
                began = time.time() - 600
                self.running = {f"e-{number:06}": began + number / 1000 for number in range(value)}
            elif name == "deep":
                self.deep.update(value)
            elif name == "forget":
                self.counts.clear()
                self.refused.clear()
                self.queries = self.largest = 0
                self.marks.clear()
            else:
                setattr(self, name, value)


def _sqs_attributes(state: State, request: dict[str, Any]) -> dict[str, Any]:
    name = request["QueueUrl"].rsplit("/", 1)[-1]
    deep = state.deep.get(name)
    if deep and name not in state.told:
        state.told.add(name)
        state.marks.append((time.monotonic(), "breach", name))
    visible = state.depth if deep is None else deep
    return {"Attributes": {
        "ApproximateNumberOfMessages": str(visible), "ApproximateNumberOfMessagesNotVisible": "0",
        "ApproximateNumberOfMessagesDelayed": "0",
    }}  # fmt: skip


def _metric_data(state: State, request: dict[str, Any]) -> dict[str, Any]:
    asked = request["MetricDataQueries"]
    state.queries += len(asked)
    state.largest = max(state.largest, len(asked))
    start, end = float(request["StartTime"]), float(request["EndTime"])
    results = []
    for query in asked:
        period = query["MetricStat"]["Period"]
        count = max(1, int((end - start) // period))
        stamps = [start + period * number for number in range(count)]
        values = [float(number) for number in range(count)]
        result = {"Id": query["Id"], "Label": "canned", "Timestamps": stamps, "Values": values}
        results.append({**result, "StatusCode": "Complete"})
    return {"MetricDataResults": results, "Messages": []}


def _list_executions(state: State, request: dict[str, Any]) -> dict[str, Any]:
    machine = request["stateMachineArn"]
    prefix = machine.replace(":stateMachine:", ":execution:")
    most, before = request.get("maxResults", 100), request.get("nextToken")
    names = [name for name in reversed(state.running) if before is None or name < before]
    page = names[:most]
    reply: dict[str, Any] = {"executions": [
        {"executionArn": f"{prefix}:{name}", "stateMachineArn": machine, "name": name, "status": "RUNNING",
         "startDate": state.running[name]}
        for name in page
    ]}  # fmt: skip
    if len(names) > most:
        reply["nextToken"] = page[-1]
    return reply


def _stop_execution(state: State, request: dict[str, Any]) -> dict[str, Any]:
    state.running.pop(request["executionArn"].rsplit(":", 1)[-1], None)
    return {"stopDate": time.time()}


def _rule(state: State, request: dict[str, Any], operation: str) -> dict[str, Any]:
    name = request["Name"]
    if operation == "DescribeRule":
        return {"Name": name, "State": state.rules.get(name, "ENABLED"), "EventBusName": "default"}
    state.rules[name] = "DISABLED" if operation == "DisableRule" else "ENABLED"
    return {}


def _reply(state: State, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    match operation:
        case "GetQueueAttributes":
            return _sqs_attributes(state, request)
        case "GetMetricData":
            return _metric_data(state, request)
        case "ListExecutions":
            return _list_executions(state, request)
        case "StopExecution":
            return _stop_execution(state, request)
        case "DescribeRule" | "DisableRule" | "EnableRule":
            return _rule(state, request, operation)
        case "DescribeTable":
            return {"Table": {"TableName": request["TableName"], "TableStatus": "ACTIVE"}}
        case "DescribeStateMachine":
            return {"stateMachineArn": request["stateMachineArn"], "name": "m", "type": "STANDARD", "status": "ACTIVE"}
    return {}


class Door:
    """The HTTP side."""

    def __init__(self) -> None:
        self.state = State()

    async def aws(self, request: web.BaseRequest) -> web.StreamResponse:
        """One call."""
        arrived = time.monotonic()
        state = self.state
        path = request.path
        if path.startswith("/bench/"):
            return await self.side(request, path.removeprefix("/bench/"))
        body = await request.read()
        operation = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        if not operation:
            if b"GetCallerIdentity" in body:
                state.counts["GetCallerIdentity"] += 1
                return web.Response(text=_STS, content_type="text/xml")
            state.counts[f"{request.method} {path}"] += 1
            return web.json_response({})
        state.counts[operation] += 1
        asked = json.loads(body)
        if operation in _MUTATING and (operation != "StopExecution" or len(state.marks) < 2):
            state.marks.append((arrived, operation, str(asked.get("Name", ""))))
        if state.latency:
            await asyncio.sleep(state.latency)
        bucket = state.buckets.get(operation)
        if bucket is not None and not bucket.take():
            state.refused[operation] += 1
            return _json({"__type": "ThrottlingException", "message": "Rate exceeded"}, 400)
        reply = _reply(state, operation, asked)
        if operation == "StopExecution" and not state.running and state.marks[-1][1] != "last":
            state.marks.append((time.monotonic(), "last", ""))
        return _json(reply)

    async def side(self, request: web.BaseRequest, what: str) -> web.Response:
        """What the benchmark asks and sets."""
        state = self.state
        if what == "set":
            state.change(await request.json())
            return web.json_response({})
        if what == "counts":
            told = {"calls": state.counts, "refused": state.refused, "queries": state.queries, "largest": state.largest}
            return web.json_response({**told, "now": time.monotonic()})
        if what == "executions":
            return web.json_response(len(state.running))
        return web.json_response(state.marks)


def _json(body: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=json.dumps(body).encode(), status=status, content_type="application/x-amz-json-1.0")


async def _serve() -> None:
    runner = web.ServerRunner(web.Server(Door().aws), handle_signals=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def main() -> None:
    """Until SIGTERM."""
    with suppress(KeyboardInterrupt, web.GracefulExit):
        asyncio.run(_serve())


if __name__ == "__main__":
    main()
