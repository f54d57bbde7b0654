"""CloudWatch alarms: composite ones too, types and pages as asked, states that start where AWS's do.

Sources: API_DescribeAlarms (without AlarmTypes only metric alarms are returned; filters combine; MaxRecords is 50
unless given, at most 100), API_PutMetricAlarm (a new alarm is INSUFFICIENT_DATA, an update keeps the state),
API_PutCompositeAlarm (AlarmRule: ALARM, OK, INSUFFICIENT_DATA, TRUE, FALSE, AND, OR, NOT). No alarm evaluates its
metric here: SetAlarmState moves metric alarms, and composite alarms follow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from moto.cloudwatch.models import Alarm, CloudWatchBackend, cloudwatch_backends
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult

from monitor.demo.emulator.calls import Call, Reply, answer, refuse
from monitor.demo.emulator.state import Answerer, Emulator, patch

_PAGE = 50
_TOKEN = re.compile(r'\s*(\(|\)|"[^"]*"|[^\s()"]+)')


def install(emulator: Emulator) -> Mapping[str, Answerer]:
    """Mend creation and description; PutCompositeAlarm is answered here."""
    patch(CloudWatchBackend, "put_metric_alarm", _created)
    patch(CloudWatchResponse, "describe_alarms", lambda original: _described)
    return {"cloudwatch:PutCompositeAlarm": put_composite}


def _created(original: Any) -> Any:
    def put(backend: CloudWatchBackend, name: str, *args: Any, **more: Any) -> Alarm:
        before = backend.alarms.get(name)
        alarm: Alarm = original(backend, name, *args, **more)
        alarm.state_value = before.state_value if before is not None else "INSUFFICIENT_DATA"
        return alarm

    return put


def _described(response: Any) -> ActionResult:
    backend = response.cloudwatch_backend
    asked = response._get_param
    kinds = asked("AlarmTypes") or ["MetricAlarm"]
    names, prefix = asked("AlarmNames") or [], asked("AlarmNamePrefix") or ""
    state, action = asked("StateValue"), asked("ActionPrefix")
    found = []
    for alarm in sorted(backend.alarms.values(), key=lambda one: one.name):
        _follow(backend, alarm)
        fits = (
            (not names or alarm.name in names) and alarm.name.startswith(prefix) and state in (None, alarm.state_value)
        )
        acts = action is None or any(str(one).startswith(action) for one in alarm.alarm_actions or ())
        if fits and acts and ("MetricAlarm" if alarm.rule is None else "CompositeAlarm") in kinds:
            found.append(alarm)
    begin, size = int(asked("NextToken") or 0), int(asked("MaxRecords") or _PAGE)
    page, rest = found[begin : begin + size], found[begin + size :]
    result: dict[str, Any] = {
        "MetricAlarms": [alarm for alarm in page if alarm.rule is None],
        "CompositeAlarms": [alarm for alarm in page if alarm.rule is not None],
    }
    return ActionResult({**result, "NextToken": str(begin + size)} if rest else result)


def put_composite(call: Call) -> Reply | None:
    """PutCompositeAlarm: refused if its rule can't be read or names no alarm."""
    asked, backend = call.json(), cloudwatch_backends[call.account][call.region]
    try:
        _evaluate(asked["AlarmRule"], backend)
    except (ValueError, KeyError, IndexError) as error:
        return refuse(call, "ValidationError", f"AlarmRule can't be evaluated: {error}")
    alarm: Any = backend.put_metric_alarm(
        asked["AlarmName"], "", "", "", 0, 0, 0.0, "", asked.get("AlarmDescription", ""), [],
        asked.get("AlarmActions", []), actions_enabled=asked.get("ActionsEnabled", True), rule=asked["AlarmRule"],
    )  # fmt: skip
    alarm.alarm_rule = asked["AlarmRule"]
    return answer(call, {})


def _follow(backend: CloudWatchBackend, alarm: Any) -> None:
    """A composite alarm's state is what its rule says now."""
    if alarm.rule is None:
        return
    state = "ALARM" if _evaluate(alarm.rule, backend) else "OK"
    if state != alarm.state_value:
        alarm.update_state("its children changed", "{}", state)


def _evaluate(rule: str, backend: CloudWatchBackend) -> bool:
    """Whether the rule holds. Raises ValueError, KeyError or IndexError for one that can't be read."""
    words = _TOKEN.findall(rule)
    value, rest = _either(words, backend)
    if rest:
        raise ValueError(f"unexpected {rest[0]}")
    return value


def _either(words: list[str], backend: Any) -> tuple[bool, list[str]]:
    value, rest = _both(words, backend)
    while rest and rest[0].upper() == "OR":
        more, rest = _both(rest[1:], backend)
        value = value or more
    return value, rest


def _both(words: list[str], backend: Any) -> tuple[bool, list[str]]:
    value, rest = _term(words, backend)
    while rest and rest[0].upper() == "AND":
        more, rest = _term(rest[1:], backend)
        value = value and more
    return value, rest


def _term(words: list[str], backend: Any) -> tuple[bool, list[str]]:
    head = words[0].upper()
    if head == "NOT":
        value, rest = _term(words[1:], backend)
        return not value, rest
    if head == "(":
        value, rest = _either(words[1:], backend)
        return value, rest[1:]
    if head in ("TRUE", "FALSE"):
        return head == "TRUE", words[1:]
    if head not in ("ALARM", "OK", "INSUFFICIENT_DATA") or words[1] != "(" or words[3] != ")":
        raise ValueError(f"unexpected {words[0]}")
    child: Any = backend.alarms[words[2].strip('"').rsplit(":", 1)[-1]]
    _follow(backend, child)
    return bool(child.state_value == head), words[4:]
