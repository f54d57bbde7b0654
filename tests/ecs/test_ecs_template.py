"""The CloudFormation template: valid, least privilege, one task at a time, and every parameter explained."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator
from cfn import TEMPLATE, Stack, load

LEAST = {
    "Image": "registry.example.com/tripswitch@sha256:0",
    "Cluster": "ops",
    "VpcId": "vpc-1",
    "SubnetIds": ["subnet-1", "subnet-2"],
    "TaskPolicyArns": ["arn:aws:iam::123456789012:policy/tripswitch"],
}
TOKEN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:token"
SLACK = "arn:aws:ssm:us-east-1:123456789012:parameter/slack"
KEY = "arn:aws:kms:us-east-1:123456789012:key/k"
ALL = {"TokenSecretArn": TOKEN, "SlackUrlParameterArn": SLACK, "SecretsKeyArn": KEY, "ClientSecurityGroupId": "sg-1"}
VARIANTS: dict[str, dict[str, Any]] = {
    "least": {},
    "all": {**ALL, "PermissionsBoundaryArn": "arn:aws:iam::123456789012:policy/b", "AccountId": "210987654321"},
    "no state": {"State": "task"},
    "a token alone": {"TokenSecretArn": TOKEN, "State": "task"},
    "a webhook alone": {"SlackUrlParameterArn": SLACK},
}


#: Names that the API writes otherwise than with a small first letter.
NAMES = {"EFSVolumeConfiguration": "efsVolumeConfiguration", "FilesystemId": "fileSystemId", "IAM": "iam"}


def stack(**parameters: Any) -> Stack:
    """The stack with the least parameters and these."""
    return Stack(**{**LEAST, **parameters})


def container(made: Stack) -> dict[str, Any]:
    """The only container."""
    (one,) = made.resources["TaskDefinition"]["ContainerDefinitions"]
    return dict(one)


def lowered(node: Any) -> Any:
    """CloudFormation's names as the API has them: ContainerDefinitions is containerDefinitions."""
    if isinstance(node, list):
        return [lowered(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {NAMES.get(name) or name[0].lower() + name[1:]: lowered(one) for name, one in node.items()}


@pytest.mark.process
def test_cfn_lint_finds_nothing() -> None:
    """Every property of every resource, under every combination of conditions."""
    lint = Path(sys.executable).parent / "cfn-lint"
    told = subprocess.run([lint, "--regions", "us-east-1", "--", TEMPLATE], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_api_would_take_task_and_service(variant: str) -> None:
    """Against botocore's model of ECS, with nothing that refers to what is not made."""
    model = ServiceModel(Loader().load_service_model("ecs", "service-2"), "ecs")
    made = stack(**VARIANTS[variant])
    service = {
        key: one for key, one in made.resources["Service"].items() if key not in ("Tags", "EnableECSManagedTags")
    }
    for operation, asked in (
        ("RegisterTaskDefinition", lowered(made.resources["TaskDefinition"])),
        ("CreateService", {"serviceName": "s", **lowered(service)}),
    ):
        shape = model.operation_model(operation).input_shape
        unknown = asked.keys() - shape.members.keys()
        assert (ParamValidator().validate(asked, shape).generate_report(), unknown) == ("", set())


def test_there_is_never_more_than_one_task() -> None:
    """One process owns the state: an update stops the old task first."""
    service = stack().resources["Service"]
    deployment = service["DeploymentConfiguration"]
    assert (service["DesiredCount"], deployment["MinimumHealthyPercent"], deployment["MaximumPercent"]) == (1, 0, 100)
    assert service["AvailabilityZoneRebalancing"] == "DISABLED"  # it would start the new task before it stops the old


def test_the_state_outlives_task_and_stack() -> None:
    """On an encrypted file system that stays, through an access point of the image's user."""
    made = stack()
    (mounted, _) = made.resources["TaskDefinition"]["Volumes"]
    efs = mounted["EFSVolumeConfiguration"]
    assert efs["TransitEncryption"] == "ENABLED"
    assert efs["AuthorizationConfig"] == {"AccessPointId": "ref:StateAccessPoint", "IAM": "ENABLED"}
    user = made.resources["StateAccessPoint"]["PosixUser"]
    assert f"{user['Uid']}:{user['Gid']}" == container(made)["User"]
    kept = load()["Resources"]["StateFileSystem"]
    assert (kept["DeletionPolicy"], kept["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert made.resources["StateFileSystem"]["Encrypted"] is True


def test_without_a_file_system_nothing_of_it_is_made() -> None:
    """Its description says what that means: observe only."""
    made = stack(State="task")
    assert [name for name in made.resources if name.startswith("State") or name == "TaskToState"] == []
    assert made.resources["TaskDefinition"]["Volumes"] == [{"Name": "state"}, {"Name": "tmp"}]
    assert "Policies" not in made.resources["TaskRole"]
    assert "observe" in load()["Parameters"]["State"]["Description"]


def test_the_service_waits_for_the_mounts() -> None:
    """A reference makes it wait; DependsOn can't name what may not be made."""
    assert stack().resources["Service"]["Tags"] == [{"Key": "state", "Value": "ref:StateTargetA ref:StateTargetB"}]


def test_the_task_role_has_the_printed_policy_and_the_mount_and_no_more() -> None:
    """What `tripswitch iam-policy` prints is all that the daemon may ask of AWS."""
    role = stack(**ALL).resources["TaskRole"]
    assert role["ManagedPolicyArns"] == LEAST["TaskPolicyArns"]
    (policy,) = role["Policies"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert all(action.startswith("elasticfilesystem:Client") for action in statement["Action"])
    assert statement["Condition"]["StringEquals"] == {"elasticfilesystem:AccessPointArn": "ref:StateAccessPoint.Arn"}


def test_the_execution_role_reads_the_named_secrets_only() -> None:
    """And nothing without secrets."""
    statements = stack(**ALL).resources["ExecutionRole"]["Policies"][0]["PolicyDocument"]["Statement"]
    assert [(one["Action"], one["Resource"]) for one in statements] == [
        ("secretsmanager:GetSecretValue", TOKEN),
        ("ssm:GetParameters", SLACK),
        ("kms:Decrypt", KEY),
    ]
    assert "Policies" not in stack().resources["ExecutionRole"]


@pytest.mark.parametrize("role", ["TaskRole", "ExecutionRole"])
def test_only_tasks_of_this_account_become_a_role(role: str) -> None:
    """No confused deputy."""
    (statement,) = stack().resources[role]["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}


def test_secrets_are_references_and_never_values() -> None:
    """They come as variables of the container, and as no parameter."""
    told = container(stack(**ALL))["Secrets"]
    assert told == [{"Name": "TRIPSWITCH_TOKEN", "ValueFrom": TOKEN}, {"Name": "SLACK_URL", "ValueFrom": SLACK}]
    assert container(stack())["Secrets"] == []
    assert {"TRIPSWITCH_TOKEN", "SLACK_URL"}.isdisjoint(one["Name"] for one in container(stack(**ALL))["Environment"])


def test_nobody_reaches_the_port_unless_named() -> None:
    """Outwards: HTTPS, and NFS to its own state."""
    assert "TaskIngress" not in stack().resources
    ingress = stack(**ALL).resources["TaskIngress"]
    assert (ingress["FromPort"], ingress["ToPort"], ingress["SourceSecurityGroupId"]) == (9108, 9108, "sg-1")
    outwards = stack().resources["TaskSecurityGroup"]["SecurityGroupEgress"]
    assert {(one["FromPort"], one["ToPort"]) for one in outwards} == {(443, 443)}
    assert "SecurityGroupIngress" not in stack().resources["TaskSecurityGroup"]


def test_every_parameter_is_described_grouped_and_used() -> None:
    """What the console shows, in an order a person can follow."""
    template = load()
    names = list(template["Parameters"])
    assert [name for name in names if not template["Parameters"][name].get("Description", "").endswith(".")] == []
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert sorted(name for group in groups for name in group["Parameters"]) == sorted(names)
    text = str({key: template[key] for key in ("Conditions", "Resources")})
    assert [name for name in names if f"'{name}'" not in text] == []


def test_the_log_is_kept_and_never_stops_the_daemon() -> None:
    """A log that can't be sent is dropped rather than waited for."""
    options = container(stack())["LogConfiguration"]["Options"]
    assert options["mode"] == "non-blocking"
    assert options["awslogs-group"] == "ref:LogGroup"
    assert load()["Resources"]["LogGroup"]["DeletionPolicy"] == "Retain"
