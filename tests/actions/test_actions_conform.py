"""Every shipped action keeps the contract of the plugin room."""

import pytest

from monitor.actions import ACTIONS
from monitor.plugin import Risk
from monitor.testing import assert_action_conforms

NAMES = [
    "disable_rule", "enable_rule", "cut_sources", "stop_executions", "redrive_executions",
    "restart_executions", "set_lambda_concurrency", "set_event_source",
    "redrive_queue", "sample_dlq", "quarantine_messages", "delete_messages", "purge_queue", "set_parameter",
    "put_policy", "set_auth_flows", "login_canary", "reset_password", "set_budget",
    "set_schedule", "rollback_alias", "set_environment", "set_memory", "set_provisioned_concurrency",
    "scale_event_source", "scale_table", "set_billing_mode", "autoscale_table", "backup_table", "restore_table",
    "invoke", "backfill",
    "reprocess_objects", "canary",
    "set_api_cache", "set_resolver_cache", "set_stage_cache", "stop_glue_runs", "start_glue_run", "set_glue_workers",
    "scale_kafka", "stop_deployment", "rollback_stack", "export_evidence", "set_log_retention", "tier_bucket",
    "put_object", "set_error_page", "request_quota", "create_index", "vacuum_table", "notify", "aws_call",
]  # fmt: skip


def test_the_list_names_each_action_once():
    """What is not in the list does not exist for the product."""
    assert [action.name for action in ACTIONS] == NAMES


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
async def test_an_action_conforms(action):
    """Declarations are whole, the example parses, the plan is pure and plain JSON."""
    await assert_action_conforms(action)


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
def test_what_cannot_be_undone_is_not_called_reversible(action):
    """The risk of an action without an undo is not `reversible`: a gate relies on it."""
    assert (action.undo is None) <= (action.risk is not Risk.REVERSIBLE)
