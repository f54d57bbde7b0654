"""The operator's side door under `/_emulator/`: what no AWS API can do, for drivers and tests.

Bodies are JSON objects; `account` (default 123456789012) and `region` (default us-east-1) choose where. Answers are
`{"ok": true, ...}`, or 4xx with `{"ok": false, "error": ...}`.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data

from monitor.demo.emulator import (
    accessanalyzer,
    cloudtrail,
    cloudwatch,
    cost,
    glue,
    health,
    kafka,
    rds,
    s3,
    servicequotas,
    sqs,
    stacks,
    stepfunctions,
    synthetics,
)
from monitor.demo.emulator.state import Bucket, Emulator, Fault

PREFIX = "/_emulator/"
#: Step Functions buckets (size, refill per second) by preset; source: Step Functions service quotas.
PRESETS = {
    "us-east-1": {"StopExecution": (1000, 200), "StartExecution": (1300, 300), "ListExecutions": (200, 5),
                  "DescribeExecution": (300, 15), "GetExecutionHistory": (400, 20)},
    "other": {"StopExecution": (500, 25), "StartExecution": (800, 150), "ListExecutions": (100, 2),
              "DescribeExecution": (250, 10), "GetExecutionHistory": (400, 20)},
}  # fmt: skip

Answer = tuple[int, dict[str, Any]]


class Control:
    """The side door. Every route runs under the door's lock."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._routes: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "GET health": lambda body: {},
            "GET log": self._log,
            "POST reset-log": self._reset_log,
            "POST reset": self._reset,
            "POST clock": self._clock,
            "POST faults": self._faults,
            "GET faults": lambda body: {"left": [f.count for f in self._emulator.faults]},
            "POST quotas": self._quotas,
            "GET executions": self._executions,
            "POST executions/age": lambda body: {"count": stepfunctions.age(self._select(body), body["seconds"])},
            "POST executions/enter": lambda body: {"count": stepfunctions.enter(self._select(body), body["state"])},
            "POST executions/finish": self._finish,
            "POST metrics": lambda body: {"count": cloudwatch.put(*_where(body), body["points"])},
            "POST sqs/fill": self._fill,
            "POST sqs/age": self._age_messages,
            "GET sqs/messages": self._messages,
            "POST lambda/settings": self._lambda,
            "POST cost": self._cost,
            "POST budgets": self._budget,
            "POST service-quotas": lambda body: {"count": servicequotas.set_quotas(*_where(body), body["quotas"])},
            "POST rds/backups/stop": lambda body: {"count": rds.stop_backups(*_where(body), body["database"])},
            "POST health": lambda body: {
                "count": health.set_events(self._emulator, _where(body)[0], body.get("events"))
            },
            "POST analyzer": lambda body: {
                "count": accessanalyzer.set_findings(self._emulator, *_where(body), body["findings"])
            },
            "POST quota-requests": lambda body: {"count": servicequotas.decide(*_where(body), body["status"])},
            "POST canaries": self._canary,
            "POST stacks": self._stack,
            "POST glue/finish": lambda body: {
                "count": glue.finish(self._emulator, *_where(body), body["job"], body["state"])
            },
            "POST kafka/state": lambda body: {"count": kafka.set_state(*_where(body), body["cluster"], body["state"])},
            "POST cloudtrail": lambda body: {"count": cloudtrail.put(self._emulator, *_where(body), body["records"])},
            "POST s3/age": lambda body: {
                "count": s3.age(_where(body)[0], body["bucket"], body.get("prefix", ""), float(body["seconds"]))
            },
            "POST iam": self._iam,
            "GET iam": self._decided,
            "GET deliveries": lambda body: {"deliveries": dict(self._emulator.deliveries)},
        }

    def serve(self, method: str, path: str, query: str, body: bytes) -> Answer:
        """Answer one request."""
        name = f"{method} {path.removeprefix(PREFIX).strip('/')}"
        route = self._routes.get(name)
        if route is None:
            return 404, {"ok": False, "error": f"no {name}; there are: {', '.join(self._routes)}"}
        try:
            given = {**dict(parse_qsl(query)), **json.loads(body or b"{}")}
            with self._emulator.lock:
                return 200, {"ok": True, **route(given)}
        except (KeyError, ValueError, TypeError) as error:
            return 400, {"ok": False, "error": f"{type(error).__name__}: {error}"}

    def _iam(self, body: dict[str, Any]) -> dict[str, Any]:
        """`statements` are enforced on requests whose User-Agent holds `agent`; without them nothing is."""
        self._emulator.guard.enforce(
            body.get("statements"), body.get("agent", ""), simulates=body.get("simulate", True)
        )
        return {}

    def _decided(self, body: dict[str, Any]) -> dict[str, Any]:
        """(action, resource) pairs that were allowed, and what was denied."""
        guard = self._emulator.guard
        return {"allowed": sorted(guard.allowed), "denied": list(guard.denied)}

    def _log(self, body: dict[str, Any]) -> dict[str, Any]:
        """`counts` and `refused` per `service:Operation`; `entries` of one `operation=service:Operation` if asked."""
        wanted = body.get("operation")
        entries = [e for e in self._emulator.log if wanted in (None, "*", f"{e['service']}:{e['operation']}")]
        reply = {"counts": dict(self._emulator.counts), "refused": dict(self._emulator.refused), "now": time.time()}
        return {**reply, "entries": entries} if wanted else reply

    def _reset_log(self, body: dict[str, Any]) -> dict[str, Any]:
        self._emulator.forget_log()
        return {}

    def _reset(self, body: dict[str, Any]) -> dict[str, Any]:
        self._emulator.forget()
        self._emulator.clock.release()
        BackendDict.reset()
        reset_model_data()
        return {}

    def _clock(self, body: dict[str, Any]) -> dict[str, Any]:
        """`at` (epoch seconds) sets the time, which then stands still; `offset` moves it on; neither: real again."""
        clock = self._emulator.clock
        if "at" not in body and "offset" not in body:
            clock.release()
        else:
            clock.set(float(body.get("at", time.time())) + float(body.get("offset", 0)))
        return {"now": time.time()}

    def _faults(self, body: dict[str, Any]) -> dict[str, Any]:
        """`faults` replaces the whole list (see state.Fault for the fields)."""
        self._emulator.faults[:] = [Fault(**item) for item in body["faults"]]
        return {"count": len(self._emulator.faults)}

    def _quotas(self, body: dict[str, Any]) -> dict[str, Any]:
        """`preset` (us-east-1, other) and/or `quotas` {service:Operation: [size, refill]}; replaces all, `{}` lifts."""
        preset = PRESETS[body["preset"]] if body.get("preset") else {}
        wanted = {f"stepfunctions:{name}": pair for name, pair in preset.items()}
        wanted.update({name: tuple(pair) for name, pair in body.get("quotas", {}).items()})
        now = self._emulator.clock.tick()
        self._emulator.quotas.clear()
        self._emulator.quotas.update({name: Bucket(size, rate, size, now) for name, (size, rate) in wanted.items()})
        return {"count": len(wanted)}

    def _select(self, body: dict[str, Any]) -> list[Any]:
        return stepfunctions.select(*_where(body), body)

    def _executions(self, body: dict[str, Any]) -> dict[str, Any]:
        """Counts by status, and `recent`: starts in the last 60 s.

        With `arns=1` also the ARNs of `status`, oldest first, the first `skip` left out.
        """
        chosen = self._select({key: value for key, value in body.items() if key not in ("status", "limit")})
        counts = Counter(execution.status for execution in chosen)
        recent = stepfunctions.started_within(chosen, 60)
        reply: dict[str, Any] = {"total": len(chosen), "counts": dict(counts), "recent": recent}
        if body.get("arns"):
            matching = [e.execution_arn for e in chosen if body.get("status", e.status) == e.status]
            reply["arns"] = matching[int(body.get("skip", 0)) :]
        return reply

    def _finish(self, body: dict[str, Any]) -> dict[str, Any]:
        status = body.get("ending", "SUCCEEDED")
        if status not in stepfunctions.ENDINGS:
            raise ValueError(f"ending is one of {', '.join(stepfunctions.ENDINGS)}")
        chosen = self._select({**body, "status": "RUNNING"})
        outcome = {key: body.get(key) for key in ("output", "error", "cause")}
        return {"count": stepfunctions.finish(chosen, status, **outcome)}

    def _queue(self, body: dict[str, Any]) -> Any:
        queue = sqs.find_queue(body["queue"], *_where(body))
        if queue is None:
            raise ValueError(f"no queue {body['queue']}")
        return queue

    def _fill(self, body: dict[str, Any]) -> dict[str, Any]:
        sqs.fill(self._queue(body), int(body["count"]), body.get("body", "{}"), float(body.get("age", 0)))
        return {}

    def _age_messages(self, body: dict[str, Any]) -> dict[str, Any]:
        messages = self._queue(body)._messages
        for message in messages:
            message.sent_timestamp -= int(float(body["seconds"]) * 1000)
        return {"count": len(messages)}

    def _messages(self, body: dict[str, Any]) -> dict[str, Any]:
        """Every message of a queue, without receiving any."""
        return {
            "messages": [{"id": m.id, "body": m.body, "sent": m.sent_timestamp} for m in self._queue(body)._messages]
        }

    def _lambda(self, body: dict[str, Any]) -> dict[str, Any]:
        """`limit`, `mapping_seconds`, `function_seconds`, ..., `invocations` {function: {payload, error}}."""
        settings = self._emulator.settings
        settings.lambda_limit = int(body.get("limit", settings.lambda_limit))
        for name in ("mapping_seconds", "function_seconds", "provisioned_seconds", "table_seconds"):
            setattr(settings, name, float(body.get(name, getattr(settings, name))))
        settings.invocations.update(body.get("invocations", {}))
        return {}

    def _canary(self, body: dict[str, Any]) -> dict[str, Any]:
        """`name` has run now and ended in `state` (PASSED, FAILED), or still does (RUNNING)."""
        synthetics.set_run(*_where(body), body["name"], body["state"], body.get("reason", ""))
        return {}

    def _stack(self, body: dict[str, Any]) -> dict[str, Any]:
        """`name` is a stack, in `state` since now."""
        stacks.set_state(self._emulator, *_where(body), body["name"], body["state"], body.get("reason", ""))
        return {}

    def _cost(self, body: dict[str, Any]) -> dict[str, Any]:
        """`rows`, `forecast`, `anomalies`: each given one replaces what was set."""
        self._emulator.cost.update({key: body[key] for key in ("rows", "forecast", "anomalies") if key in body})
        return {}

    def _budget(self, body: dict[str, Any]) -> dict[str, Any]:
        account, _ = _where(body)
        forecasted = body.get("forecasted")
        if not cost.spend(account, body["budget"], float(body["actual"]), forecasted):
            raise ValueError(f"no budget {body['budget']}")
        return {}


def _where(body: dict[str, Any]) -> tuple[str, str]:
    return str(body.get("account", "123456789012")), str(body.get("region", "us-east-1"))
