"""How each operation pages, from the SDK's paginator models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jmespath
from botocore.exceptions import DataNotFoundError, UnknownServiceError
from botocore.loaders import Loader

#: (output, input) names of tokens, for operations that page but have no paginator model.
_USUAL = (("NextToken", "NextToken"), ("nextToken", "nextToken"), ("NextMarker", "Marker"))


@dataclass(frozen=True, slots=True)
class Paging:
    """(input parameter, expression over the reply) pairs; `more` says whether another page follows, if given."""

    tokens: tuple[tuple[str, Any], ...] = ()
    more: Any = None

    def following(self, reply: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters that ask for the next page; empty after the last one."""
        if not self.tokens:
            return {given: reply[name] for name, given in _USUAL if reply.get(name)}
        if self.more is not None and not self.more.search(reply):
            return {}
        found = {name: expression.search(reply) for name, expression in self.tokens}
        return {name: value for name, value in found.items() if value}


class Pages:
    """Paging by (service, operation)."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._services: dict[str, Mapping[str, Any]] = {}
        self._known: dict[tuple[str, str], Paging] = {}

    def of(self, aws_service: str, operation: str) -> Paging:
        """How to go through the operation's pages."""
        key = (aws_service, operation)
        if key not in self._known:
            model = self._service(aws_service).get(operation)
            self._known[key] = _paging(model) if model else Paging()
        return self._known[key]

    def _service(self, aws_service: str) -> Mapping[str, Any]:
        if aws_service not in self._services:
            try:
                data = self._loader.load_service_model(aws_service, "paginators-1")
            except (UnknownServiceError, DataNotFoundError):
                data = {}
            self._services[aws_service] = data.get("pagination", {})
        return self._services[aws_service]


def _paging(model: Mapping[str, Any]) -> Paging:
    given, returned = _listed(model["input_token"]), _listed(model["output_token"])
    more = model.get("more_results")
    pairs = tuple((name, jmespath.compile(path)) for name, path in zip(given, returned, strict=True))
    return Paging(pairs, jmespath.compile(more) if more else None)


def _listed(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]
