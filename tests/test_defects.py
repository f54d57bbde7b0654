"""The runbooks' own commands that can't work or do harm: each has tests for the wrong way and for the right one.

`NAME containing WORDS` means that the words stand in that test or in its parameters, so that dropping one parameter
set of a larger test is noticed here.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import botocore.session
import pytest
from proven import ROOT, read_coverage

from monitor.aws import Operations
from monitor.demo.emulator import child
from monitor.plugin import OperationUse


class Defect(NamedTuple):
    """What a runbook wrote, the tests that show it refused or harmful, the tests of what is done instead."""

    written: str
    wrong: tuple[str, ...]
    right: tuple[str, ...]


HERE = "tests/test_defects.py"
ACTIONS, AWS, CHECKS, DEMO, SCENES = "tests/actions", "tests/aws", "tests/checks", "tests/demo", "tests/scenarios"
WRITTEN = f"{SCENES}/test_scenario_opendata_defects.py"
ETL = f"{SCENES}/test_scenario_etl.py"
METRIC = f"{CHECKS}/test_metric.py"
STOP = f"{ACTIONS}/test_action_stop_executions.py"
LOADED = f"{METRIC}::test_what_can_never_work_is_refused_at_load"

#: By the rows of config/coverage.yaml that the command stands in, and a word or two.
DEFECTS: Mapping[str, Defect] = {
    "A3 reserved concurrency": Defect(
        "update-function-configuration --reserved-concurrent-executions: no such member",
        (
            f"{HERE}::test_a_wrong_call_is_refused_with_words containing ReservedConcurrentExecutions",
            f"{WRITTEN}::test_a_call_that_aws_does_not_know_is_an_error_of_the_file containing A3",
        ),
        (
            f"{HERE}::test_the_right_call_is_accepted containing DeleteFunctionConcurrency",
            f"{ACTIONS}/test_action_set_lambda_concurrency.py::test_undo_restores_the_number_or_that_there_was_none",
            f"{SCENES}/test_scenario_jaunt_connectors.py::test_a3_refused_fetches_are_throttled_and_let_back_by_rungs",
        ),
    ),
    "A5 E3 stop loop": Defect(
        "list and stop in a plain loop: unpaced, races new starts, Express can't be stopped",
        (
            f"{HERE}::test_a_stop_before_the_cut_is_an_error_of_the_file",
            f"{STOP}::test_starts_after_the_settle_time_end_it_as_source_not_cut",
            f"{STOP}::test_express_machines_are_refused_by_name_and_skipped_by_glob",
            f"{DEMO}/test_emulator_stepfunctions.py::test_express_is_refused",
        ),
        (
            f"{STOP}::test_everything_that_runs_is_stopped_with_its_cause",
            f"{ACTIONS}/test_actions_on_emulator.py::test_stopping_keeps_to_the_quota_of_a_slow_region",
            f"{ETL}::test_e3_event_loop_is_cut_before_it_is_drained_and_let_back_by_a_person",
            f"{SCENES}/test_scenario_jaunt_stop.py::"
            "test_a5_emergency_stop_cuts_the_source_then_stops_all_and_restarts_one_city",
        ),
    ),
    "B13 provisioned concurrency": Defect(
        "put-provisioned-concurrency-config --provisioned-concurrency-config ...: wrong parameter, no Qualifier",
        (
            f"{HERE}::test_a_wrong_call_is_refused_with_words containing ProvisionedConcurrencyConfig",
            f"{WRITTEN}::test_a_call_that_aws_does_not_know_is_an_error_of_the_file containing B13",
            f"{ACTIONS}/test_action_scaling.py::test_the_unpublished_version_is_refused",
        ),
        (
            f"{HERE}::test_the_right_call_is_accepted containing ProvisionedConcurrentExecutions",
            f"{ACTIONS}/test_action_scaling.py::test_warm_environments_are_taken_away_again",
            f"{SCENES}/test_scenario_opendata_release.py::test_b13_containment_reaches_live_traffic_and_is_taken_back",
        ),
    ),
    "B12 graphqlApi.status": Defect(
        "get-graphql-api --query graphqlApi.status: the API has no status, so the check is always red",
        (
            f"{HERE}::test_a_wrong_call_is_refused_with_words containing graphqlApi.status",
            f"{WRITTEN}::test_b12_an_api_has_no_status_to_ask_for",
        ),
        (
            f"{CHECKS}/test_resource_state.py::test_a_graphql_api_has_no_status_to_be_red_about",
            f"{SCENES}/test_scenario_opendata_platform.py::"
            "test_b12_health_sweep_is_green_when_all_answers_and_names_what_does_not",
        ),
    ),
    "B5 ThrottledRequests": Defect(
        "an alarm on ThrottledRequests with TableName alone: such a metric has no data",
        (
            f"{LOADED} containing ThrottledRequests",
            f"{CHECKS}/test_config_drift.py::test_alarms containing ThrottledRequests",
        ),
        (
            f"{METRIC}::test_an_operation_makes_throttled_requests_valid",
            f"{CHECKS}/test_throttles.py::test_a_table_counts_with_all_its_indexes",
            f"{SCENES}/test_scenario_opendata_table.py::test_b5_a_throttled_index_counts_as_well",
        ),
    ),
    "B10 error rate": Defect(
        "'error rate exceeds 5%' as 4XXError Sum > 5: a count, not a rate",
        (f"{SCENES}/test_scenario_opendata_release.py::test_b10_api_errors_are_judged_by_count_and_by_rate",),
        (
            f"{METRIC}::test_a_ratio_of_sums",
            f"{METRIC}::test_a_ratio_of_tiny_numbers_is_absent",
            f"{SCENES}/test_scenario_opendata_release.py::test_b10_api_errors_are_judged_by_count_and_by_rate",
        ),
    ),
    "B9 B13 environment map": Defect(
        "--environment Variables={...}: replaces the whole map",
        (f"{WRITTEN}::test_b9_b13_the_command_empties_the_map_and_does_not_reach_live",),
        (
            f"{ACTIONS}/test_action_function_settings.py::test_other_variables_survive",
            f"{SCENES}/test_scenario_opendata_release.py::test_b9_drifted_variables_are_put_back_live_and_alone",
        ),
    ),
    "B3 resolver": Defect(
        "update-resolver with caching only: the resolver loses the rest",
        (f"{DEMO}/test_emulator_appsync_stacks.py::test_update_resolver_replaces_what_it_leaves_out",),
        (
            f"{ACTIONS}/test_action_caches.py::test_a_resolver_keeps_everything_but_its_caching",
            f"{SCENES}/test_scenario_opendata_platform.py::test_b3_a_slow_api_gets_capacity_and_a_cache_and_loses_both",
        ),
    ),
    "B5 scalable target": Defect(
        "register-scalable-target alone: no policy, nothing scales",
        (f"{WRITTEN}::test_b5_a_target_without_a_policy_scales_nothing",),
        (
            f"{ACTIONS}/test_action_tables.py::test_scaling_is_target_and_policy_and_undo_leaves_what_was_there",
            f"{SCENES}/test_scenario_opendata_table.py::test_b5_autoscaling_is_target_and_policy_after_a_yes",
        ),
    ),
    "B7 Versions[-2]": Defect(
        "Versions[-2] as the version before: published is not live, one page of 50, canary weights stay",
        (f"{WRITTEN}::test_b7_the_second_newest_version_need_not_be_the_one_before",),
        (
            f"{ACTIONS}/test_action_rollback_alias.py::test_all_pages_are_read",
            f"{SCENES}/test_scenario_opendata_release.py::test_b7_a_version_that_never_served_is_passed_over",
            f"{ACTIONS}/test_action_rollback_alias.py::"
            "test_the_version_before_serves_everything_and_undo_brings_it_back",
            f"{SCENES}/test_scenario_opendata_release.py::"
            "test_b7_errors_after_a_release_point_live_back_to_what_was_live_before",
        ),
    ),
    "B12 LoadBalancer": Defect(
        "LoadBalancer=opendata-pulse-alb: the dimension is app/NAME/ID",
        (f"{LOADED} containing opendata-pulse-alb",),
        (
            f"{METRIC}::test_each_value_of_a_dimension_is_a_target",
            f"{HERE}::test_the_shipped_file_finds_the_balancer_by_its_name",
        ),
    ),
    "E1 E3 logs insights query": Defect(
        "aws logs insights query: no such operation",
        (f"{HERE}::test_a_wrong_call_is_refused_with_words containing insights query",),
        (
            f"{HERE}::test_the_right_call_is_accepted containing GetQueryResults",
            f"{CHECKS}/test_log_pattern.py::test_an_insights_query_is_polled_to_its_end",
            f"{DEMO}/test_emulator_logs.py::test_filtering_and_querying",
        ),
    ),
    "E2 function and input of an execution": Defect(
        "LAMBDA_ARN from mapRunArn, jq on the input: that is a Map Run, and the input is a text",
        (
            f"{HERE}::test_an_execution_names_no_function_and_its_input_is_a_text",
            f"{STOP}::test_what_cannot_be_rerun_is_stopped_and_named containing mapRunArn",
        ),
        (
            f"{HERE}::test_the_history_names_the_function",
            f"{CHECKS}/test_failures.py::test_the_failed_state_is_found",
            f"{CHECKS}/test_stuck_executions.py::test_the_file_and_the_function_that_hang_are_named containing mapRun",
            f"{STOP}::test_each_stopped_execution_runs_once_more_with_its_input",
            f"{ETL}::test_e2_stuck_executions_are_stopped_and_run_again_once",
        ),
    ),
    "E3 alarm without dimensions": Defect(
        "an alarm on an AWS/States metric without StateMachineArn: never fires",
        (
            f"{LOADED} containing per StateMachineArn only",
            f"{CHECKS}/test_config_drift.py::test_alarms containing per StateMachineArn only",
            f"{DEMO}/test_emulator_cloudwatch_cost.py::test_dimensions_are_exact",
        ),
        (
            f"{CHECKS}/test_throttles.py::test_a_state_machine_counts_its_throttled_events",
            f"{ETL}::test_e6_prevention_list_is_checked_and_goes_green_when_followed",
        ),
    ),
    "E4 retention": Defect(
        "put-retention-policy for all log groups of the account",
        (
            f"{ACTIONS}/test_action_scoped.py::test_every_group_is_nobodys_wish",
            f"{ACTIONS}/test_action_scoped.py::test_a_prefix_means_one_change_per_group_and_never_too_many",
        ),
        (
            f"{ACTIONS}/test_action_scoped.py::test_retention_comes_back_also_where_there_was_none",
            f"{ACTIONS}/test_actions_more_on_emulator.py::test_retention_of_groups_under_a_prefix",
            f"{ETL}::test_e4_cost_spike_is_answered_by_a_flag_and_by_approved_cuts",
        ),
    ),
    "E5 lookup-events": Defect(
        "lookup-events PutObject with a filter on errorCode: a data event, and the code stands inside the event's JSON",
        (
            f"{HERE}::test_a_wrong_call_is_refused_with_words containing Events[0].errorCode",
            f"{DEMO}/test_emulator_logs.py::test_event_history",
        ),
        (
            f"{CHECKS}/test_denied_calls.py::test_the_error_code_stands_inside_the_event",
            f"{CHECKS}/test_denied_calls.py::test_denials_in_logs_by_action_and_resource",
            f"{ETL}::test_e5_denied_call_cuts_the_source_and_one_execution_proves_the_fix",
        ),
    ),
    "C1 a function's dead letters": Defect(
        "a move task for a Lambda function's dead-letter queue: refused",
        (f"{DEMO}/test_emulator_sqs.py::test_source_must_be_a_dead_letter_queue",),
        (
            f"{ACTIONS}/test_action_redrive_queue.py::test_where_aws_refuses_it_moves_them_by_hand",
            f"{SCENES}/test_scenario_dataforge_ingest.py::test_c1_dead_letters_are_replayed_after_a_yes",
        ),
    ),
    "B3 B5 table units": Defect(
        "update-table with read and write units: fails on a table on demand",
        (
            f"{WRITTEN}::test_b5_units_for_a_table_on_demand_are_refused",
            f"{ACTIONS}/test_action_tables.py::test_an_on_demand_table_has_no_units_to_raise",
        ),
        (
            f"{ACTIONS}/test_action_tables.py::test_an_on_demand_tables_ceiling_is_set_and_removed",
            f"{SCENES}/test_scenario_opendata_table.py::test_b5_a_table_on_demand_gets_a_ceiling_not_units",
        ),
    ),
    "B9 B13 D13 E4 function behind an alias": Defect(
        "update-function-configuration on a function that is called as LIVE: live traffic never sees it",
        (
            f"{ACTIONS}/test_actions_change_and_restore.py::test_the_runbooks_own_command_reaches_nobody",
            f"{WRITTEN}::test_b9_b13_the_command_empties_the_map_and_does_not_reach_live",
        ),
        (
            f"{ACTIONS}/test_action_function_settings.py::test_callers_of_an_alias_see_it",
            f"{ACTIONS}/test_actions_change_and_restore.py::test_a_variable_reaches_live_traffic_and_goes_again",
            f"{ACTIONS}/test_actions_change_and_restore.py::test_memory_is_cut_and_restored",
            f"{SCENES}/test_scenario_opendata_release.py::test_b13_containment_reaches_live_traffic_and_is_taken_back",
        ),
    ),
    "E3 put-rule": Defect(
        "put-rule with the new pattern, then enable-rule: replaces the rule, and enables it at once",
        (f"{HERE}::test_put_rule_forgets_what_it_is_not_told_and_enables",),
        (
            f"{HERE}::test_put_rule_with_a_state_leaves_the_rule_off",
            f"{ACTIONS}/test_action_rules.py::test_a_rule_that_sees_management_events_gets_exactly_that_state_back",
            f"{CHECKS}/test_trigger_loops.py::test_a_disabled_rule_can_be_asked_about_before_it_is_enabled",
            f"{ETL}::test_e3_event_loop_is_cut_before_it_is_drained_and_let_back_by_a_person",
        ),
    ),
    "E4 intelligent tiering": Defect(
        "put-bucket-intelligent-tiering-configuration: archive tiers only, Standard objects stay Standard",
        (f"{HERE}::test_a_tiering_configuration_knows_archive_tiers_only",),
        (
            f"{ACTIONS}/test_action_scoped.py::test_our_rule_is_merged_in_and_exactly_it_goes",
            f"{ACTIONS}/test_actions_more_on_emulator.py::test_a_lifecycle_rule_comes_and_goes",
            f"{ETL}::test_e4_cost_spike_is_answered_by_a_flag_and_by_approved_cuts containing INTELLIGENT_TIERING",
        ),
    ),
    "B4 user pool client": Defect(
        "update-user-pool-client --explicit-auth-flows: resets what is left out, mixes legacy and ALLOW_ flows",
        (f"{WRITTEN}::test_b4_the_command_is_refused_and_repaired_it_resets_the_client",),
        (
            f"{WRITTEN}::test_b4_no_step_replaces_the_clients_settings",
            f"{ACTIONS}/test_action_cognito.py::test_flows_change_and_nothing_else_does",
            f"{ACTIONS}/test_action_cognito.py::test_legacy_flows_are_refused_at_load containing ADMIN_NO_SRP_AUTH",
            f"{SCENES}/test_scenario_opendata_platform.py::"
            "test_b4_sign_ins_work_again_once_the_flows_are_back_and_a_canary_has_signed_in",
        ),
    ),
    "D1 receive and send": Defect(
        "receive and send by hand: counts a receive, hides the message, sends a new one",
        (f"{HERE}::test_looking_at_a_message_counts_and_a_copy_is_another_message",),
        (
            f"{ACTIONS}/test_action_redrive_queue.py::test_aws_moves_the_messages_where_it_can",
            f"{ACTIONS}/test_action_redrive_queue.py::test_a_copy_keeps_body_attributes_group_and_trace",
            f"{ACTIONS}/test_action_sample_dlq.py::test_everything_is_visible_again_and_nothing_else_was_called",
            f"{ACTIONS}/test_action_sample_dlq.py::test_a_queue_that_passes_messages_on_is_refused",
            f"{SCENES}/test_scenario_fluxa_queue.py::"
            "test_d1_dead_letters_are_sampled_archived_if_malformed_and_go_back_at_ten_a_second",
        ),
    ),
}

#: Part of a defect that no test shows, and why.
NOT_PROVEN: Mapping[str, str] = {}

every_defect = pytest.mark.parametrize("name", DEFECTS)


def test_there_are_twenty_three_defects() -> None:
    """None is dropped silently, and each exception is about one of them and gives a reason."""
    assert len(DEFECTS) == 23
    assert set(NOT_PROVEN) <= set(DEFECTS)
    assert all(len(why.split()) >= 5 for why in NOT_PROVEN.values())


@every_defect
def test_a_defect_stands_in_rows_of_the_matrix(name: str) -> None:
    """Its key begins with them."""
    rows = re.findall(r"\b[A-E]\d+\b", name)
    assert rows
    assert set(rows) <= set(read_coverage()["rows"])


@every_defect
def test_a_defect_has_both_kinds_of_tests(name: str) -> None:
    """Each exists, holds the words it is known for, and is neither skipped nor expected to fail."""
    defect = DEFECTS[name]
    assert defect.written
    assert defect.wrong
    assert defect.right
    for named in (*defect.wrong, *defect.right):
        node, _, words = named.partition(" containing ")
        path, _, function = node.partition("::")
        assert function.startswith("test_"), named
        assert function in sources(path), f"no such test: {named}"
        source = sources(path)[function]
        assert words in source, f"{named}: not in its source"
        assert "mark.skip" not in source, named
        assert "mark.xfail" not in source, named


@functools.cache
def sources(path: str) -> dict[str, str]:
    """The text of each test function of a file with its decorators, by name."""
    text = Path(ROOT, path).read_text(encoding="utf-8")
    lines = text.splitlines()
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            found[node.name] = "\n".join(lines[first - 1 : node.end_lineno])
    return found


# --- What stands nowhere else: calls, models, three habits of AWS -----------------------------------------------------


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (
            OperationUse(
                "lambda", "update-function-configuration",
                {"FunctionName": "f", "ReservedConcurrentExecutions": 5}, mutating=True,
            ),
            "unknown parameter 'ReservedConcurrentExecutions'",
        ),
        (
            OperationUse(
                "lambda", "put-provisioned-concurrency-config",
                {"FunctionName": "f", "ProvisionedConcurrencyConfig": 50}, mutating=True,
            ),
            "did you mean 'ProvisionedConcurrentExecutions'",
        ),
        (OperationUse("appsync", "get-graphql-api", {"apiId": "a"}, False, "graphqlApi.status"), "has no 'status'"),
        (OperationUse("logs", "insights query", {}, False), "no operation 'insights query'"),
        (OperationUse("cloudtrail", "lookup-events", {}, False, "Events[0].errorCode"), "has no 'errorCode'"),
    ],
    ids=lambda value: value.operation if isinstance(value, OperationUse) else None,
)  # fmt: skip
def test_a_wrong_call_is_refused_with_words(use: OperationUse, words: str) -> None:
    """By AWS's own models, when the file is loaded."""
    assert words in "; ".join(text for _, text in Operations().problems(use))


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "mutating"),
    [
        ("lambda", "PutFunctionConcurrency", {"FunctionName": "f", "ReservedConcurrentExecutions": 5}, True),
        ("lambda", "DeleteFunctionConcurrency", {"FunctionName": "f"}, True),
        (
            "lambda", "PutProvisionedConcurrencyConfig",
            {"FunctionName": "f", "Qualifier": "LIVE", "ProvisionedConcurrentExecutions": 50}, True,
        ),
        ("logs", "StartQuery", {"logGroupName": "g", "startTime": 1, "endTime": 2, "queryString": "x"}, False),
        ("logs", "GetQueryResults", {"queryId": "q"}, False),
    ],
)  # fmt: skip
def test_the_right_call_is_accepted(service: str, operation: str, parameters: dict[str, Any], mutating: bool) -> None:
    """What is written instead passes the same models."""
    assert Operations().problems(OperationUse(service, operation, parameters, mutating)) == []


