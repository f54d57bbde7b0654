"""The OpenAPI 3.1 document, made from the route table and the pydantic models."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from monitor.web.models import Refusal
from monitor.web.routes import Route

_REF = "#/components/schemas/{model}"


def document(routes: Iterable[Route], version: str) -> dict[str, Any]:
    """The whole document as plain JSON values; every path and method of `routes`, nothing else."""
    routes = tuple(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "tripswitch",
            "version": version,
            "description": "Times are ISO 8601 UTC, spans are seconds; a refusal is `{error, hint}`.",
        },
        "paths": paths,
        "components": {
            "schemas": _schemas(routes),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _schemas(routes: tuple[Route, ...]) -> dict[str, Any]:
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(Refusal, "serialization"): None}
    for route in routes:
        if not isinstance(route.answer, str):
            wanted[(route.answer, "serialization")] = None
        if route.body:
            wanted[(route.body, "validation")] = None
    _, definitions = models_json_schema(list(wanted), ref_template=_REF)
    schemas: dict[str, Any] = definitions["$defs"]
    return schemas


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _identifier(route),
        "summary": route.summary,
        "parameters": _parameters(route),
        "responses": {"200": {"description": "OK", "content": _content(route.answer)}},
    }
    if route.path == "/readyz":
        operation["responses"]["503"] = {"description": "Not ready", "content": _content(route.answer)}
    for status in route.refusals:
        operation["responses"][str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": _content(Refusal),
        }
    if route.body:
        operation["security"] = [{"token": []}]
        required = any(field.is_required() for field in route.body.model_fields.values())
        operation["requestBody"] = {"required": required, "content": _content(route.body)}
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    inside = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]
    return inside + [{"name": name, "in": "query", "schema": {"type": "string"}} for name in route.query]


def _content(answer: type[BaseModel] | str) -> dict[str, Any]:
    if isinstance(answer, str):
        return {answer: {"schema": {"type": "object"} if answer == "application/json" else {"type": "string"}}}
    return {"application/json": {"schema": {"$ref": _REF.format(model=answer.__name__)}}}


def _identifier(route: Route) -> str:
    words = re.findall(r"[A-Za-z0-9]+", route.path.removeprefix("/api/v1"))
    kind = ["page"] if route.answer == "text/html" else []  # of an incident there is a page and an answer of the API
    return "_".join([route.method.lower(), *kind, *words])
