"""Checks of queues, of Kafka, and of what stands beside: alarms, loops among triggers, fresh objects."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.starter.bounds import COUNT, SPAN, Given, Limit
from monitor.starter.desk import Desk, Watch, body_of, drafted_watch, listed, merged, names_of, number, spelled
from monitor.starter.inventory import Kind, Left, Thing
from monitor.starter.writing import Entry, Flow

#: Rules that one trigger_loops check reads at most, and without being told.
_MOST_RULES, _USUAL_RULES = 2000, 300


def queues(desk: Desk) -> list[Watch]:
    """Queues that are nobody's dead letters."""

    def limits(queue: Thing) -> tuple[Limit, ...]:
        depth = desk.limit(queue, "visible", desk.shipped("queue_depth", "visible"), COUNT)
        if desk.past.of(queue, "oldest_age") is None:
            return (depth,)
        return depth, desk.limit(queue, "oldest_age", Given(900.0, "15m at least"), SPAN)

    def body(chosen: Sequence[Thing], given: Sequence[Limit]) -> tuple[Entry, ...]:
        thresholds: dict[str, Flow] = {"visible": {"critical": {"above": number(given[0].value), "for": "5m"}}}
        if len(given) > 1:
            thresholds["oldest_age"] = {"warning": {"above": spelled(given[1].value), "for": "5m"}}
        return body_of("queue_depth", {"queues": names_of(chosen)}, thresholds)

    plain = [queue for queue in desk.group.of(Kind.QUEUE) if not desk.letters_of(queue)]
    what = "Messages that wait: a queue that only grows has consumers that are down or too slow."
    return merged(desk, plain, limits, body, ("queues", "depth", what))


def letters(desk: Desk) -> list[Watch]:
    """Dead-letter queues by whose they are: each sort is worked off in another way."""

    def limits(queue: Thing) -> tuple[Limit, ...]:
        return (desk.limit(queue, "visible", desk.shipped("queue_depth", "visible"), COUNT),)

    def body(chosen: Sequence[Thing], given: Sequence[Limit]) -> tuple[Entry, ...]:
        visible: Flow = {"warning": {"above": 0}, "critical": {"above": number(given[0].value), "for": "5m"}}
        return body_of("queue_depth", {"queues": names_of(chosen)}, {"visible": visible})

    sorts: dict[tuple[str, str], list[Thing]] = {}
    for queue in desk.group.of(Kind.QUEUE):
        owners = desk.letters_of(queue)
        kinds = {owner.kind for owner in owners}
        if kinds == {Kind.QUEUE} and len(owners) == 1:
            sorts.setdefault(("dead-letters", "dead-letters"), []).append(queue)
        elif kinds in ({Kind.QUEUE}, {Kind.FUNCTION}):
            # One by one: somebody has to say where the messages go back to.
            sorts[f"{queue.name}-depth", "letters-to"] = [queue]
        elif owners:
            sorts.setdefault(("lost-events", "lost-events"), []).append(queue)
    said = {
        "dead-letters": "Messages that were given up on: any is worth a look.",
        "letters-to": "Messages that were given up on: any is worth a look.",
        "lost-events": "Events that could not be delivered: their targets or permissions are broken.",
    }
    drafted: list[Watch] = []
    for (name, role), queues in sorted(sorts.items()):
        drafted += merged(desk, queues, limits, body, (name, role, said[role]))
    return drafted


def clusters(desk: Desk) -> list[Watch]:
    """Brokers, and how far functions that read from them lag behind."""
    drafted = []
    for cluster in desk.group.of(Kind.CLUSTER):
        reads = sorted(set(cluster.facts["reads"]))
        if cluster.facts["serverless"] and not reads:
            desk.found.left.add(
                Left(cluster.kind, cluster.name, "serverless, and no function reads from it: no metric")
            )
            continue
        selects: dict[str, Flow] = {"cluster": cluster.name}
        thresholds: dict[str, Flow] = {}
        notes = [f"The brokers of {cluster.name}" + (" and how far its readers lag behind." if reads else ".")]
        if reads:
            least = Given(100_000.0, "100,000 is a guess, write yours")
            limits = [desk.limit(cluster, f"lag {group} {topic}", least, COUNT) for group, topic in reads]
            worst = max(limits, key=lambda one: one.value)
            selects |= {
                "groups": sorted({group for group, _ in reads}),
                "topics": sorted({topic for _, topic in reads}),
            }
            thresholds["offset_lag"] = {"critical": {"above": number(worst.value), "for": "5m"}}
            notes.append(worst.why)
        if cluster.facts["serverless"]:
            selects["health"] = False
        drafted.append(
            drafted_watch(
                desk, f"{cluster.name}-lag", "lag", [cluster], body_of("kafka_lag", selects, thresholds), notes
            )
        )
    return drafted