def test_a_stop_before_the_cut_is_an_error_of_the_file() -> None:
    """The corpus of broken files (each is loaded by test_config_broken) still holds that order of steps."""
    first = Path(ROOT, "tests/config/broken/step-stop-before-cut.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert "stops executions before" in first


def test_the_shipped_file_finds_the_balancer_by_its_name() -> None:
    """No id stands in the file: whatever series begin with app/NAME/ are read."""
    text = Path(ROOT, "config/pipelines/opendata-pulse.yaml").read_text(encoding="utf-8")
    assert "split_by: LoadBalancer" in text
    assert 'only: ["app/opendata-pulse-alb/*"]' in text


def test_an_execution_names_no_function_and_its_input_is_a_text() -> None:
    """mapRunArn is of a Map Run; the input has to be parsed before anything can be asked of it."""
    told = model("stepfunctions").operation_model("DescribeExecution").output_shape.members
    assert "Map Run" in told["mapRunArn"].documentation
    assert told["input"].type_name == "string"
    assert not [name for name in told if "lambda" in name.lower() or "function" in name.lower()]


def test_the_history_names_the_function() -> None:
    """`resource` of the event that scheduled it; its input is a text again, hence parsed twice."""
    told = model("stepfunctions").shape_for("LambdaFunctionScheduledEventDetails").members
    assert told["resource"].type_name == told["input"].type_name == "string"


def test_a_tiering_configuration_knows_archive_tiers_only() -> None:
    """So it can't move an object into the class; a lifecycle transition can."""
    assert set(model("s3").shape_for("IntelligentTieringAccessTier").enum) == {"ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS"}
    assert "INTELLIGENT_TIERING" in model("s3").shape_for("TransitionStorageClass").enum


def model(service: str) -> Any:
    """A service's model."""
    return botocore.session.get_session().get_service_model(service)


@pytest.fixture(scope="module")
def emulator() -> Iterator[child.Child]:
    """One process for this file."""
    with child.start() as running:
        yield running


@pytest.fixture
def client(emulator: child.Child) -> Iterator[Callable[[str], Any]]:
    """`client("sqs")`, closed at the end."""
    with ExitStack() as stack:

        def make(service: str) -> Any:
            made = botocore.session.get_session().create_client(
                service, region_name="us-east-1", endpoint_url=emulator.url,
                aws_access_key_id="tripswitch", aws_secret_access_key="demo",
            )  # fmt: skip
            stack.callback(made.close)
            return made

        yield make


FIRST, FIXED = '{"source": ["aws.s3"]}', '{"source": ["aws.s3"], "detail-type": ["Object Created"]}'


@pytest.mark.process
def test_put_rule_forgets_what_it_is_not_told_and_enables(client: Callable[[str], Any]) -> None:
    """The runbook's correction: the description is gone, and the rule is on before anybody looked at it."""
    events = client("events")
    events.put_rule(Name="loop", EventPattern=FIRST, Description="starts the machine", State="DISABLED")
    events.put_rule(Name="loop", EventPattern=FIXED)
    now = events.describe_rule(Name="loop")
    assert now["State"] == "ENABLED"
    assert "Description" not in now


@pytest.mark.process
def test_put_rule_with_a_state_leaves_the_rule_off(client: Callable[[str], Any]) -> None:
    """Read, changed, written back whole and DISABLED: only EnableRule lets events through."""
    events = client("events")
    events.put_rule(Name="kept", EventPattern=FIRST, Description="starts the machine", State="DISABLED")
    read = events.describe_rule(Name="kept")
    events.put_rule(Name="kept", EventPattern=FIXED, Description=read["Description"], State=read["State"])
    now = events.describe_rule(Name="kept")
    assert (now["State"], now["Description"], now["EventPattern"]) == ("DISABLED", "starts the machine", FIXED)


@pytest.mark.process
async def test_looking_at_a_message_counts_and_a_copy_is_another_message(
    emulator: child.Child, client: Callable[[str], Any]
) -> None:
    """Each receive raises the count and hides the message; what is sent again has a new id and begins a new life."""
    queues = client("sqs")
    dead, work = (queues.create_queue(QueueName=name)["QueueUrl"] for name in ("defect-dlq", "defect-work"))
    async with child.Side(emulator.url) as door:
        await door.post("sqs/fill", queue="defect-dlq", count=1, body="letter", age=3600)

    def receive(url: str, hidden: int) -> list[dict[str, Any]]:
        asked = {"QueueUrl": url, "VisibilityTimeout": hidden, "MessageSystemAttributeNames": ["All"]}
        found: list[dict[str, Any]] = queues.receive_message(**asked).get("Messages", [])
        return found

    receive(dead, 0)
    (again,) = receive(dead, 300)
    assert again["Attributes"]["ApproximateReceiveCount"] == "2"
    assert receive(dead, 0) == []
    queues.send_message(QueueUrl=work, MessageBody=again["Body"])
    (copy,) = receive(work, 0)
    assert copy["MessageId"] != again["MessageId"]
    younger = int(copy["Attributes"]["SentTimestamp"]) - int(again["Attributes"]["SentTimestamp"])
    assert younger >= 3_600_000  # ms: its retention starts again
