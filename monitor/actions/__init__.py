"""What tripswitch can do to AWS: one module per action, each with an `ACTION`; this list is all the product knows.

Beside them stand what several share (`readback`, `crew`, `rule_state`) or what an action is made of (`drain`,
`executions`, `reruns`; `move_task`, `hand_redrive`; `call_params`). Gates, claims, journal and retries are the
engine's: nothing here asks whether it may run.
"""

from typing import Any

from monitor.actions import (
    aws_call,
    disable_rule,
    enable_rule,
    notify,
    redrive_queue,
    sample_dlq,
    set_event_source,
    set_lambda_concurrency,
    set_parameter,
    stop_executions,
)
from monitor.plugin import Action

__all__ = ["ACTIONS"]

ACTIONS: tuple[Action[Any], ...] = (
    disable_rule.ACTION,
    enable_rule.ACTION,
    stop_executions.ACTION,
    set_lambda_concurrency.ACTION,
    set_event_source.ACTION,
    redrive_queue.ACTION,
    sample_dlq.ACTION,
    set_parameter.ACTION,
    notify.ACTION,
    aws_call.ACTION,
)
