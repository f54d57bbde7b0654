"""alarm: states as levels, whatever sort of alarm it is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from checks.alarm import CHECK, Alarms
from monitor.plugin import ProbeError, Reason
from monitor.testing import EPOCH, FakeAws, assert_check_conforms, observed, run_probe


def alarm(name: str, state: str, *, enabled: bool = True) -> dict[str, Any]:
    """As DescribeAlarms shows it."""
    changed = EPOCH - timedelta(hours=2)
    return {"AlarmName": name, "StateValue": state, "ActionsEnabled": enabled, "StateTransitionedTimestamp": changed}


def described(metric: list[Any], composite: list[Any]) -> Any:
    """DescribeAlarms that filters by names and prefix, and shows the types that were asked for."""

    def answer(**asked: Any) -> dict[str, Any]:
        def fits(one: Any) -> bool:
            name = one["AlarmName"]
            return name in asked.get("AlarmNames", [name]) and name.startswith(asked.get("AlarmNamePrefix", ""))

        types = asked.get("AlarmTypes", ["MetricAlarm"])
        return {
            "MetricAlarms": [one for one in metric if fits(one) and "MetricAlarm" in types],
            "CompositeAlarms": [one for one in composite if fits(one) and "CompositeAlarm" in types],
        }

    return answer


async def run(aws: FakeAws, *names: str) -> Any:
    """What was observed."""
    return observed(await run_probe(CHECK, {"alarms": list(names)}, aws))


async def test_it_conforms() -> None:
    """The contract of a kind."""
    await assert_check_conforms(CHECK)


@pytest.mark.parametrize(("state", "value"), [("OK", 0.0), ("ALARM", 1.0), ("INSUFFICIENT_DATA", None)])
async def test_states(state: str, value: float | None) -> None:
    """Insufficient data is neither good nor bad."""
    aws = FakeAws({"cloudwatch.DescribeAlarms": described([alarm("a", state)], [])})
    assert await run(aws, "a") == {("a", "in_alarm"): value, ("a", "actions_enabled"): 1.0}


async def test_composite_alarms_and_globs() -> None:
    """AWS shows composite alarms only to who asks for them; a glob narrows by its literal start."""
    composite = [alarm("jaunt-all", "ALARM", enabled=False), alarm("jaunt-other", "OK")]
    aws = FakeAws({"cloudwatch.DescribeAlarms": described([alarm("jaunt-dlq", "OK")], composite)})
    seen = await run(aws, "jaunt-*l*")
    assert seen == {
        ("jaunt-dlq", "in_alarm"): 0.0,
        ("jaunt-dlq", "actions_enabled"): 1.0,
        ("jaunt-all", "in_alarm"): 1.0,
        ("jaunt-all", "actions_enabled"): 0.0,
    }
    assert aws.calls[0].params["AlarmNamePrefix"] == "jaunt-"


async def test_a_name_that_is_no_alarm_is_not_found() -> None:
    """CloudWatch leaves it out silently; it is not healthy for that."""
    aws = FakeAws({"cloudwatch.DescribeAlarms": described([alarm("a", "OK")], [])})
    seen = await run(aws, "a", "misspelt")
    assert seen["a", "in_alarm"] == 0.0
    assert seen["misspelt", "in_alarm"] is Reason.NOT_FOUND


async def test_more_names_than_one_call_takes() -> None:
    """A hundred per call; what fails is unknown, the rest is not."""
    calls = 0

    def answer(**asked: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            return ProbeError(Reason.THROTTLED, "rate exceeded")
        return {"MetricAlarms": [alarm(name, "OK") for name in asked["AlarmNames"]]}

    names = [f"a{number:03}" for number in range(150)]
    seen = await run(FakeAws({"cloudwatch.DescribeAlarms": answer}), *names)
    assert (seen["a000", "in_alarm"], seen["a149", "in_alarm"], calls) == (0.0, Reason.THROTTLED, 2)


def test_tags_do_not_select_alarms() -> None:
    """Said at load."""
    with pytest.raises(ValidationError, match="not by tag"):
        Alarms.model_validate({"alarms": {"tags": {"a": "b"}}})
