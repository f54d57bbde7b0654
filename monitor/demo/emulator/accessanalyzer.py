"""IAM Access Analyzer: analyzers with the findings the control door tells, and some of its policy checks.

ValidatePolicy finds what runbooks are about: `*` for actions and resources (SECURITY_WARNING, PASS_ROLE_WITH_STAR_IN_
RESOURCE among them), unknown JSON (ERROR). Sources: API_ListAnalyzers, API_ListFindings, API_ValidatePolicy, and the
user guide's "IAM Access Analyzer policy check reference".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from monitor.demo.emulator.calls import Call, Reply, answer, refuse
from monitor.demo.emulator.state import Answerer, Emulator

_REFERENCE = "https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-reference-policy-checks.html"


def install(emulator: Emulator) -> Mapping[str, Answerer]:
    """The operations answered here."""
    return {
        "accessanalyzer:ListAnalyzers": lambda call: _analyzers(emulator, call),
        "accessanalyzer:ListFindings": lambda call: _findings(emulator, call),
        "accessanalyzer:ValidatePolicy": _validate,
    }


def set_findings(emulator: Emulator, account: str, region: str, findings: Sequence[Mapping[str, Any]]) -> int:
    """The account has an analyzer `account` there, with these findings ({resource, status, ...})."""
    emulator.settings.analyzers[account, region] = list(findings)
    return len(findings)


def _arn(call: Call) -> str:
    return f"arn:aws:access-analyzer:{call.region}:{call.account}:analyzer/account"


def _analyzers(emulator: Emulator, call: Call) -> Reply:
    if (call.account, call.region) not in emulator.settings.analyzers:
        return answer(call, {"analyzers": []})
    at = "2026-01-01T00:00:00Z"
    one = {"arn": _arn(call), "name": "account", "type": "ACCOUNT", "createdAt": at, "status": "ACTIVE"}
    return answer(call, {"analyzers": [one]})


def _findings(emulator: Emulator, call: Call) -> Reply:
    asked = call.json()
    if asked.get("analyzerArn") != _arn(call) or (call.account, call.region) not in emulator.settings.analyzers:
        return refuse(call, "ResourceNotFoundException", "The specified analyzer does not exist.", 404)
    statuses = ((asked.get("filter") or {}).get("status") or {}).get("eq")
    at = "2026-03-04T12:00:00Z"
    found = [
        {"id": str(number), "resourceType": "AWS::S3::Bucket", "condition": {}, "createdAt": at, "analyzedAt": at,
         "updatedAt": at, "status": "ACTIVE", "resourceOwnerAccount": call.account, **finding}
        for number, finding in enumerate(emulator.settings.analyzers[call.account, call.region])
    ]  # fmt: skip
    return answer(call, {"findings": [one for one in found if not statuses or one["status"] in statuses]})


def _validate(call: Call) -> Reply:
    try:
        document = json.loads(call.json()["policyDocument"])
    except ValueError:
        return answer(call, {"findings": [_finding("ERROR", "JSON_SYNTAX_ERROR", "Fix the JSON syntax error.")]})
    statements = document.get("Statement") or []
    found = []
    for statement in statements if isinstance(statements, list) else [statements]:
        if statement.get("Effect") != "Allow":
            continue
        actions, resources = (_listed(statement.get(name)) for name in ("Action", "Resource"))
        if "*" in actions and "*" in resources:
            text = "Using wildcards (*) in the action and the resource can be overly permissive."
            found.append(_finding("WARNING", "STAR_IN_ACTION_AND_RESOURCE", text))
        if "iam:PassRole" in actions and "*" in resources:
            text = "Using the iam:PassRole action with wildcards (*) in the resource can be overly permissive."
            found.append(_finding("SECURITY_WARNING", "PASS_ROLE_WITH_STAR_IN_RESOURCE", text))
        found += [
            _finding("ERROR", "INVALID_ACTION", f"The action {action} does not exist.")
            for action in actions
            if action != "*" and ":" not in action
        ]
    return answer(call, {"findings": found})


def _finding(kind: str, code: str, text: str) -> dict[str, Any]:
    return {
        "findingType": kind,
        "issueCode": code,
        "findingDetails": text,
        "learnMoreLink": _REFERENCE,
        "locations": [],
    }


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())
