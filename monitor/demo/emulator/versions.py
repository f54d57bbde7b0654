"""Lambda: revisions, updates that take their time, versions by the page, provisioned concurrency.

Sources: API_UpdateFunctionConfiguration, API_PublishVersion and API_UpdateAlias (RevisionId: a stale one is refused
with PreconditionFailedException; an update while one is in progress is ResourceConflictException; LastUpdateStatus),
API_ListVersionsByFunction (at most 50 per page), API_PutProvisionedConcurrencyConfig (an alias or a published version,
within what may leave the account's unreserved pool), API_GetProvisionedConcurrencyConfig (Status IN_PROGRESS, READY).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from moto.awslambda.models import LambdaAlias, LambdaBackend, LambdaFunction, lambda_backends

from monitor.demo.emulator.calls import Call, Reply, answer, refuse
from monitor.demo.emulator.state import Answerer, Emulator, patch

_FLOOR, _LARGEST_PAGE = 100, 50


def install(emulator: Emulator) -> Mapping[str, Answerer]:
    """Mend configurations and aliases; the operations answered here."""
    versions, provisioned = Versions(emulator), Provisioned(emulator)
    patch(LambdaFunction, "get_configuration", versions.describing)
    patch(LambdaFunction, "update_configuration", versions.updating)
    patch(LambdaFunction, "set_version", versions.numbering)
    patch(LambdaAlias, "update", _moving)
    return {
        "lambda:UpdateFunctionConfiguration": versions.guarded,
        "lambda:PublishVersion": versions.guarded,
        "lambda:UpdateAlias": versions.guarded_alias,
        "lambda:ListVersionsByFunction": versions.list,
        "lambda:PutProvisionedConcurrencyConfig": provisioned.put,
        "lambda:GetProvisionedConcurrencyConfig": provisioned.get,
        "lambda:ListProvisionedConcurrencyConfigs": provisioned.list,
        "lambda:DeleteProvisionedConcurrencyConfig": provisioned.delete,
    }


class Versions:
    """Configurations with a revision id and an update status."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def describing(self, original: Any) -> Any:
        """What moto says, with the revision and whether an update is in progress."""

        def describe(function: Any, on_create: bool = False) -> dict[str, Any]:
            config: dict[str, Any] = original(function, on_create)
            config["RevisionId"] = _revision(function)
            if "LastUpdateStatus" in config and self._in_progress(function):
                config["LastUpdateStatus"] = "InProgress"
            return config

        return describe

    def updating(self, original: Any) -> Any:
        """A new revision, in progress for a while."""

        def update(function: Any, updates: dict[str, Any]) -> Any:
            original(function, updates)
            function.emulated_revision = str(uuid.uuid4())
            function.emulated_settles = self._emulator.clock.tick() + self._emulator.settings.function_seconds
            return function.get_configuration()

        return update

    def numbering(self, original: Any) -> Any:
        """A published version is a revision of its own, and done."""

        def number(function: Any, version: int) -> None:
            original(function, version)
            function.emulated_revision, function.emulated_settles = str(uuid.uuid4()), 0.0

        return number

    def guarded(self, call: Call) -> Reply | None:
        """Refuses a stale RevisionId, other code than expected, and an update during another one."""
        function, asked = _function(call), call.json()
        if function is None:
            return None
        if asked.get("RevisionId") not in (None, _revision(function)):
            return _stale(call)
        if asked.get("CodeSha256") not in (None, "", function.code_sha_256):
            text = f"CodeSHA256 ({asked['CodeSha256']}) is different from current CodeSHA256 in $LATEST"
            return refuse(call, "InvalidParameterValueException", text, 400)
        if self._in_progress(function):
            text = (
                "The operation cannot be performed at this time. An update is in progress for resource: "
                + function.function_arn
            )
            return refuse(call, "ResourceConflictException", text, 409)
        return None

    def guarded_alias(self, call: Call) -> Reply | None:
        """UpdateAlias with a stale RevisionId, or weights for the version the alias itself points to."""
        name, function = unquote(call.path.rsplit("/", 1)[-1]), _function(call)
        if function is None:
            return None
        backend = lambda_backends[call.account][call.region]
        alias = next((one for one in backend.list_aliases(function.function_name) if one.name == name), None)
        asked = call.json()
        if alias is None or asked.get("RevisionId") in (None, alias.revision_id):
            return None
        return _stale(call)

    def list(self, call: Call) -> Reply | None:
        """ListVersionsByFunction, $LATEST first, by the page."""
        function = _function(call)
        if function is None:
            return None
        rows = list(lambda_backends[call.account][call.region].list_versions_by_function(function.function_name))
        at = int(call.query.get("Marker") or 0)
        end = at + min(int(call.query.get("MaxItems") or _LARGEST_PAGE), _LARGEST_PAGE)
        reply: dict[str, Any] = {"Versions": [row.get_configuration() for row in rows[at:end]]}
        if end < len(rows):
            reply["NextMarker"] = str(end)
        return answer(call, reply)

    def _in_progress(self, function: Any) -> bool:
        return self._emulator.clock.tick() < float(getattr(function, "emulated_settles", 0.0))


