"""What the two runbooks wrote (coverage rows A3, B3 to B5, B7, B9, B12, B13): it fails, or it does harm."""

from __future__ import annotations

import json
from pathlib import Path

import botocore.session
import pytest
from botocore.exceptions import ClientError
from cutting import shipped
from opendata_world import ETL, GOOD, HERE, TABLE, pulse

from monitor.app import read_config, registry
from monitor.config import ConfigError
from monitor.demo.emulator.child import ACCOUNT

FILE = """\
pipeline: as-written
aws: {region: us-east-1}
checks: {c: {kind: queue_depth, queues: [q]}}
breakers:
  b: {trip_when: c.visible, on_trip: [{aws_call: %s}]}
"""


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "words"),
    [
        pytest.param(
            "lambda", "UpdateFunctionConfiguration", {"FunctionName": "f", "ReservedConcurrentExecutions": 5},
            "unknown parameter 'ReservedConcurrentExecutions'", id="A3",
        ),
        pytest.param(
            "lambda", "PutProvisionedConcurrencyConfig", {"FunctionName": "f", "ProvisionedConcurrencyConfig": 50},
            "Qualifier is missing", id="B13",
        ),
    ],
)  # fmt: skip
def test_a_call_that_aws_does_not_know_is_an_error_of_the_file(tmp_path, service, operation, parameters, words):
    """Found when the file is loaded, not in the incident."""
    call = {"service": service, "operation": operation, "parameters": parameters}
    path = Path(tmp_path, "written.yaml")
    path.write_text(FILE % json.dumps(call), encoding="utf-8")
    with pytest.raises(ConfigError, match=words):
        read_config([path], {}, registry())


def test_b12_an_api_has_no_status_to_ask_for():
    """So the runbook's check is always red; resource_state takes an answer for what it is."""
    shape = botocore.session.get_session().get_service_model("appsync").shape_for("GraphqlApi")
    assert "status" not in shape.members


def test_b4_no_step_replaces_the_clients_settings():
    """UpdateUserPoolClient resets what is left out: neither file calls it as it is (`set_auth_flows` reads first)."""
    for name in ("opendata-pulse", "jaunt-data-scout"):
        whole = shipped(name, {"ACCOUNT_ID": ACCOUNT}).pipelines[0]
        calls = {str(step.params.get("operation")) for one in whole.breakers.values() for step in one.on_trip}
        assert "UpdateUserPoolClient" not in calls


async def test_b4_the_command_is_refused_and_repaired_it_resets_the_client(stage):
    """Legacy and ALLOW_ flows together are refused; without the legacy one, all other settings are gone."""
    scene = await stage("opendata-pulse", checks=["upstream"], **HERE)
    pools = await scene.aws("cognito-idp")
    pool = (await pools.create_user_pool(PoolName="pulse"))["UserPool"]["Id"]
    made = await pools.create_user_pool_client(
        UserPoolId=pool, ClientName="web", CallbackURLs=["https://pulse.example"]
    )
    which = {"UserPoolId": pool, "ClientId": made["UserPoolClient"]["ClientId"]}
    flows = ["ADMIN_NO_SRP_AUTH", "ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
    with pytest.raises(ClientError, match="InvalidParameter"):
        await pools.update_user_pool_client(**which, ExplicitAuthFlows=flows)
    await pools.update_user_pool_client(**which, ExplicitAuthFlows=flows[1:])
    assert "CallbackURLs" not in (await pools.describe_user_pool_client(**which))["UserPoolClient"]


async def test_b9_b13_the_command_empties_the_map_and_does_not_reach_live(stage):
    """`--environment Variables={CIRCUIT_BREAKER=true}`: all other variables are gone, and LIVE never hears of it."""
    scene = await stage("opendata-pulse", checks=["upstream"], **HERE)
    world, functions = await pulse(scene), await scene.aws("lambda")
    await world.function(ETL, alias="LIVE")
    await functions.update_function_configuration(
        FunctionName=ETL, Environment={"Variables": {"CIRCUIT_BREAKER": "true"}}
    )
    latest = await functions.get_function_configuration(FunctionName=ETL)
    assert latest["Environment"]["Variables"] == {"CIRCUIT_BREAKER": "true"}
    assert (await world.live(ETL))["variables"] == GOOD


async def test_b5_units_for_a_table_on_demand_are_refused(stage):
    """`update-table --provisioned-throughput` on such a table changes nothing."""
    scene = await stage("opendata-pulse", checks=["upstream"], **HERE)
    world, tables = await pulse(scene), await scene.aws("dynamodb")
    await world.table(on_demand=True)
    with pytest.raises(ClientError, match="ValidationException"):
        await tables.update_table(
            TableName=TABLE, ProvisionedThroughput={"ReadCapacityUnits": 200, "WriteCapacityUnits": 100}
        )


async def test_b5_a_target_without_a_policy_scales_nothing(stage):
    """`register-scalable-target` alone leaves no policy behind it."""
    scene = await stage("opendata-pulse", checks=["upstream"], **HERE)
    await (await pulse(scene)).table()
    scaling = await scene.aws("application-autoscaling")
    await scaling.register_scalable_target(
        ServiceNamespace="dynamodb", ResourceId=f"table/{TABLE}", MinCapacity=5, MaxCapacity=1000,
        ScalableDimension="dynamodb:table:ReadCapacityUnits",
    )  # fmt: skip
    told = await scaling.describe_scaling_policies(ServiceNamespace="dynamodb")
    assert told["ScalingPolicies"] == []


async def test_b7_the_second_newest_version_need_not_be_the_one_before(stage):
    """Published but never live, or not yet: `Versions[-2]` is what was published last but one, whatever LIVE had."""
    scene = await stage("opendata-pulse", checks=["upstream"], **HERE)
    world, functions = await pulse(scene), await scene.aws("lambda")
    await world.function(ETL, alias="LIVE")
    broken = await world.release(ETL, LOG_LEVEL="DEBUG")
    await functions.update_function_configuration(FunctionName=ETL, Description="next")
    await functions.publish_version(FunctionName=ETL)
    told = await functions.list_versions_by_function(FunctionName=ETL)
    assert told["Versions"][-2]["Version"] == broken == (await world.live(ETL))["FunctionVersion"]
