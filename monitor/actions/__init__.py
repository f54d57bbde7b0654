"""What tripswitch can do to AWS: one module per action, each with an `ACTION`; this list is all the product knows.

Beside them stand what several share (`readback`, `crew`, `rule_state`) or what an action is made of (`drain`,
`executions`, `reruns`; `move_task`, `hand_redrive`; `call_params`; `alias`, `function_settings`, `transition`; `table`;
`once`, `windows`; `sift`, `resend`). Gates, claims, journal and retries are the engine's: nothing here asks whether it
may run.
"""

from typing import Any

from monitor.actions import (
    autoscale_table,
    aws_call,
    backfill,
    backup_table,
    canary,
    cut_sources,
    delete_messages,
    disable_rule,
    enable_rule,
    invoke,
    notify,
    purge_queue,
    quarantine_messages,
    redrive_queue,
    reprocess_objects,
    rollback_alias,
    sample_dlq,
    scale_event_source,
    scale_table,
    set_billing_mode,
    set_environment,
    set_event_source,
    set_lambda_concurrency,
    set_log_retention,
    set_memory,
    set_parameter,
    set_provisioned_concurrency,
    set_schedule,
    stop_executions,
    tier_bucket,
)
from monitor.plugin import Action

__all__ = ["ACTIONS"]

ACTIONS: tuple[Action[Any], ...] = (
    disable_rule.ACTION,
    enable_rule.ACTION,
    cut_sources.ACTION,
    stop_executions.ACTION,
    set_lambda_concurrency.ACTION,
    set_event_source.ACTION,
    redrive_queue.ACTION,
    sample_dlq.ACTION,
    quarantine_messages.ACTION,
    delete_messages.ACTION,
    purge_queue.ACTION,
    set_parameter.ACTION,
    set_schedule.ACTION,
    rollback_alias.ACTION,
    set_environment.ACTION,
    set_memory.ACTION,
    set_provisioned_concurrency.ACTION,
    scale_event_source.ACTION,
    scale_table.ACTION,
    set_billing_mode.ACTION,
    autoscale_table.ACTION,
    backup_table.ACTION,
    invoke.ACTION,
    backfill.ACTION,
    reprocess_objects.ACTION,
    canary.ACTION,
    set_log_retention.ACTION,
    tier_bucket.ACTION,
    notify.ACTION,
    aws_call.ACTION,
)