def alarms(desk: Desk) -> list[Watch]:
    """The alarms on the group's resources."""
    values = {thing.name for thing in desk.group.things} | {thing.arn for thing in desk.group.things}
    mine = sorted({alarm.name for alarm in desk.found.alarms if alarm.values & values and not _scales(alarm.name)})
    if not mine:
        return []
    raised = sum(alarm.state == "ALARM" for alarm in desk.found.alarms if alarm.name in mine)
    notes = [
        "The alarms that exist already on these resources, so that breakers may trip on them too.",
        f"{raised} of {len(mine)} are in alarm as this is written." if raised else "",
    ]
    # `[` would begin a glob: in brackets it stands for itself.
    names: list[Flow] = ["".join(f"[{char}]" if char in "*?[" else char for char in name) for name in mine]
    return [drafted_watch(desk, "alarms", "alarms", [], body_of("alarm", {"alarms": names}, {}), notes)]


def _scales(name: str) -> bool:
    """Alarms that autoscaling made for itself: in alarm is how they work."""
    return name.startswith("TargetTracking-")


def loops(desk: Desk) -> list[Watch]:
    """Loops among the group's triggers."""
    rules = [rule for rule in desk.group.of(Kind.RULE) if rule.facts["pattern"] and not rule.facts["managed"]]
    if not rules:
        return []
    buses = sorted({str(rule.facts["bus"]) for rule in rules})
    selects: dict[str, Flow] = {"include_disabled": True}
    if buses != ["default"]:
        selects["buses"] = list(buses)
    read = [rule for rule in desk.found.of(Kind.RULE) if rule.facts["bus"] in buses]
    if len(read) > _MOST_RULES:
        desk.found.left.add(Left("loops", ", ".join(buses), f"{len(read)} rules are more than trigger_loops reads"))
        return []
    if len(read) > _USUAL_RULES:
        selects["max_rules"] = _MOST_RULES
    notes = ["Loops among triggers, found in their configuration before they run. Rules that are off count as on."]
    writes = _writes(desk)
    if writes:
        selects["writes"] = writes
        notes.append("writes: buckets that the functions' environments name; correct it if one only reads there.")
    silent = [function.name for function in desk.group.of(Kind.FUNCTION) if function.name not in writes]
    if silent:
        notes.append(f"No configuration says what these write; say it under `writes`: {listed(silent)}.")
    return [drafted_watch(desk, "trigger-loops", "loops", rules, body_of("trigger_loops", selects, {}), notes)]


def _writes(desk: Desk) -> dict[str, Flow]:
    found: dict[str, list[Flow]] = {}
    for link in sorted(desk.found.links):
        source, target = desk.found.things[link.source], desk.found.things[link.target]
        if source in desk.group.things and target.kind is Kind.BUCKET and link.why.startswith("names in "):
            found.setdefault(source.name, []).append(f"env:{link.why.removeprefix('names in ')}")
    return dict(found)


def fresh(desk: Desk) -> list[Watch]:
    """Buckets whose freshness was asked for."""
    drafted = []
    for place in desk.fresh:
        bucket, _, prefix = place.removeprefix("s3://").partition("/")
        for thing in desk.group.of(Kind.BUCKET):
            if thing.name != bucket:
                continue
            ages = [desk.shipped("object_freshness", "age", level).value for level in ("warning", "critical")]
            age: Flow = {"warning": {"above": spelled(ages[0])}, "critical": {"above": spelled(ages[1])}}
            selects: dict[str, Flow] = {"bucket": bucket}
            if prefix:
                selects["prefix"] = prefix
            notes = (
                "How old the newest object is, as asked for.",
                "Objects have no history: the shipped default.",
            )
            body = body_of("object_freshness", selects, {"age": age})
            drafted.append(drafted_watch(desk, f"{bucket}-fresh", "fresh", [thing], body, notes))
    return drafted
