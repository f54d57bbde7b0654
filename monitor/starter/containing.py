"""Which breakers a group gets: the runbooks' playbooks, cut with the sources that the graph shows. All observe only."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.core.durations import format_duration
from monitor.starter.desk import Desk, Watch
from monitor.starter.inventory import Kind, Left, Thing
from monitor.starter.naming import Names, slug
from monitor.starter.writing import Entry, Flow, Steps

#: More sources than this are looked up at the trip instead of being written down.
_MOST_SOURCES = 6


def contain(desk: Desk, watches: Sequence[Watch]) -> list[Entry]:
    """The breakers that these checks allow, in their order."""
    names = Names()
    drafted: list[Entry] = []
    for one in watches:
        if one.role == "rate":
            drafted.append(_loop(desk, one, names))
        elif one.role == "stuck":
            drafted.append(_stuck(one, names))
        elif one.role in ("dead-letters", "letters-to"):
            drafted.append(_letters(desk, one, names))
        elif one.role == "consumer":
            drafted.append(_pause(one, names))
        elif one.role == "table":
            drafted.append(_scale(one, names))
        elif one.role == "job":
            drafted.append(_job(one, names))
    return drafted


def _loop(desk: Desk, rate: Watch, names: Names) -> Entry:
    """Cut what starts the machine, wait for what is in flight, stop the rest."""
    machine = rate.things[0]
    cuts, notes, cutters = _cuts(desk, machine)
    steps: list[tuple[Entry, ...]] = list(cuts)
    if not machine.facts["express"]:
        stop: Flow = {"state_machines": [machine.name], "error": "EventLoop", "cause": "Stopped by a tripped breaker"}
        steps += [(Entry("wait", "5m"),), (Entry("stop_executions", stop),)]
    verify: Flow = {"check": rate.name, "signal": "started_per_minute", "level": "ok", "for": "10m"}
    recover = [(Entry("verify", verify),), *((Entry("undo", cutter),) for cutter in cutters)]
    why = f"{machine.name} is started again and again: cut what starts it, let work in flight end, stop the rest."
    if machine.facts["express"]:
        why = f"{machine.name} is started again and again: cut what starts it; Express executions end by themselves."
    return _breaker(
        names.take(f"{machine.name}-loop"), ("SEV1", f"{rate.name}.started_per_minute"), steps, recover, (why, *notes)
    )


def _cuts(desk: Desk, machine: Thing) -> tuple[list[tuple[Entry, ...]], list[str], list[str]]:
    """(steps, what to say of them, ids for undo)."""
    starters = list(dict.fromkeys(desk.starters(machine)))
    sources = [one for one in starters if one.kind in (Kind.RULE, Kind.SCHEDULE)]
    managed = [one for one in sources if one.facts.get("managed")]
    for rule in managed:
        desk.found.left.add(Left(rule.kind, rule.name, "managed by an AWS service: it can't be disabled"))
    live = [one for one in sources if one.facts["enabled"] and one not in managed]
    off = [one.name for one in sources if not one.facts["enabled"]]
    notes = [f"Off already, and not touched: {', '.join(off)}."] if off else []
    if 0 < len(live) <= _MOST_SOURCES:
        ids = Names()
        written = [(_cut(one), ids.take(f"cut-{slug(one.name)}")) for one in live]
        return [(cut, Entry("id", name)) for cut, name in written], notes, [name for _, name in written]
    functions = [one for one in starters if one.kind is Kind.FUNCTION]
    if not live and functions:
        ids = Names()
        written = [
            (Entry("set_lambda_concurrency", {"function": one.name, "reserved": 0}), ids.take(f"cap-{slug(one.name)}"))
            for one in functions[:_MOST_SOURCES]
        ]
        notes.append("No rule or schedule starts it; these functions name it, so they are capped at nothing.")
        return [(cut, Entry("id", name)) for cut, name in written], notes, [name for _, name in written]
    notes.append(
        f"{len(live)} rules and schedules start it; they are looked up again at the trip."
        if live
        else "No rule or schedule that starts it was found; they are looked up again at the trip. Name what does."
    )
    cut = Entry("cut_sources", {"state_machines": [machine.name]})
    return [(cut, Entry("id", "cut"))], notes, ["cut"]


def _cut(source: Thing) -> Entry:
    if source.kind is Kind.SCHEDULE:
        given: dict[str, Flow] = {"schedule": source.name, "state": "DISABLED"}
        if source.facts["group"] != "default":
            given["group"] = source.facts["group"]
        return Entry("set_schedule", given)
    given = {"rule": source.name}
    if source.facts["bus"] != "default":
        given["event_bus"] = source.facts["bus"]
    return Entry("disable_rule", given)


def _stuck(stuck: Watch, names: Names) -> Entry:
    stop: Flow = {
        "older_than": format_duration(stuck.seconds), "limit": 100, "error": "ExecutionTimeout",
        "cause": "Stopped after running too long without a sign",
    }  # fmt: skip
    verify: Flow = {"check": stuck.name, "signal": "oldest", "level": "ok", "for": "10m"}
    notes = (
        "Old and without any sign of life: both must hold. Only the old ones are stopped, a hundred at most.",
        "Add `rerun: true` to start each once more with its input, if running twice does no harm.",
    )
    when: Flow = {"all": [f"{stuck.name}.oldest", f"{stuck.name}.idle"]}
    return _breaker(
        names.take(stuck.name), ("SEV3", when), [(Entry("stop_executions", stop),)], [(Entry("verify", verify),)], notes
    )


def _letters(desk: Desk, letters: Watch, names: Names) -> Entry:
    """A person repairs the consumer; then the messages go back where they came from."""
    redrive: dict[str, Flow] = {"rate": 10}
    sample: dict[str, Flow] = {"count": 20}
    notes = ["Looks at a sample, waits for your yes, then moves the messages back, ten a second."]
    if letters.role == "letters-to":
        queue, owners = letters.things[0], desk.letters_of(letters.things[0])
        redrive = {"queue": queue.name, "to": owners[0].name, "rate": 10}
        sample = {"queue": queue.name, "count": 20}
        if len(owners) > 1:
            notes.append(f"It serves {', '.join(owner.name for owner in owners)}: choose where its messages belong.")
    else:
        notes.append("Which queue: the one that breached.")
    ask: Flow = {"message": "Read the sample and repair the consumer, then approve the redrive.", "expires": "24h"}
    steps = [(Entry("sample_dlq", sample),), (Entry("approve", ask),), (Entry("redrive_queue", redrive),)]
    verify: Flow = {"check": letters.name, "signal": "visible", "level": "ok", "for": "10m"}
    name = names.take(letters.things[0].name if letters.role == "letters-to" else letters.name)
    return _breaker(name, ("SEV3", f"{letters.name}.visible"), steps, [(Entry("verify", verify),)], notes)


def _pause(errors: Watch, names: Names) -> Entry:
    function = errors.things[0].name
    notes = (
        f"{function} fails what it reads: stop reading before every message has become a dead letter.",
        "Messages wait in the queue meanwhile. Coming back is a person's decision, after the repair.",
    )
    steps = [(Entry("set_event_source", {"function": function, "enabled": False}),)]
    recover = [(Entry("undo", "set_event_source"),)]
    return _breaker(names.take(f"{function}-pause"), ("SEV2", f"{errors.name}.value"), steps, recover, notes)


def _scale(throttles: Watch, names: Names) -> Entry:
    """Twice the capacity of a provisioned table."""
    table = throttles.things[0]
    units: Flow = {"table": table.name, "read": table.facts["read"] * 2, "write": table.facts["write"] * 2}
    verify: Flow = {"check": throttles.name, "signal": "throttled", "level": "ok", "for": "10m"}
    return _breaker(
        names.take(f"{table.name}-capacity"),
        ("SEV3", f"{throttles.name}.throttled"),
        [(Entry("scale_table", units),)],
        [(Entry("verify", verify),), (Entry("undo", "scale_table"),)],
        [f"Twice its capacity of {table.facts['read']} read and {table.facts['write']} write units, and back."],
    )


def _job(runs: Watch, names: Names) -> Entry:
    job, sla = runs.things[0].name, format_duration(runs.seconds)
    twice = format_duration(runs.seconds * 2)
    stop: Flow = {"job": job, "older_than": twice}
    verify: Flow = {"check": runs.name, "signal": "late", "level": "ok", "for": "5m"}
    when: Flow = {"signal": f"{runs.name}.late", "for": sla}
    notes = (f"Late is slow; late for as long again ({twice} in all) is stuck, and the run is stopped.",)
    return _breaker(
        names.take(f"{job}-stuck"),
        ("SEV3", when),
        [(Entry("stop_glue_runs", stop),)],
        [(Entry("verify", verify),)],
        notes,
    )


def _breaker(
    name: str,
    head: tuple[str, Flow],
    steps: Sequence[tuple[Entry, ...]],
    recover: Sequence[tuple[Entry, ...]],
    notes: Sequence[str],
) -> Entry:
    severity, when = head
    back = (Entry("mode", "manual"), Entry("after", "15m"), Entry("steps", Steps(tuple(recover))))
    return Entry(
        name,
        (
            Entry("severity", severity),
            Entry("mode", "observe"),
            Entry("trip_when", when),
            Entry("on_trip", Steps(tuple(steps))),
            Entry("recover", back),
        ),
        tuple(notes),
    )
