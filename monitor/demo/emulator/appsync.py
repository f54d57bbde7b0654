"""AppSync: resolvers, and APIs whose ids can be known before they are made.

Sources: API_CreateResolver, API_GetResolver, API_ListResolvers, API_UpdateResolver (it replaces the resolver: what a
request leaves out is gone), API_CreateGraphqlApi (ids are 26 lower-case letters and digits; AWS's are random, here they
are made of the name, so that a configuration can name one). moto has caches, APIs and schemas, no resolvers.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from moto.appsync.models import GraphqlAPI, appsync_backends

from monitor.demo.emulator.calls import Call, Reply, answer, refuse
from monitor.demo.emulator.state import Answerer, Emulator, patch

#: What a request may say of a resolver; AWS adds the rest itself.
_SETTINGS = (
    "dataSourceName", "requestMappingTemplate", "responseMappingTemplate", "kind", "pipelineConfig", "syncConfig",
    "cachingConfig", "maxBatchSize", "runtime", "code", "metricsConfig",
)  # fmt: skip


def install(emulator: Emulator) -> Mapping[str, Answerer]:
    """Mend the ids; the operations answered here."""
    patch(GraphqlAPI, "__init__", _named)
    return {
        "appsync:CreateResolver": create,
        "appsync:UpdateResolver": update,
        "appsync:GetResolver": get,
        "appsync:ListResolvers": list_all,
    }


def api_id(name: str) -> str:
    """The id of the API of that name."""
    return base64.b32encode(hashlib.sha256(name.encode()).digest()).decode().lower()[:26]


def _named(original: Any) -> Any:
    def init(api: Any, *args: Any, **more: Any) -> None:
        original(api, *args, **more)
        given, api.api_id = api.api_id, api_id(api.name)
        api.arn = api.arn.replace(given, api.api_id)

    return init


def create(call: Call) -> Reply | None:
    """CreateResolver; one per field."""
    found = _resolvers(call)
    if isinstance(found, Reply):
        return found
    asked = call.json()
    kind, field = call.path.split("/types/")[1].split("/")[0], str(asked.get("fieldName"))
    if (kind, field) in found:
        return refuse(call, "BadRequestException", f"Only one resolver is allowed per field: {kind}.{field}")
    return _write(call, found, (kind, field))


def update(call: Call) -> Reply | None:
    """UpdateResolver."""
    found = _resolvers(call)
    if isinstance(found, Reply):
        return found
    name = _name(call)
    return _write(call, found, name) if name in found else _missing(call)


def get(call: Call) -> Reply | None:
    """GetResolver."""
    found = _resolvers(call)
    if isinstance(found, Reply):
        return found
    resolver = found.get(_name(call))
    return answer(call, {"resolver": resolver}) if resolver else _missing(call)


def list_all(call: Call) -> Reply | None:
    """ListResolvers of one type, on one page."""
    found = _resolvers(call)
    if isinstance(found, Reply):
        return found
    kind = call.path.split("/types/")[1].split("/")[0]
    return answer(call, {"resolvers": [one for (of, _), one in found.items() if of == kind]})


def _write(call: Call, found: dict[tuple[str, str], Any], name: tuple[str, str]) -> Reply:
    asked = {key: value for key, value in call.json().items() if key in _SETTINGS}
    kind, field = name
    arn = f"arn:aws:appsync:{call.region}:{call.account}:apis/{_api(call)}/types/{kind}/resolvers/{field}"
    found[name] = {"kind": "UNIT", **asked, "typeName": kind, "fieldName": field, "resolverArn": arn}
    return answer(call, {"resolver": found[name]})


def _resolvers(call: Call) -> dict[tuple[str, str], Any] | Reply:
    api: Any = appsync_backends[call.account][call.region].graphql_apis.get(_api(call))
    if api is None:
        return refuse(call, "NotFoundException", f"GraphQL API {_api(call)} not found.", 404)
    if not hasattr(api, "emulated_resolvers"):
        api.emulated_resolvers = {}
    kept: dict[tuple[str, str], Any] = api.emulated_resolvers
    return kept


def _api(call: Call) -> str:
    return call.path.split("/apis/")[1].split("/")[0]


def _name(call: Call) -> tuple[str, str]:
    kind, _, field = call.path.split("/types/")[1].partition("/resolvers/")
    return kind, field


def _missing(call: Call) -> Reply:
    return refuse(call, "NotFoundException", "No resolver found.", 404)
