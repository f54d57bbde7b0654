"""Lambda: account limits, the unreserved floor, invocations at zero, event source mappings that take their time.

Sources: API_GetAccountSettings; configuration-concurrency (Developer Guide: 100 concurrent executions stay
unreserved); API_PutFunctionConcurrency; API_Invoke (TooManyRequestsException, reason
ReservedFunctionConcurrentInvocationLimitExceeded); API_UpdateEventSourceMapping (State passes through Enabling and
Disabling, an update meanwhile is ResourceInUseException, an unknown UUID ResourceNotFoundException). No function runs
here: an invocation answers what the control door was told, or `null`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from moto.awslambda.exceptions import InvalidParameterValueException
from moto.awslambda.models import EventSourceMapping, LambdaBackend, lambda_backends

from monitor.demo.emulator.calls import Call, Reply, answer, refuse
from monitor.demo.emulator.state import Answerer, Emulator, patch

#: What must stay unreserved, and the wording AWS refuses with.
FLOOR = 100
_REFUSAL = (
    "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its "
    "minimum value of [100]."
)


def install(emulator: Emulator) -> Mapping[str, Answerer]:
    """Mend reserved concurrency and mapping states; the operations answered here."""
    settings = Settings(emulator)
    patch(LambdaBackend, "put_function_concurrency", settings.reserving)
    patch(EventSourceMapping, "get_configuration", settings.describing)
    return {
        "lambda:GetAccountSettings": settings.account,
        "lambda:Invoke": settings.invoke,
        "lambda:GetEventSourceMapping": settings.known_mapping,
        "lambda:DeleteEventSourceMapping": settings.known_mapping,
        "lambda:UpdateEventSourceMapping": settings.update_mapping,
    }


class Settings:
    """The answers that depend on what the control door set."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def account(self, call: Call) -> Reply | None:
        """GetAccountSettings."""
        backend, limit = lambda_backends[call.account][call.region], self._emulator.settings.lambda_limit
        functions = list(backend.list_functions())
        reply = {
            "AccountLimit": {
                "TotalCodeSize": 80_530_636_800,
                "CodeSizeUnzipped": 262_144_000,
                "CodeSizeZipped": 52_428_800,
                "ConcurrentExecutions": limit,
                "UnreservedConcurrentExecutions": limit - _reserved(backend),
            },
            "AccountUsage": {"TotalCodeSize": sum(f.code_size for f in functions), "FunctionCount": len(functions)},
        }
        return answer(call, reply)

    def reserving(self, original: Any) -> Any:
        """PutFunctionConcurrency that refuses to eat into the last 100; lowering is always possible."""

        def put(backend: LambdaBackend, name: str, reserved: Any) -> Any:
            before, wanted = int(backend.get_function(name).reserved_concurrency or 0), int(reserved)
            left = self._emulator.settings.lambda_limit - _reserved(backend) + before - wanted
            if wanted > before and left < FLOOR:
                raise InvalidParameterValueException(_REFUSAL)
            return original(backend, name, wanted)

        return put

    def describing(self, original: Any) -> Any:
        """A mapping's configuration with its passing state."""
        return lambda mapping: {**original(mapping), "State": self.state(mapping)}

    def invoke(self, call: Call) -> Reply | None:
        """Invoke: refused at zero; otherwise the reply set for the function."""
        name = unquote(call.path.split("/functions/", 1)[1].rsplit("/invocations", 1)[0]).split(":function:")[-1]
        backend = lambda_backends[call.account][call.region]
        short = name.split(":")[0]
        known = next((f for f in backend.list_functions() if f.function_name == short), None)
        if known is None:
            arn = f"arn:aws:lambda:{call.region}:{call.account}:function:{short}"
            return refuse(call, "ResourceNotFoundException", f"Function not found: {arn}", 404)
        if known.reserved_concurrency is not None and int(known.reserved_concurrency) == 0:
            body = {"Reason": "ReservedFunctionConcurrentInvocationLimitExceeded", "message": "Rate Exceeded."}
            kind = (("Content-Type", "application/json"), ("x-amzn-ErrorType", "TooManyRequestsException"))
            return Reply(429, kind, json.dumps(body).encode())
        qualifier = call.query.get("Qualifier") or name.partition(":")[2]
        version = _version(backend, short, qualifier)
        if version is None:
            arn = f"arn:aws:lambda:{call.region}:{call.account}:function:{short}:{qualifier}"
            return refuse(call, "ResourceNotFoundException", f"Function not found: {arn}", 404)
        if call.invocation == "Event":  # handed over: what becomes of it, the caller never hears
            return Reply(202, (("Content-Type", "application/json"),), b"")
        set_reply = self._emulator.settings.invocations.get(short, {})
        headers = [("Content-Type", "application/json"), ("X-Amz-Executed-Version", version)]
        if set_reply.get("error"):
            headers.append(("X-Amz-Function-Error", str(set_reply["error"])))
        return Reply(200, tuple(headers), json.dumps(set_reply.get("payload")).encode())

    def known_mapping(self, call: Call) -> Reply | None:
        """Refuses an unknown UUID; else moto answers."""
        return None if _mapping(call) is not None else _no_mapping(call)

    def update_mapping(self, call: Call) -> Reply | None:
        """UpdateEventSourceMapping; moto stores the change, the state follows after a moment."""
        mapping = _mapping(call)
        if mapping is None:
            return _no_mapping(call)
        if self.state(mapping) not in ("Enabled", "Disabled"):
            text = "Cannot update the event source mapping because it is in use."
            return refuse(call, "ResourceInUseException", text, 400)
        enabled = call.json().get("Enabled")
        if enabled is not None and bool(enabled) != mapping.enabled:
            mapping.emulated_settles = self._emulator.clock.tick() + self._emulator.settings.mapping_seconds
        return None

    def state(self, mapping: Any) -> str:
        """Enabling, Enabled, Disabling or Disabled."""
        settling = self._emulator.clock.tick() < getattr(mapping, "emulated_settles", 0.0)
        stem = "Enabl" if mapping.enabled else "Disabl"
        return stem + ("ing" if settling else "ed")


def _version(backend: LambdaBackend, function: str, qualifier: str) -> str | None:
    """The version that an invocation with this qualifier runs, weights aside; None: there is no such thing."""
    if qualifier in ("", "$LATEST"):
        return "$LATEST"
    for alias in backend.list_aliases(function):
        if alias.name == qualifier:
            return str(alias.function_version)
    versions = {str(one.version) for one in backend.list_versions_by_function(function)}
    return qualifier if qualifier in versions else None


def _reserved(backend: LambdaBackend) -> int:
    return sum(int(f.reserved_concurrency or 0) for f in backend.list_functions())


def _mapping(call: Call) -> Any:
    backend = lambda_backends[call.account][call.region]
    return backend.get_event_source_mapping(call.path.rstrip("/").rsplit("/", 1)[-1])


def _no_mapping(call: Call) -> Reply:
    return refuse(call, "ResourceNotFoundException", "The resource you requested does not exist.", 404)
