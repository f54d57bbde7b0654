"""The one door: every request passes here, one at a time, whole (moto's handlers race and some bodies are lazy)."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from monitor.demo.emulator import (
    accessanalyzer,
    alarms,
    apigateway,
    appsync,
    autoscaling,
    cloudfront,
    cloudtrail,
    cloudwatch,
    codedeploy,
    cognito,
    cost,
    dynamodb,
    ec2,
    events,
    glue,
    health,
    kafka,
    lambda_,
    logs,
    rds,
    s3,
    servicequotas,
    simulation,
    sqs,
    stacks,
    stepfunctions,
    synthetics,
    versions,
)
from monitor.demo.emulator.calls import Call, Reply, read_call, refuse
from monitor.demo.emulator.control import PREFIX, Control
from monitor.demo.emulator.state import Emulator, Fault

StartResponse = Callable[..., Any]


class Door:
    """A WSGI application around moto."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._control = Control(emulator)
        self._moto = DomainDispatcherApplication(create_backend_app)
        for module in (
            sqs,
            stepfunctions,
            events,
            lambda_,
            cloudwatch,
            cost,
            versions,
            dynamodb,
            autoscaling,
            alarms,
            kafka,
            glue,
            rds,
            apigateway,
            codedeploy,
            servicequotas,
            simulation,
            synthetics,
            appsync,
            cognito,
            stacks,
            logs,
            cloudtrail,
            s3,
            cloudfront,
            health,
            accessanalyzer,
            ec2,
        ):
            emulator.answerers.update(module.install(emulator))

    def __call__(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        body = _whole_body(environ)
        path = environ.get("PATH_INFO", "/")
        if path.startswith(PREFIX):
            return _send(
                self._control.serve(environ["REQUEST_METHOD"], path, environ.get("QUERY_STRING", ""), body), start
            )
        began, call = time.monotonic(), read_call(environ, body)
        fault = self._emulator.fault_for(call)
        agent = environ.get("HTTP_USER_AGENT", "")
        reply = self._disturbed(call, fault) or self._forbidden(call, agent) or self._answer(call, environ)
        self._emulator.record(call, reply.status, time.monotonic() - began, agent)
        if fault is not None and fault.truncate:
            reply = Reply(reply.status, reply.headers, reply.body[: len(reply.body) // 2])
        if fault is not None and (fault.drop or fault.hang):
            return _send_broken(reply, start)
        return _send(reply, start, head=call.method == "HEAD")

    def _disturbed(self, call: Call, fault: Fault | None) -> Reply | None:
        """Waits happen outside the lock, so that a slow call delays no other."""
        if fault is not None:
            time.sleep(fault.delay + fault.hang)
            if fault.status is not None:
                return refuse(call, fault.code, fault.message or fault.code, fault.status)
        if not self._emulator.permits(call):
            return refuse(call, "ThrottlingException", "Rate exceeded", 400)
        return None

    def _forbidden(self, call: Call, agent: str) -> Reply | None:
        """What IAM says, before the service is asked."""
        with self._emulator.lock:
            return self._emulator.guard.refusal(call, agent)

    def _answer(self, call: Call, environ: dict[str, Any]) -> Reply:
        with self._emulator.lock:
            answerer = self._emulator.answerers.get(call.name)
            reply = answerer(call) if answerer is not None else None
            return reply or self._ask_moto(call, environ)

    def _ask_moto(self, call: Call, environ: dict[str, Any]) -> Reply:
        started: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
            started[:] = [int(status.split(maxsplit=1)[0]), headers]
            return lambda _: None

        environ["wsgi.input"] = io.BytesIO(call.body)
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = call.account
        try:
            body = b"".join(self._moto(environ, start))
        except NotImplementedError:
            return _not_here(call)
        except Exception as error:  # noqa: BLE001 - a bug behind the door is a server fault, as a client sees it
            return refuse(call, "InternalFailure", f"{type(error).__name__}: {error}", 500)
        status, headers = started
        # A HEAD that fails tells its status and nothing else, whatever type moto gives its empty page.
        if status >= 400 and call.method != "HEAD" and _content_type(headers).startswith("text/html"):
            return _not_here(call)
        kept = tuple((name, value) for name, value in headers if name.lower() != "content-length")
        if call.method == "HEAD":  # its Content-Length speaks of the body a GET would have
            kept = tuple(headers)
        return Reply(status, kept, body)


def _not_here(call: Call) -> Reply:
    """A plain client error; moto's own page is a 500, which every client would retry."""
    return refuse(call, "UnknownOperationException", "the emulator does not implement " + call.name, 400)


def _content_type(headers: list[tuple[str, str]]) -> str:
    return next((value for name, value in headers if name.lower() == "content-type"), "")


def _whole_body(environ: dict[str, Any]) -> bytes:
    """The request's body, read once; chunked uploads are terminated by the server."""
    if environ.get("wsgi.input_terminated"):
        body = environ["wsgi.input"].read()
        environ["CONTENT_LENGTH"] = str(len(body))
        environ.pop("HTTP_TRANSFER_ENCODING", None)
    else:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return bytes(body)


def _send(reply: Reply | Any, start: StartResponse, *, head: bool = False) -> list[bytes]:
    if not isinstance(reply, Reply):
        status, value = reply
        reply = Reply(status, (("Content-Type", "application/json"),), json.dumps(value).encode())
    headers = list(reply.headers)
    if not head:
        headers.append(("Content-Length", str(len(reply.body))))
    start(f"{reply.status} EMULATED", headers)
    return [] if head else [reply.body]


def _send_broken(reply: Reply, start: StartResponse) -> list[bytes]:
    """Promises the whole body, gives half of it and closes."""
    headers = [*reply.headers, ("Content-Length", str(len(reply.body) + 1)), ("Connection", "close")]
    start(f"{reply.status} EMULATED", headers)
    return [reply.body[: len(reply.body) // 2]]
