"""IAM's SimulatePrincipalPolicy, over the policy that the door enforces.

Source: API_SimulatePrincipalPolicy (IAM API reference). Without a policy in force everything is allowed. `POST iam`
with `"simulate": false` refuses the simulation itself, as an identity without that permission meets it.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from monitor.core.iam import Demand, allows
from monitor.demo.emulator.calls import Call, Reply, refuse
from monitor.demo.emulator.state import Answerer, Emulator


def install(emulator: Emulator) -> Mapping[str, Answerer]:
    """The operations answered here."""
    return {"iam:SimulatePrincipalPolicy": lambda call: _simulated(call, emulator)}


def _simulated(call: Call, emulator: Emulator) -> Reply:
    guard = emulator.guard
    if not guard.simulates:
        return refuse(call, "AccessDenied", "not authorized to perform: iam:SimulatePrincipalPolicy", 403)
    asked = dict(parse_qsl(call.body.decode(errors="replace")))
    keys = {
        asked[f"ContextEntries.member.{n}.ContextKeyName"].lower(): asked.get(
            f"ContextEntries.member.{n}.ContextKeyValues.member.1", ""
        )
        for n in range(1, 20)
        if f"ContextEntries.member.{n}.ContextKeyName" in asked
    }
    rows = []
    for action in _members(asked, "ActionNames"):
        for resource in _members(asked, "ResourceArns") or ["*"]:
            is_allowed = guard.statements is None or allows(guard.statements, Demand(action, resource, keys))
            decision = "allowed" if is_allowed else "implicitDeny"
            rows.append(
                f"<member><EvalActionName>{escape(action)}</EvalActionName>"
                f"<EvalResourceName>{escape(resource)}</EvalResourceName><EvalDecision>{decision}</EvalDecision></member>"
            )
    xml = (
        '<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">'
        f"<SimulatePrincipalPolicyResult><IsTruncated>false</IsTruncated><EvaluationResults>{''.join(rows)}"
        "</EvaluationResults></SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
    )
    return Reply(200, (("Content-Type", "text/xml"),), xml.encode())


def _members(asked: Mapping[str, str], name: str) -> list[str]:
    found: list[str] = []
    while (key := f"{name}.member.{len(found) + 1}") in asked:
        found.append(asked[key])
    return found
