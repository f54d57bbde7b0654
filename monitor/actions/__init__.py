"""What tripswitch can do to AWS: one module per action, each with an `ACTION`; this list is all the product knows.

Beside them stand what several share (`readback`, `rule_state`). Gates, claims, journal and retries are the
engine's: nothing here asks whether it may run.
"""

from typing import Any

from monitor.actions import (
    disable_rule,
    enable_rule,
    notify,
    set_event_source,
    set_lambda_concurrency,
    set_parameter,
)
from monitor.plugin import Action

__all__ = ["ACTIONS"]

ACTIONS: tuple[Action[Any], ...] = (
    disable_rule.ACTION,
    enable_rule.ACTION,
    set_lambda_concurrency.ACTION,
    set_event_source.ACTION,
    set_parameter.ACTION,
    notify.ACTION,
)
