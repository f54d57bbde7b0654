"""CloudFormation: stacks whose state the control door sets, and the three ways back.

Sources: API_DescribeStacks (an unknown stack is a ValidationError), API_DescribeStackEvents, API_CancelUpdateStack
(only while UPDATE_IN_PROGRESS), API_RollbackStack (from UPDATE_FAILED or CREATE_FAILED), API_ContinueUpdateRollback
(only from UPDATE_ROLLBACK_FAILED). A roll back takes `SECONDS`. No template is read and no resource is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from monitor.demo.emulator.calls import Call, Reply, refuse
from monitor.demo.emulator.state import Answerer, Emulator

SECONDS = 30.0
#: From which states an operation goes back.
_FROM = {
    "CancelUpdateStack": ("UPDATE_IN_PROGRESS",),
    "RollbackStack": ("UPDATE_FAILED", "CREATE_FAILED"),
    "ContinueUpdateRollback": ("UPDATE_ROLLBACK_FAILED",),
}


def install(emulator: Emulator) -> Mapping[str, Answerer]:
    """The operations answered here."""
    stacks = Stacks(emulator)
    return {
        "cloudformation:DescribeStacks": stacks.describe,
        "cloudformation:DescribeStackEvents": stacks.events,
        **{f"cloudformation:{operation}": stacks.go_back for operation in _FROM},
    }


class Stacks:
    """Stacks by (account, region, name): status, reason, since, and the tick at which a roll back has ended."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def describe(self, call: Call) -> Reply | None:
        """DescribeStacks."""
        wanted = _asked(call).get("StackName")
        rows = [name for (*where, name) in self._emulator.stacks if where == [call.account, call.region]]
        names = [name for name in rows if wanted in (None, name, _arn(call, name))]
        if wanted is not None and not names:
            return _unknown(call, wanted)
        return _xml(call, "<Stacks>" + "".join(self._member(call, name) for name in names) + "</Stacks>")

    def events(self, call: Call) -> Reply | None:
        """DescribeStackEvents: the stack's last."""
        name = _asked(call).get("StackName", "")
        stack = self._stack(call, name)
        if stack is None:
            return _unknown(call, name)
        what = (
            f"<StackId>{_arn(call, name)}</StackId><EventId>1</EventId><StackName>{escape(name)}</StackName>"
            f"<LogicalResourceId>{escape(name)}</LogicalResourceId><Timestamp>{stack['since']}</Timestamp>"
            f"<ResourceStatus>{stack['status']}</ResourceStatus>"
            f"<ResourceStatusReason>{escape(stack['reason'])}</ResourceStatusReason>"
        )
        return _xml(call, f"<StackEvents><member>{what}</member></StackEvents>")

    def go_back(self, call: Call) -> Reply | None:
        """CancelUpdateStack, RollbackStack, ContinueUpdateRollback."""
        name = _asked(call).get("StackName", "")
        stack = self._stack(call, name)
        if stack is None:
            return _unknown(call, name)
        if stack["status"] not in _FROM[call.operation]:
            text = f"{call.operation} cannot be called from current stack status {stack['status']}"
            return refuse(call, "ValidationError", text)
        ends = self._emulator.clock.tick() + SECONDS
        stack.update(status="UPDATE_ROLLBACK_IN_PROGRESS", reason="", since=_now(), ends=ends)
        return _xml(call, "" if call.operation == "CancelUpdateStack" else f"<StackId>{_arn(call, name)}</StackId>")

    def _stack(self, call: Call, name: str) -> dict[str, Any] | None:
        short = name.rpartition(":stack/")[2].partition("/")[0]
        stack = self._emulator.stacks.get((call.account, call.region, short))
        if stack is not None and stack.get("ends") is not None and self._emulator.clock.tick() >= stack["ends"]:
            stack.update(status="UPDATE_ROLLBACK_COMPLETE", ends=None, since=_now())
        return stack

    def _member(self, call: Call, name: str) -> str:
        stack = self._stack(call, name)
        assert stack is not None, "it was listed a moment ago"
        return (
            f"<member><StackId>{_arn(call, name)}</StackId><StackName>{escape(name)}</StackName>"
            f"<CreationTime>{stack['since']}</CreationTime><LastUpdatedTime>{stack['since']}</LastUpdatedTime>"
            f"<StackStatus>{stack['status']}</StackStatus>"
            f"<StackStatusReason>{escape(stack['reason'])}</StackStatusReason></member>"
        )


def set_state(emulator: Emulator, account: str, region: str, name: str, state: str, reason: str = "") -> None:
    """The stack is there, in `state`, since now."""
    emulator.stacks[(account, region, name)] = {"status": state, "reason": reason, "since": _now(), "ends": None}


def _asked(call: Call) -> dict[str, str]:
    return dict(parse_qsl(call.body.decode()))


def _arn(call: Call, name: str) -> str:
    return f"arn:aws:cloudformation:{call.region}:{call.account}:stack/{escape(name)}/1"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _xml(call: Call, result: str) -> Reply:
    name = call.operation
    body = f"<{name}Response><{name}Result>{result}</{name}Result></{name}Response>"
    return Reply(200, (("Content-Type", "text/xml"),), body.encode())


def _unknown(call: Call, name: str) -> Reply:
    return refuse(call, "ValidationError", f"Stack with id {name} does not exist")
