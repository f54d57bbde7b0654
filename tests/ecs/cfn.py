"""A CloudFormation template as it stands with some parameters: conditions decided, references in place."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).resolve().parents[2] / "config" / "ecs" / "tripswitch.yaml"
NOTHING = object()


class _Loader(yaml.SafeLoader):
    """YAML with the short forms of intrinsic functions."""


def _short(loader: yaml.SafeLoader, name: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if name == "GetAtt":
        value = value.split(".", 1)
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


_Loader.add_multi_constructor("!", _short)


def load() -> dict[str, Any]:
    """The template as it is written."""
    loaded: dict[str, Any] = yaml.load(TEMPLATE.read_text("utf-8"), Loader=_Loader)
    return loaded


class Stack:
    """The template's resources with these parameters."""

    def __init__(self, **parameters: Any) -> None:
        self.template = load()
        defaults = {name: one.get("Default") for name, one in self.template["Parameters"].items()}
        assert parameters.keys() <= defaults.keys()
        self.values: dict[str, Any] = {
            **defaults, **parameters, "AWS::NoValue": NOTHING, "AWS::StackName": "tripswitch",
            "AWS::Region": "us-east-1", "AWS::AccountId": "123456789012", "AWS::Partition": "aws",
        }  # fmt: skip
        self.resources = {
            name: self.resolve(one["Properties"])
            for name, one in self.template["Resources"].items()
            if self.holds(one.get("Condition"))
        }

    def holds(self, condition: str | None) -> bool:
        """Whether a named condition is true; no condition always is."""
        return condition is None or bool(self.resolve(self.template["Conditions"][condition]))

    def resolve(self, node: Any) -> Any:
        """The node with every function answered; what has no value is left out."""
        if isinstance(node, list):
            return [one for one in map(self.resolve, node) if one is not NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((name, argument),) = node.items()
            if name in ("Ref", "Condition") or name.startswith("Fn::"):
                return self.call(name, argument)
        found = {name: self.resolve(one) for name, one in node.items()}
        return {name: one for name, one in found.items() if one is not NOTHING}

    def call(self, name: str, argument: Any) -> Any:
        """One intrinsic function."""
        if name == "Ref":
            return self.values.get(argument, f"ref:{argument}") if argument in self.values else self.reference(argument)
        if name == "Condition":
            return self.holds(argument)
        if name == "Fn::If":
            return self.resolve(argument[1] if self.holds(argument[0]) else argument[2])
        if name == "Fn::Equals":
            return self.resolve(argument[0]) == self.resolve(argument[1])
        if name in ("Fn::Not", "Fn::And", "Fn::Or"):
            told = [self.resolve(one) for one in argument]
            return {"Fn::Not": not told[0], "Fn::And": all(told), "Fn::Or": any(told)}[name]
        if name == "Fn::GetAtt":
            return f"{self.reference(argument[0])}.{argument[1]}"
        if name == "Fn::Sub":
            return re.sub(r"\$\{([\w:]+)\}", lambda found: str(self.call("Ref", found[1])), argument)
        if name == "Fn::Select":
            return self.resolve(argument[1])[argument[0]]
        raise AssertionError(f"{name} is not understood here")

    def reference(self, resource: str) -> str:
        """A name for a resource, which must be there under these conditions."""
        assert self.holds(self.template["Resources"][resource].get("Condition")), f"{resource} is not made"
        return f"ref:{resource}"
