"""AWS operations as data: which exist, what they take, which of them change something.

`Operations` answers from the SDK's own service models, offline, for config that names operations (`aws_query`,
`aws_call`). The reader's own refusals (`refusal`) need only the name, so that they hold even for a new operation.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

import jmespath
from botocore import xform_name
from botocore.exceptions import UnknownServiceError
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape
from jmespath.exceptions import JMESPathError

from monitor.aws.quotas import sdk_service
from monitor.aws.shapes import problems_of
from monitor.plugin import OperationUse

Path = tuple[str | int, ...]

_READING = re.compile(
    r"(Get|List|Describe|Head|BatchGet|BatchDescribe|BatchList|BatchCheck|TransactGet|AdminGet|AdminList|Lookup|Query"
    r"|Scan|Select|Filter|Search|Check|Estimate|Validate|Verify|Preview|IsAuthorized|BatchIsAuthorized)(?=[A-Z0-9]|$)"
)

#: Read although their name does not say so.
_READS = frozenset({
    ("appconfigdata", "StartConfigurationSession"), ("events", "TestEventPattern"), ("iam", "SimulateCustomPolicy"),
    ("iam", "SimulatePrincipalPolicy"), ("logs", "StartQuery"), ("logs", "StopQuery"), ("logs", "TestMetricFilter"),
})  # fmt: skip

#: Hand out credentials, secrets or whole messages; what reads them must not end up as a check's value or detail.
_SECRETS: Mapping[str, frozenset[str]] = {
    "secretsmanager": frozenset({"GetSecretValue", "BatchGetSecretValue", "GetRandomPassword"}),
    "sts": frozenset({"GetSessionToken", "GetFederationToken", "GetDelegatedAccessToken", "GetWebIdentityToken"}),
    "ecr": frozenset({"GetAuthorizationToken"}),
    "ecr-public": frozenset({"GetAuthorizationToken"}),
    "codeartifact": frozenset({"GetAuthorizationToken"}),
    "cognito-identity": frozenset(
        {"GetCredentialsForIdentity", "GetOpenIdToken", "GetOpenIdTokenForDeveloperIdentity"}
    ),
    "redshift": frozenset({"GetClusterCredentials", "GetClusterCredentialsWithIAM"}),
    "redshift-serverless": frozenset({"GetCredentials"}),
    "lightsail": frozenset({"GetInstanceAccessDetails", "GetRelationalDatabaseMasterUserPassword"}),
    "ec2": frozenset({"GetPasswordData"}),
    "sso": frozenset({"GetRoleCredentials"}),
    "apigateway": frozenset({"GetApiKey", "GetApiKeys"}),
    "ssm": frozenset({"GetAccessToken"}),
}  # fmt: skip


def is_mutating(aws_service: str, operation: str) -> bool:
    """Whether the operation may change anything. Unknown names count as mutating."""
    return not (_READING.match(operation) or (sdk_service(aws_service), operation) in _READS)


def refusal(aws_service: str, operation: str, params: Mapping[str, Any]) -> str | None:
    """Why a check may not make this call; None if it may."""
    service = sdk_service(aws_service)
    if is_mutating(service, operation):
        return f"{service}:{operation} changes something; a check only reads (use an action)"
    if operation in _SECRETS.get(service, ()):
        return f"{service}:{operation} returns secrets; refer to them by ssm: or secretsmanager: where they are needed"
    if service == "ssm" and params.get("WithDecryption"):
        return f"ssm:{operation} WithDecryption returns secrets; leave it out, or use an ssm: reference"
    return None


class Operations:
    """The OperationValidator. Models are loaded on first use and kept."""

    def __init__(self, loader: Loader | None = None) -> None:
        self._loader = loader or Loader()
        self._models: dict[str, ServiceModel] = {}
        self._names: tuple[str, ...] = ()

    def services(self) -> tuple[str, ...]:
        """Every service the SDK knows."""
        if not self._names:
            self._names = tuple(self._loader.list_available_services("service-2"))
        return self._names

    def canonical(self, aws_service: str, operation: str) -> str | None:
        """The operation's own spelling from `ListExecutions`, `list-executions` or `list_executions`; None: unknown."""
        found = self._operation(aws_service, operation)
        return found.name if found else None

    def output_shape(self, aws_service: str, operation: str) -> Shape | None:
        """What the operation replies with; None for nothing (or an unknown operation)."""
        found = self._operation(aws_service, operation)
        return found.output_shape if found else None

    def problems(self, use: OperationUse) -> list[tuple[Path, str]]:
        """(path inside the parameters, what is wrong and what to write instead); empty if the call is valid."""
        service = sdk_service(use.aws_service)
        model = self._model(service)
        if model is None:
            return [((), f"unknown AWS service {use.aws_service!r}{_suggest(use.aws_service, self.services())}")]
        operation = self._operation(service, use.operation)
        if operation is None:
            close = _suggest(use.operation, _spelled_like(use.operation, model))
            return [((), f"{service} has no operation {use.operation!r}{close}")]
        found: list[tuple[Path, str]] = []
        if not use.mutating and (why := refusal(service, operation.name, use.parameters)):
            found.append(((), why))
        if use.mutating and not is_mutating(service, operation.name):
            found.append(((), f"{service}:{operation.name} only reads; use a check (aws_query) for it"))
        found.extend(problems_of(operation.input_shape, use.parameters))
        if use.query is not None and (why := _bad_query(use.query, operation)):
            found.append(((), why))
        return found

    def _operation(self, aws_service: str, operation: str) -> OperationModel | None:
        model = self._model(sdk_service(aws_service))
        if model is None:
            return None
        if operation in model.operation_names:
            return model.operation_model(operation)
        wanted = operation.replace("_", "-")
        for name in model.operation_names:
            if xform_name(name, "-") == wanted:
                return model.operation_model(name)
        return None

    def _model(self, service: str) -> ServiceModel | None:
        if service not in self._models:
            try:
                data = self._loader.load_service_model(service, "service-2")
            except UnknownServiceError:
                return None
            self._models[service] = ServiceModel(data, service)
        return self._models[service]


