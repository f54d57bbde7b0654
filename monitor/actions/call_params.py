"""What `aws_call` is told, and what follows from it without asking AWS: risk, repeatability, the value aimed at."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import jmespath
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from monitor.plugin import Json, OperationUse, Params, Risk, target_name

PRIOR = "${prior}"
_DELETES = re.compile(r"(Batch|Force)?(Delete|Purge|Terminate|Destroy|Drop|Empty|Deregister)|(?!Cancel)\w*Deletion$")
#: Repeating these has no second effect; everything else is not repeated after an unclear outcome.
_REPEATABLE = re.compile(
    r"(Update(?!Item)|Set|Modify|Enable|Disable|Stop|Delete|Tag|Untag|Attach|Detach|Suspend|Pause|Put(?!Events|Record|Metric|Log))"
)
_IDENTIFIER = re.compile(r".*(Name|Arn|ARN|Id|Identifier|Url|URL|Bucket|Cluster)$", re.IGNORECASE)


class Read(BaseModel):
    """A read whose reply holds the value that the call changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    operation: str = Field(description="A read-only operation of the same service, e.g. DescribeTable.")
    parameters: dict[str, Any] = Field(default_factory=dict, description="Its parameters.")
    query: str = Field(description="JMESPath expression over its reply (as the AWS CLI's --query).")

    @field_validator("query")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            jmespath.compile(value)
        except jmespath.exceptions.JMESPathError as error:
            raise ValueError(f"not a JMESPath expression: {error}") from None
        return value


class Undo(BaseModel):
    """The call that puts things back."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    operation: str = Field(description="A mutating operation of the same service.")
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="Its parameters; `${prior}` stands for the captured value."
    )


class CallParams(Params):
    """Which call, how its effect is read, how it is taken back."""

    service: str = Field(description="AWS service as the AWS CLI names it, e.g. dynamodb.")
    operation: str = Field(description="The operation, e.g. UpdateTable.")
    parameters: dict[str, Any] = Field(default_factory=dict, description="Its parameters, as the API names them.")
    capture: Read | None = Field(default=None, description="How to read the value that the call changes.")
    undo: Undo | None = Field(default=None, description="The call that restores it; needs `capture`.")
    expect: Any = Field(default=None, description="What `capture` shows once the call took effect.")
    risk: Literal["reversible", "disruptive", "destructive"] = Field(
        default="disruptive", description="How bad it can be; deleting operations are always destructive."
    )
    resource: str | None = Field(default=None, description="What it acts on, for people and for claims.")

    @model_validator(mode="after")
    def _consistent(self) -> CallParams:
        if self.capture is None and (self.undo is not None or "expect" in self.model_fields_set):
            raise ValueError("`undo` and `expect` need a `capture`: nothing is restored or judged that was not read")
        if self.undo is not None and not self.expected()[0]:
            raise ValueError("`undo` needs `expect`: what the query shows once the call took effect, to tell drift by")
        return self

    def expected(self) -> tuple[bool, Json]:
        """(whether it is known, the value that shows after the call)."""
        if "expect" in self.model_fields_set:
            return True, self.expect
        if self.undo is not None and _spelled(self.undo.operation) == _spelled(self.operation):
            found = list(_beside_prior(self.undo.parameters, self.parameters))
            if len(found) == 1:
                return True, found[0]
        return False, None


def risk_of(params: CallParams) -> Risk:
    """The declared risk, but destructive for operations that delete."""
    return Risk.DESTRUCTIVE if _DELETES.match(_spelled(params.operation)) else Risk(params.risk)


def operations(params: CallParams) -> Sequence[OperationUse]:
    """Every operation the parameters name, for validation at load."""
    uses = [OperationUse(params.service, params.operation, params.parameters, mutating=True)]
    if read := params.capture:
        uses.append(
            OperationUse(params.service, read.operation, read.parameters, False, query=read.query, path=("capture",))
        )
    if params.undo:
        uses.append(
            OperationUse(params.service, params.undo.operation, params.undo.parameters, mutating=True, path=("undo",))
        )
    return uses


def is_repeatable(operation: str, parameters: Mapping[str, Any]) -> bool:
    """True if making the call twice has the effect of making it once."""
    name = _spelled(operation)
    return (name == "StartExecution" and "name" in parameters) or _REPEATABLE.match(name) is not None


def _spelled(operation: str) -> str:
    """As the API spells it, also for the AWS CLI's `delete-table`."""
    parts = re.split(r"[-_]", operation)
    return "".join(part[:1].upper() + part[1:] for part in parts)


def property_of(params: CallParams) -> str | None:
    """The captured value's name: the same read is the same property. None without capture and undo."""
    if params.capture is None or params.undo is None:
        return None  # what nothing restores is nobody's to hold: a process, not a property
    read = params.capture
    text = json.dumps([read.operation, read.parameters, read.query], sort_keys=True, default=str)
    return f"{params.service}:{read.operation}:{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def resource_of(params: CallParams) -> str:
    """`resource`, else the first parameter that names something."""
    if params.resource:
        return params.resource
    for name, value in params.parameters.items():
        if _IDENTIFIER.match(name) and isinstance(value, str):
            return f"{params.service}/{target_name(value)}"
    return f"{params.service}/{params.operation}"


def filled(value: Any, prior: Json) -> Any:
    """`${prior}` as a whole scalar keeps the captured type; inside a longer text it is written out."""
    if isinstance(value, Mapping):
        return {key: filled(part, prior) for key, part in value.items()}
    if isinstance(value, list):
        return [filled(part, prior) for part in value]
    if value == PRIOR:
        return prior
    if isinstance(value, str):
        return value.replace(PRIOR, prior if isinstance(prior, str) else json.dumps(prior))
    return value


def _beside_prior(undo: Any, call: Any) -> Iterator[Any]:
    """What stands in the call's parameters wherever the undo's have `${prior}`."""
    if isinstance(undo, Mapping) and isinstance(call, Mapping):
        for key in undo.keys() & call.keys():
            yield from _beside_prior(undo[key], call[key])
    elif undo == PRIOR:
        yield call
