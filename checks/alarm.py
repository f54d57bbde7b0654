"""CloudWatch alarms as they stand: metric alarms, composite alarms and log alarms alike.

`in_alarm` is 1 in ALARM and 0 in OK; INSUFFICIENT_DATA is an absent point, because CloudWatch itself does not know.
`actions_enabled` is 0 for an alarm whose actions were switched off: it still changes its state, but tells nobody. A
named alarm that does not exist is unknown(not_found); a glob that matches nothing adds nothing.

CloudWatch acts on a transition only and does not repeat an action that failed; read as a level, an alarm that is still
in ALARM is still in ALARM. Its own periods and its delay come before this: where minutes matter, watch the metric or
the resource itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from pydantic import Field, field_validator

from checks.reading import absent, attempt, observe, unknown
from monitor.plugin import (
    Bound,
    Check,
    Observation,
    Params,
    Permission,
    ProbeContext,
    ProbeError,
    Reason,
    Selector,
    Signal,
    SignalSpec,
    need,
    target_name,
)

IN_ALARM = Signal("in_alarm", "state", "1 in ALARM, 0 in OK; absent while CloudWatch has insufficient data.")
ACTIONS = Signal("actions_enabled", "state", "1 if the alarm's own actions are enabled, else 0.")
SIGNALS = (IN_ALARM, ACTIONS)

_STATES = {"OK": 0.0, "ALARM": 1.0}

#: DescribeAlarms takes at most so many names, and by default leaves composite alarms out.
_NAMES_PER_CALL = 100
_TYPES = ("MetricAlarm", "CompositeAlarm", "LogAlarm")

Alarm = Mapping[str, Any]


class Alarms(Params):
    """Which alarms."""

    alarms: Selector = Field(description="Alarms by name, ARN or glob (`jaunt-*`).")
    region: str | None = Field(None, description="Another region than the pipeline's (CloudFront, billing: us-east-1).")

    @field_validator("alarms")
    @classmethod
    def _no_tags(cls, alarms: Selector) -> Selector:
        if alarms.tags:
            raise ValueError("alarms are selected by name or glob, not by tag")
        return alarms


async def probe(params: Alarms, ctx: ProbeContext) -> Sequence[Observation]:
    """Every named alarm and every one that a glob matches."""
    seen: dict[str, list[Observation]] = {}
    names = list(dict.fromkeys(target_name(name) for name in params.alarms.explicit))
    for begin in range(0, len(names), _NAMES_PER_CALL):
        chunk = names[begin : begin + _NAMES_PER_CALL]
        found = await attempt(_described(params, ctx, AlarmNames=chunk))
        failed = found if isinstance(found, ProbeError) else None
        seen.update({name: unknown(SIGNALS, name, failed or _gone(name)) for name in chunk})
        if not isinstance(found, ProbeError):
            seen.update({alarm["AlarmName"]: _observe(alarm, ctx) for alarm in found})
    globs = [name for name in params.alarms.names if name not in params.alarms.explicit]
    for glob in globs:
        for alarm in await _described(params, ctx, **_narrowed(glob)):
            if fnmatchcase(alarm["AlarmName"], glob):
                seen[alarm["AlarmName"]] = _observe(alarm, ctx)
    return [one for observations in seen.values() for one in observations]


async def _described(params: Alarms, ctx: ProbeContext, **which: Any) -> list[Alarm]:
    alarms: list[Alarm] = []
    pages = ctx.aws.pages("cloudwatch", "DescribeAlarms", region=params.region, AlarmTypes=list(_TYPES), **which)
    async for page in pages:
        for kind in _TYPES:
            alarms += page.get(f"{kind}s", ())
    return alarms


def _narrowed(glob: str) -> dict[str, str]:
    """The literal start of a glob, which AWS can filter by."""
    prefix = glob[: min(glob.index(char) for char in "*?[" if char in glob)]
    return {"AlarmNamePrefix": prefix} if prefix else {}


def _gone(name: str) -> ProbeError:
    return ProbeError(Reason.NOT_FOUND, f"no alarm is called {name}")


def _observe(alarm: Alarm, ctx: ProbeContext) -> list[Observation]:
    name, state = alarm["AlarmName"], str(alarm.get("StateValue", ""))
    if state in _STATES:
        since = alarm.get("StateTransitionedTimestamp") or alarm.get("StateUpdatedTimestamp")
        told = f"{state} since {since:%Y-%m-%d %H:%M}Z" if since else state
        seen = observe(IN_ALARM, name, _STATES[state], ctx.now, detail=told)
    else:
        seen = absent(IN_ALARM, name, f"CloudWatch says {state or 'nothing'}", exists=True)
    return [seen, observe(ACTIONS, name, float(bool(alarm.get("ActionsEnabled", True))), ctx.now)]


def needs(params: Alarms) -> list[Permission]:
    """For IAM: what one configuration asks."""
    return [need("cloudwatch:DescribeAlarms", region=params.region)]


CHECK: Check[Alarms] = Check(
    kind="alarm",
    summary="CloudWatch alarms as levels: in ALARM or not, and whether their own actions are enabled.",
    params=Alarms,
    probe=probe,
    signals=SIGNALS,
    defaults={"in_alarm": SignalSpec(critical=Bound(above=0))},
    permissions=("cloudwatch:DescribeAlarms",),
    cost="One DescribeAlarms per 100 named alarms and per glob; free, 9 calls a second per region.",
    example="""\
queue-alarms:
  kind: alarm
  alarms: [jaunt-dlq-depth-high, "jaunt-step-functions-*"]
""",
    selectors=("alarms",),
    needs=needs,
)