class Provisioned:
    """Provisioned concurrency by (account, region, function, qualifier)."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def put(self, call: Call) -> Reply | None:
        """PutProvisionedConcurrencyConfig."""
        function, qualifier = _function(call), call.query.get("Qualifier", "")
        if function is None or not _is_published(call, function, qualifier):
            return _no_function(call, qualifier)
        if qualifier == "$LATEST":
            text = "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
            return refuse(call, "InvalidParameterValueException", text)
        amount, key = int(call.json()["ProvisionedConcurrentExecutions"]), _key(call, function, qualifier)
        others = sum(row["amount"] for other, row in self._rows(call).items() if other != key)
        backend = lambda_backends[call.account][call.region]
        reserved = sum(int(f.reserved_concurrency or 0) for f in backend.list_functions())
        if self._emulator.settings.lambda_limit - reserved - others - amount < _FLOOR:
            text = (
                "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below "
                "its minimum value of [100]."
            )
            return refuse(call, "InvalidParameterValueException", text)
        ready = self._emulator.clock.tick() + self._emulator.settings.provisioned_seconds
        self._emulator.provisioned[key] = {"amount": amount, "ready": ready}
        return answer(call, self._config(self._emulator.provisioned[key]), 202)

    def get(self, call: Call) -> Reply | None:
        """GetProvisionedConcurrencyConfig."""
        function, qualifier = _function(call), call.query.get("Qualifier", "")
        if function is None:
            return _no_function(call, qualifier)
        row = self._emulator.provisioned.get(_key(call, function, qualifier))
        if row is None:
            text = "No Provisioned Concurrency Config found for this function"
            return refuse(call, "ProvisionedConcurrencyConfigNotFoundException", text, 404)
        return answer(call, self._config(row))

    def list(self, call: Call) -> Reply | None:
        """ListProvisionedConcurrencyConfigs."""
        function = _function(call)
        if function is None:
            return _no_function(call, "")
        rows = [
            {"FunctionArn": f"arn:aws:lambda:{call.region}:{call.account}:function:{name}:{qualifier}", **config}
            for (_, _, name, qualifier), row in self._rows(call).items()
            if name == function.function_name and (config := self._config(row))
        ]
        return answer(call, {"ProvisionedConcurrencyConfigs": rows})

    def delete(self, call: Call) -> Reply | None:
        """DeleteProvisionedConcurrencyConfig."""
        function, qualifier = _function(call), call.query.get("Qualifier", "")
        if function is None:
            return _no_function(call, qualifier)
        self._emulator.provisioned.pop(_key(call, function, qualifier), None)
        return Reply(204, (), b"")

    def _rows(self, call: Call) -> dict[tuple[str, ...], dict[str, Any]]:
        where = (call.account, call.region)
        return {key: row for key, row in self._emulator.provisioned.items() if key[:2] == where}

    def _config(self, row: Mapping[str, Any]) -> dict[str, Any]:
        ready = self._emulator.clock.tick() >= row["ready"]
        there = row["amount"] if ready else 0
        return {
            "RequestedProvisionedConcurrentExecutions": row["amount"],
            "AllocatedProvisionedConcurrentExecutions": there,
            "AvailableProvisionedConcurrentExecutions": there,
            "Status": "READY" if ready else "IN_PROGRESS",
            "LastModified": "2026-01-01T00:00:00+0000",
        }


def _moving(original: Any) -> Any:
    def update(alias: Any, *args: Any, **more: Any) -> None:
        original(alias, *args, **more)
        alias.revision_id = str(uuid.uuid4())

    return update


def _function(call: Call) -> Any:
    """The unpublished function that the path names, if there is one."""
    name = unquote(call.path.split("/functions/", 1)[1].split("/", 1)[0]).split(":function:")[-1].split(":")[0]
    backend: LambdaBackend = lambda_backends[call.account][call.region]
    return next((f for f in backend.list_functions() if f.function_name == name), None)


def _is_published(call: Call, function: Any, qualifier: str) -> bool:
    backend = lambda_backends[call.account][call.region]
    aliases = {one.name for one in backend.list_aliases(function.function_name)}
    versions = {str(one.version) for one in backend.list_versions_by_function(function.function_name)}
    return qualifier in aliases | versions


def _revision(function: Any) -> str:
    if not hasattr(function, "emulated_revision"):
        function.emulated_revision = str(uuid.uuid4())
    return str(function.emulated_revision)


def _key(call: Call, function: Any, qualifier: str) -> tuple[str, ...]:
    return call.account, call.region, str(function.function_name), qualifier


def _stale(call: Call) -> Reply:
    text = (
        "The RevisionId provided does not match the latest RevisionId. Call the GetFunction/GetAlias API to retrieve "
        "the latest RevisionId"
    )
    return refuse(call, "PreconditionFailedException", text, 412)


def _no_function(call: Call, qualifier: str) -> Reply:
    name = unquote(call.path.split("/functions/", 1)[1].split("/", 1)[0])
    arn = f"arn:aws:lambda:{call.region}:{call.account}:function:{name}" + (f":{qualifier}" if qualifier else "")
    return refuse(call, "ResourceNotFoundException", f"Function not found: {arn}", 404)
