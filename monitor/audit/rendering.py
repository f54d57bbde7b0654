"""Policies as IAM, CloudFormation and Terraform take them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from monitor.audit.policy import Policy


def as_json(policies: Sequence[Policy]) -> Any:
    """One policy: its document, as IAM takes it. Several: a list of {PolicyName, Principal, PolicyDocument}."""
    if len(policies) == 1:
        return policies[0].document
    return [
        {"PolicyName": one.name, "Principal": one.principal or "the daemon", "PolicyDocument": one.document}
        for one in policies
    ]


def as_cloudformation(policies: Sequence[Policy]) -> Any:
    """A template of managed policies, with their ARNs as outputs; attach them to the task's or pod's role."""
    resources, outputs = {}, {}
    for one in policies:
        name = _logical(one.name)
        whom = one.principal or "the role that tripswitch runs as"
        properties = {"Description": f"tripswitch: for {whom}", "PolicyDocument": one.document}
        resources[name] = {"Type": "AWS::IAM::ManagedPolicy", "Properties": properties}
        outputs[f"{name}Arn"] = {"Description": f"Attach it to {whom}.", "Value": {"Ref": name}}
    return {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources, "Outputs": outputs}


def as_terraform(policies: Sequence[Policy]) -> Any:
    """Terraform's JSON syntax: write it to a file that ends in .tf.json."""
    made = {
        one.name.replace("-", "_"): {"name": one.name, "policy": json.dumps(one.document, indent=2)} for one in policies
    }
    return {"resource": {"aws_iam_policy": made}}


def _logical(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", name)) + "Policy"
