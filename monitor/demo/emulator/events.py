"""EventBridge: a disabled rule delivers nothing, and rules can start state machines.

Sources: API_DisableRule ("a disabled rule won't match any events"), eb-rules and eb-targets (User Guide): a rule with
a schedule only matches no event; a Step Functions target gets the event as its input. Lambda targets count as
delivered, but no function runs here. TestEventPattern answers from the same matcher. A bucket's switch for these
events (API_GetBucketNotificationConfiguration) can be read back.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Mapping
from typing import Any

from moto.events.models import EventPattern, Rule
from moto.s3.models import s3_backends
from moto.stepfunctions.models import stepfunctions_backends

from monitor.demo.emulator.calls import Call, Reply, answer, refuse
from monitor.demo.emulator.state import Answerer, Emulator, patch

_ON = ("ENABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS")
_log = logging.getLogger(__name__)


def install(emulator: Emulator) -> Mapping[str, Answerer]:
    """Mend delivery; the operations answered here."""

    patch(Rule, "send_to_targets", lambda original: _delivery(original, emulator))
    return {
        "events:TestEventPattern": check_pattern,
        "s3:GetBucketNotificationConfiguration": notification_of,
    }


def _delivery(original: Any, emulator: Emulator) -> Any:
    def send(rule: Any, event: dict[str, Any], transform_input: bool = True) -> None:
        if rule.state not in _ON or not rule.event_pattern.get_pattern():
            return
        if not rule.event_pattern.matches_event(event):
            return
        emulator.deliveries[rule.arn] += 1
        for target in list(rule.targets):
            service = target["Arn"].split(":")[2]
            emulator.deliveries[target["Arn"]] += 1
            if service == "states":
                _start(target["Arn"], event)
            elif service != "lambda":
                _as_moto(original, rule, target, event, transform_input)

    return send


def _as_moto(original: Any, rule: Any, target: Mapping[str, Any], event: dict[str, Any], transform: bool) -> None:
    """moto's own delivery for one target; it knows only lists of them."""
    targets, rule.targets = rule.targets, [target]
    try:
        original(rule, event, transform_input=transform)
    except NotImplementedError:
        _log.warning("no delivery to %s here", target["Arn"])
    finally:
        rule.targets = targets


def _start(arn: str, event: Mapping[str, Any]) -> None:
    """A lost start is EventBridge's failed invocation: the putter of the event never hears of it."""
    _, _, _, region, account, _ = arn.split(":", 5)
    backend = stepfunctions_backends[account][region]
    if any(machine.arn == arn for machine in backend.state_machines):
        name = f"{event.get('id', uuid.uuid4())}_{uuid.uuid4().hex[:12]}"[:80]
        backend.start_execution(arn, name, json.dumps(event, default=str))


def check_pattern(call: Call) -> Reply | None:
    """TestEventPattern."""
    asked = call.json()
    try:
        pattern, event = EventPattern.load(asked["EventPattern"]), json.loads(asked["Event"])
    except (ValueError, KeyError) as error:
        return refuse(call, "InvalidEventPatternException", f"Event pattern is not valid. Reason: {error}")
    missing = [
        key for key in ("id", "detail-type", "source", "account", "time", "region", "resources") if key not in event
    ]
    if missing:
        return refuse(
            call, "ValidationException", f"Parameter Event is not valid. Reason: missing {', '.join(missing)}"
        )
    return answer(call, {"Result": bool(pattern.matches_event(event))})


def notification_of(call: Call) -> Reply | None:
    """GetBucketNotificationConfiguration where only EventBridge is on; moto answers every other case."""
    bucket = s3_backends[call.account]["aws"].buckets.get(call.path.strip("/").split("/")[0])
    setting = bucket.notification_configuration if bucket is not None else None
    if setting is None or setting.event_bridge is None or setting.queue or setting.topic or setting.cloud_function:
        return None
    space = "http://s3.amazonaws.com/doc/2006-03-01/"
    xml = f'<NotificationConfiguration xmlns="{space}"><EventBridgeConfiguration/></NotificationConfiguration>'
    return Reply(200, (("Content-Type", "application/xml"),), xml.encode())
