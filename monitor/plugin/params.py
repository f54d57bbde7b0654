"""Parameters of kinds and actions, and the selectors in them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema, model_validator

from monitor.core.durations import format_duration, parse_duration

Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(
        {"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d|w))+$", "examples": ["30s", "5m", "1h30m"]}
    ),
]


class Params(BaseModel):
    """Base of a kind's or an action's parameters: closed, frozen; descriptions end up in `explain` and the schema."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class ResourceKind(StrEnum):
    """What can be discovered by name, glob and tag. Values are the tagging API's resource type filters."""

    QUEUE = "sqs"
    STATE_MACHINE = "states:stateMachine"
    FUNCTION = "lambda:function"
    TABLE = "dynamodb:table"
    RULE = "events:rule"
    REST_API = "apigateway:restapis"


class Selector(BaseModel):
    """Which resources: names (or ARNs), globs, or tags. Written as a string, a list, or `{names: [...], tags: {...}}`.

    Several tags must all match; an empty tag value matches any value.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    names: tuple[str, ...] = Field(default=(), description="Names, ARNs or globs (`*`, `?`, `[a-z]`).")
    tags: Mapping[str, str] = Field(default_factory=dict, description="Tags that must all match.")

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, data: Any) -> Any:
        if isinstance(data, str):
            return {"names": (data,)}
        if isinstance(data, (list, tuple)):
            return {"names": tuple(data)}
        return data

    @model_validator(mode="after")
    def _not_empty(self) -> Selector:
        if not self.names and not self.tags:
            raise ValueError("select something: a name, a glob or {tags: {key: value}}")
        return self

    @property
    def discovers(self) -> bool:
        """True if AWS must be asked which resources these are (a glob or a tag)."""
        return bool(self.tags) or any(is_glob(name) for name in self.names)

    @property
    def explicit(self) -> tuple[str, ...]:
        """The names that need no discovery."""
        return tuple(name for name in self.names if not is_glob(name))


def is_glob(name: str) -> bool:
    """True for a pattern rather than a name."""
    return any(char in name for char in "*?[")


def target_name(name: str) -> str:
    """The short name of an ARN or queue URL; a plain name is returned as it is."""
    if name.startswith(("http://", "https://")):
        return name.rstrip("/").rsplit("/", 1)[-1]
    if name.startswith("arn:"):
        tail = name.split(":", 5)[-1]
        return tail.replace("/", ":").rsplit(":", 1)[-1]
    return name
