"""What a request asks for: service, operation, account, region, and how to answer in that service's protocol."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import escape

import botocore.session
from botocore.exceptions import UnknownServiceError

#: Signing names that differ from the client's name.
_CLIENT_NAMES = {
    "states": "stepfunctions",
    "monitoring": "cloudwatch",
    "tagging": "resourcegroupstaggingapi",
    "access-analyzer": "accessanalyzer",
}
_REST = ("rest-json", "rest-xml")
_SCOPE = re.compile(r"Credential=([^/\s]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: status, headers without Content-Length, body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `service` is the client's name (`stepfunctions`), `operation` the API's (`StopExecution`)."""

    service: str
    operation: str
    target: str  # the X-Amz-Target header, or `METHOD /path`
    method: str
    path: str
    query: Mapping[str, str]
    account: str
    region: str
    protocol: str
    body: bytes
    #: Of an Invoke: `Event`, `RequestResponse`, `DryRun` (a header).
    invocation: str = ""
    #: The If-Match header.
    if_match: str = ""

    @property
    def name(self) -> str:
        """`sqs:GetQueueAttributes`."""
        return f"{self.service}:{self.operation}"

    @property
    def aliases(self) -> tuple[str, ...]:
        """Every name a fault or a quota may call it by."""
        return (self.name, self.target, f"{self.service}:{self.target}")

    def json(self) -> dict[str, Any]:
        """The body as a JSON object (empty if there is none)."""
        loaded = json.loads(self.body or b"{}")
        return loaded if isinstance(loaded, dict) else {}


def answer(call: Call, value: Any, status: int = 200) -> Reply:
    """A JSON answer in the call's content type."""
    kind = "application/json" if call.protocol in _REST else "application/x-amz-json-1.0"
    return Reply(status, (("Content-Type", kind),), json.dumps(value).encode())


def refuse(call: Call, code: str, message: str, status: int = 400) -> Reply:
    """An error as the call's protocol writes it."""
    if call.protocol in ("query", "ec2"):
        xml = (
            f"<ErrorResponse><Error><Type>Sender</Type><Code>{escape(code)}</Code><Message>{escape(message)}"
            "</Message></Error><RequestId>0</RequestId></ErrorResponse>"
        )
        return Reply(status, (("Content-Type", "text/xml"),), xml.encode())
    if call.protocol == "rest-xml":
        xml = f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
        return Reply(status, (("Content-Type", "application/xml"),), xml.encode())
    if call.protocol == "rest-json":
        body = json.dumps({"Type": "User", "message": message, "Message": message}).encode()
        return Reply(status, (("Content-Type", "application/json"), ("x-amzn-ErrorType", code)), body)
    headers = (("Content-Type", "application/x-amz-json-1.0"),)
    return Reply(status, headers, json.dumps({"__type": code, "message": message, "Message": message}).encode())


def read_call(environ: Mapping[str, Any], body: bytes) -> Call:
    """Who asks for what. An unsigned request counts as S3, as in moto."""
    match = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    key, region, signing = match.groups() if match else ("", "us-east-1", "s3")
    service = _CLIENT_NAMES.get(signing.lower(), signing.lower())
    method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "/")
    query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    header = environ.get("HTTP_X_AMZ_TARGET", "")
    target, protocol = header or f"{method} {path}", _protocol(service)
    if header:
        operation, protocol = header.rpartition(".")[2], "json"
    elif "/operation/" in path:  # Smithy RPC: /service/NAME/operation/OPERATION
        operation = path.rsplit("/", 1)[-1]
    elif protocol in _REST:
        headers = {name[5:].replace("_", "-").lower() for name in environ if name.startswith("HTTP_")}
        operation = _rest_operation(service, method, path, {*query, *headers})
    else:
        operation, protocol = dict(parse_qsl(body.decode(errors="replace"))).get("Action", ""), "query"
    account = _account(key)
    invocation = environ.get("HTTP_X_AMZ_INVOCATION_TYPE", "")
    return Call(
        service, operation or method, target, method, path, query, account, region, protocol, body, invocation,
        environ.get("HTTP_IF_MATCH", ""),
    )  # fmt: skip


def _account(access_key: str) -> str:
    """A 12-digit access key names its account; else as moto resolves it (assumed roles, the default account)."""
    from moto.iam.models import get_account_id_from  # noqa: PLC0415 - heavy, needed in the child process only

    return access_key if re.fullmatch(r"\d{12}", access_key) else str(get_account_id_from(access_key))


@functools.lru_cache(maxsize=1)
def _session() -> Any:
    return botocore.session.get_session()


@functools.lru_cache(maxsize=64)
def _protocol(service: str) -> str:
    try:
        return str(_session().get_service_model(service).protocol)
    except UnknownServiceError:
        return "json"  # moto's to refuse


@functools.lru_cache(maxsize=64)
def _routes(service: str) -> list[tuple[str, re.Pattern[str], frozenset[str], int, str]]:
    """(method, path pattern, query keys and headers that must be there, weight, operation), from the service model."""
    model, routes = _session().get_service_model(service), []
    for name in model.operation_names:
        if model.operation_model(name).deprecated:  # S3 has old names on the routes of new ones
            continue
        operation = model.operation_model(name)
        http = operation.http
        path, _, query = http["requestUri"].partition("?")
        pattern = "".join(
            part if not part.startswith("{") else ("(.+)" if part.endswith("+}") else "([^/]+)")
            for part in re.split(r"(\{[^}]+\})", path.rstrip("/") or "/")
        )
        keys = frozenset(item.split("=")[0] for item in query.split("&") if item and not item.startswith("x-id"))
        keys |= _required(operation.input_shape)  # PutObject, CopyObject and UploadPart share one route
        literal = len(re.sub(r"\{[^}]+\}", "", path)) + 100 * len(keys)
        routes.append((http["method"], re.compile(pattern + "/?"), keys, literal, name))
    return sorted(routes, key=lambda route: -route[3])


def _required(shape: Any) -> frozenset[str]:
    """Query keys and (lower-case) headers without which the operation can't be meant."""
    members = [shape.members[name].serialization for name in shape.required_members] if shape is not None else []
    queried = {one["name"] for one in members if one.get("location") == "querystring"}
    return frozenset(queried | {one["name"].lower() for one in members if one.get("location") == "header"})


def _rest_operation(service: str, method: str, path: str, present: Set[str]) -> str:
    for verb, pattern, keys, _, name in _routes(service):
        if verb == method and keys <= present and pattern.fullmatch(unquote(path)):
            return name
    # The server has decoded the path: an ARN in it may hold slashes (MSK's do).
    for verb, pattern, keys, _, name in _routes(service) if "arn:" in path else ():
        loose = pattern.pattern.replace("([^/]+)", "(.+)")
        if verb == method and keys <= present and re.fullmatch(loose, unquote(path)):
            return name
    return ""
