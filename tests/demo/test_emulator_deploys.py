"""What can be stopped and taken back behind an API: CodeDeploy deployments, settings of a stage."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.process


async def test_a_deployment_can_be_stopped_once(aws):
    """Stopped at once; a second stop and an unknown one are refused by name."""
    deploy = await aws("codedeploy")
    await deploy.create_application(applicationName="api", computePlatform="Lambda")
    role = "arn:aws:iam::123456789012:role/deploy"
    await deploy.create_deployment_group(applicationName="api", deploymentGroupName="prod", serviceRoleArn=role)
    revision = {"revisionType": "String", "string": {"content": "{}", "sha256": "0"}}
    made = await deploy.create_deployment(applicationName="api", deploymentGroupName="prod", revision=revision)
    one = made["deploymentId"]
    assert (await deploy.stop_deployment(deploymentId=one, autoRollbackEnabled=True))["status"] == "Succeeded"
    assert (await deploy.get_deployment(deploymentId=one))["deploymentInfo"]["status"] == "Stopped"
    with pytest.raises(ClientError, match="DeploymentAlreadyCompleted"):
        await deploy.stop_deployment(deploymentId=one)
    with pytest.raises(ClientError, match="DeploymentDoesNotExist"):
        await deploy.stop_deployment(deploymentId="d-none")


async def test_removed_method_settings_are_gone(aws):
    """Set for all methods by a patch, removed by a patch."""
    apis = await aws("apigateway")
    api = (await apis.create_rest_api(name="api"))["id"]
    root = (await apis.get_resources(restApiId=api))["items"][0]["id"]
    await apis.put_method(restApiId=api, resourceId=root, httpMethod="GET", authorizationType="NONE")
    await apis.put_integration(restApiId=api, resourceId=root, httpMethod="GET", type="MOCK")
    await apis.create_deployment(restApiId=api, stageName="prod")
    on = [{"op": "replace", "path": "/*/*/caching/enabled", "value": "true"}]
    stage = await apis.update_stage(restApiId=api, stageName="prod", patchOperations=on)
    assert "*/*" in stage["methodSettings"]
    off = [{"op": "remove", "path": "/*/*"}]
    stage = await apis.update_stage(restApiId=api, stageName="prod", patchOperations=off)
    assert "*/*" not in stage.get("methodSettings", {})
