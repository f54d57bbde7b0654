"""What a kind or an action needs of IAM, for one set of parameters: the hook behind `tripswitch iam-policy`.

needs=lambda p: [need("sqs:GetQueueAttributes", queue=p.queues), *discovery(ResourceKind.QUEUE, p.queues)]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from monitor.plugin.params import ResourceKind, Selector, is_glob


@dataclass(frozen=True, slots=True)
class Permission:
    """IAM actions, and the resources they are needed on.

    `kind` is a key of `monitor.core.iam.ARNS`, empty for an action on the account as a whole; `names` are names, ARNs,
    queue URLs or globs; with `tags` the resources are those that carry them all (an empty value: any). `of_function`
    narrows event source mappings to those of these functions. `regions` are those asked besides the pipeline's own.
    """

    actions: tuple[str, ...]
    kind: str = ""
    names: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    of_function: tuple[str, ...] = ()
    region: str | None = None


Names = Selector | str | Iterable[str] | None


def need(*actions: str, region: str | None = None, **on: Names) -> Permission:
    """`need("lambda:GetAlias", function="ingest")`; without a resource: on the account as a whole.

    The one keyword is the kind of resource. None means every resource of the kind: what is meant is known only later.
    """
    if not on:
        return Permission(actions, region=region)
    ((kind, value),) = on.items()
    if isinstance(value, Selector):
        names = value.names if value.names or not value.tags else ("*",)
        return Permission(actions, kind, names, dict(value.tags) if not value.names else {}, region=region)
    if value is None:
        return Permission(actions, kind, ("*",), region=region)
    return Permission(actions, kind, (value,) if isinstance(value, str) else tuple(value), region=region)


def qualified(names: Names, qualifier: str | None = None) -> Names:
    """Functions and also their versions and aliases (or the one that is named)."""
    if names is None or (isinstance(names, Selector) and names.tags and not names.names):
        return names
    given = names.names if isinstance(names, Selector) else (names,) if isinstance(names, str) else tuple(names)
    return tuple(dict.fromkeys(one for name in given for one in (name, f"{name}:{qualifier or '*'}")))


_LISTED = {
    ResourceKind.QUEUE: "sqs:ListQueues",
    ResourceKind.STATE_MACHINE: "states:ListStateMachines",
    ResourceKind.FUNCTION: "lambda:ListFunctions",
    ResourceKind.TABLE: "dynamodb:ListTables",
}


def discovery(kind: ResourceKind, selector: Selector | None) -> list[Permission]:
    """What `aws.find(kind, selector)` asks for: nothing for explicit names (but of REST APIs, which go by id)."""
    if selector is None:
        return []
    if kind is ResourceKind.REST_API:
        return [need("apigateway:GET", rest_api="")]
    globs = [name for name in selector.names if is_glob(name)]
    if kind is ResourceKind.RULE:
        if not globs and not selector.tags:
            return []
        buses = [glob.rpartition("/")[0] for glob in globs]
        wide = "*" in globs or not globs or any(is_glob(bus) for bus in buses)
        found = [need("events:ListRules", *(["events:ListEventBuses"] if wide else []))]
        return [*found, need("events:ListTagsForResource", rule=None)] if selector.tags else found
    found = [need(_LISTED[kind])] if globs else []
    return [*found, need("tag:GetResources")] if selector.tags else found


def mappings_of(*actions: str, function: Names = None, uuid: str | None = None) -> Permission:
    """Event source mappings: one by its id, or those of a function."""
    if uuid is not None:
        return Permission(actions, "event_source", (uuid,))
    asked = need(*actions, function=function)
    return Permission(actions, "event_source", ("*",), of_function=asked.names)