def _spelled_like(operation: str, model: ServiceModel) -> list[str]:
    kebab = "-" in operation or operation.islower()
    return [xform_name(name, "-") if kebab else name for name in model.operation_names]


def _suggest(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def _bad_query(query: str, operation: OperationModel) -> str | None:
    try:
        parsed = jmespath.compile(query).parsed
    except JMESPathError as error:
        first = str(error).strip().splitlines()[0]
        return f"the query {query!r} is no JMESPath: {first}"
    return _unknown_field(parsed, operation)


def _unknown_field(parsed: Mapping[str, Any], operation: OperationModel) -> str | None:
    """A plain `A.B.C` (with indexes) that the reply's model does not have; anything cleverer is left to run time."""
    steps = _plain_steps(parsed)
    shape = operation.output_shape
    for step in steps or ():
        if shape is None:
            return f"{operation.name} returns nothing to query"
        if shape.type_name == "list" and step == 0:
            shape = shape.member
        elif shape.type_name == "structure" and isinstance(step, str) and shape.members:
            if step not in shape.members:
                close = _suggest(step, shape.members)
                return f"the reply of {operation.name} has no {step!r} in {shape.name}{close}"
            shape = shape.members[step]
        else:
            return None  # maps, documents and indexes into scalars say nothing
    return None


def _plain_steps(node: Mapping[str, Any]) -> list[str | int] | None:
    """Names and (for an index) 0, from the outside in; None if the expression is more than a path."""
    kind = node["type"]
    if kind == "field":
        return [str(node["value"])]
    if kind == "index":
        return [0]
    if kind in ("subexpression", "index_expression"):
        steps: list[str | int] = []
        for child in node["children"]:
            inner = _plain_steps(child)
            if inner is None:
                return None
            steps.extend(inner)
        return steps
    return None
