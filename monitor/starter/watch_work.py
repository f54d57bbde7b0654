"""Checks of what does the work: state machines, functions, tables, Glue jobs."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.starter.bounds import COUNT, SHARE, SPAN, Given, Limit
from monitor.starter.desk import Desk, Watch, body_of, drafted_watch, merged, names_of, number, spelled
from monitor.starter.history import words
from monitor.starter.inventory import Kind, Left, Thing
from monitor.starter.writing import Entry, Flow

_INTERVALS = (10, 30, 60, 120, 300, 600, 900, 1800, 3600)
#: (shortest interval, seconds of it per machine). ListExecutions refills at 2 to 5 a second (Step Functions quotas) and
#: reads take half of the lower: half of that for rates (a call a machine), the rest for failures and stuck (four).
_RATE, _REST = (10.0, 2.0), (60.0, 8.0)
#: The kind `metric` ships no bound for a share of errors.
ERRORS = "5 % is what state machines ship with"


def rates(desk: Desk) -> list[Watch]:
    """How many executions start, one check a machine: each has sources of its own to cut."""
    drafted = []
    for machine in desk.group.of(Kind.MACHINE):
        warning = desk.limit(
            machine, "started", desk.shipped("execution_rate", "started_per_minute", "warning"), COUNT, 1
        )
        critical = desk.limit(machine, "started", desk.shipped("execution_rate", "started_per_minute"), COUNT)
        critical_at = max(critical.value, COUNT.up(warning.value * 1.2))
        starts: dict[str, Flow] = {
            "warning": {"above": number(warning.value)},
            "critical": {
                "above": number(critical_at),
                "for": "2m",
                "clear": {"below": number(warning.value), "for": "5m"},
            },
        }
        how = "An Express machine: starts are known minutes late, from its metric." if machine.facts["express"] else ""
        what = f"Starts of {machine.name} per minute: a loop among triggers shows here first. {how}"
        body = body_of("execution_rate", {"state_machines": [machine.name]}, {"started_per_minute": starts})
        if not machine.facts["express"]:
            body = _every(desk, body, _RATE)
        drafted.append(drafted_watch(desk, f"{machine.name}-rate", "rate", [machine], body, (what, critical.why)))
    return drafted


def failures(desk: Desk) -> list[Watch]:
    """Failed executions."""

    def limits(machine: Thing) -> tuple[Limit, Limit]:
        shipped = desk.shipped("failures", "failed"), desk.shipped("failures", "failure_rate")
        return desk.limit(machine, "failed", shipped[0], COUNT), desk.limit(machine, "failure_rate", shipped[1], SHARE)

    def body(machines: Sequence[Thing], given: Sequence[Limit]) -> tuple[Entry, ...]:
        thresholds: dict[str, Flow] = {"failed": {"critical": {"above": number(given[0].value)}}}
        if given[1].value < 1:
            thresholds["failure_rate"] = {"critical": {"above": SHARE.said(given[1].value)}}
        return _every(desk, body_of("failures", {"state_machines": names_of(machines)}, thresholds), _REST)

    what = "Executions that failed within an hour, and their share of all that ended."
    return merged(desk, desk.group.of(Kind.MACHINE), limits, body, ("failures", "failures", what))


def stuck(desk: Desk) -> list[Watch]:
    """Executions that run too long; those that may wait for people are not judged by idleness."""

    def limits(machine: Thing) -> tuple[Limit, ...]:
        expected = desk.limit(machine, "duration", desk.shipped("stuck_executions", "oldest", "warning"), SPAN)
        return (expected, Limit(float(machine.facts["waits"]), "", usual=True))

    def body(machines: Sequence[Thing], given: Sequence[Limit]) -> tuple[Entry, ...]:
        expected = given[0].value
        oldest = max(desk.shipped("stuck_executions", "oldest").value, SPAN.up(expected * 2))
        idle: Flow = {"critical": {"above": spelled(max(desk.shipped("stuck_executions", "idle").value, expected))}}
        thresholds: dict[str, Flow] = {
            "oldest": {"warning": {"above": spelled(expected)}, "critical": {"above": spelled(oldest)}},
            "state_age": {"warning": {"above": spelled(expected)}},
            # A state that waits for a person may idle for days.
            "idle": "off" if given[1].value else idle,
        }
        selects: dict[str, Flow] = {"state_machines": names_of(machines), "expected": spelled(expected)}
        return _every(desk, body_of("stuck_executions", selects, thresholds), _REST)

    standard = [machine for machine in desk.group.of(Kind.MACHINE) if not machine.facts["express"]]
    what = "Executions that run for longer than they ever should."
    drafted = merged(desk, standard, limits, body, ("stuck", "stuck", what))
    oldest = desk.shipped("stuck_executions", "oldest").value
    return [
        Watch(one.name, "waiting" if one.things[0].facts["waits"] else "stuck", one.things, one.entry,
              max(oldest, SPAN.up(limits(one.things[0])[0].value * 2)))
        for one in drafted
    ]  # fmt: skip


def _every(desk: Desk, body: tuple[Entry, ...], pace: tuple[float, float]) -> tuple[Entry, ...]:
    """With an interval at which all machines of the account together stay within ListExecutions' quota."""
    least, apart = pace
    machines = len(desk.found.of(Kind.MACHINE))
    wanted = max(least, machines * apart)
    seconds = next((step for step in _INTERVALS if step >= wanted), _INTERVALS[-1])
    note = f"{machines} state machines share the quota of ListExecutions" if seconds > least else ""
    return (body[0], Entry("interval", spelled(seconds), note=note), *body[1:])


def throttles(desk: Desk) -> list[Watch]:
    """Refused invocations."""
    what = "Refused invocations, and how much of their concurrency the functions use."
    return _refusals(desk, desk.group.of(Kind.FUNCTION), "lambda_functions", ("throttles", "throttles", what))


def tables(desk: Desk) -> list[Watch]:
    """Provisioned tables one by one, because each can be given more; those on demand together."""
    what = "Requests that the tables refused."
    held = desk.group.of(Kind.TABLE)
    provisioned = [table for table in held if table.facts["read"] and table.facts["write"]]
    drafted: list[Watch] = []
    for one in provisioned:
        drafted += _refusals(desk, [one], "tables", (f"{one.name}-throttles", "table", what))
    return drafted + _refusals(
        desk, [one for one in held if one not in provisioned], "tables", ("table-throttles", "on-demand", what)
    )


def _refusals(desk: Desk, things: Sequence[Thing], selector: str, words: tuple[str, str, str]) -> list[Watch]:
    def limits(thing: Thing) -> tuple[Limit, ...]:
        return (desk.limit(thing, "throttles", desk.shipped("throttles", "throttled"), COUNT),)

    def body(chosen: Sequence[Thing], given: Sequence[Limit]) -> tuple[Entry, ...]:
        throttled: Flow = {"warning": {"above": 0}, "critical": {"above": number(given[0].value), "for": "5m"}}
        return body_of("throttles", {selector: names_of(chosen)}, {"throttled": throttled})

    return merged(desk, things, limits, body, words)


def errors(desk: Desk) -> list[Watch]:
    """Consumers of a queue one by one, because each can be paused alone; the others together."""

    def limits(function: Thing) -> tuple[Limit, ...]:
        found = desk.limit(function, "error_rate", Given(desk.shipped("failures", "failure_rate").value, ERRORS), SHARE)
        return (Limit(min(found.value, 0.75), found.why, found.usual),)

    def body(functions: Sequence[Thing], given: Sequence[Limit]) -> tuple[Entry, ...]:
        warning = given[0].value
        critical = max(0.25, min(0.9, SHARE.up(warning * 2)))
        levels: dict[str, Flow] = {
            "warning": {"above": SHARE.said(warning)},
            "critical": {"above": SHARE.said(critical), "for": "10m"},
        }
        alone = len(functions) == 1
        dimensions: dict[str, Flow] = {"FunctionName": functions[0].name} if alone else {}
        metrics = tuple(
            Entry(name, {"namespace": "AWS/Lambda", "metric": metric, "dimensions": dimensions})
            for name, metric in (("errors", "Errors"), ("calls", "Invocations"))
        )
        which: tuple[Entry, ...] = (Entry("target", functions[0].name),)
        if not alone:
            which = (Entry("split_by", "FunctionName"), Entry("only", names_of(functions)))
        return (
            Entry("kind", "metric"), Entry("interval", "5m"), Entry("metrics", metrics),
            Entry("expression", "errors / calls"), Entry("minimum", {"calls": 20}), Entry("window", "15m"), *which,
            Entry("thresholds", (Entry("value", levels),)),
        )  # fmt: skip

    what = "The share of invocations that end in an error; fewer than 20 in a quarter of an hour say nothing."
    called = [one for one in desk.group.of(Kind.FUNCTION) if not desk.past.is_silent(one, "calls")]
    for one in desk.group.of(Kind.FUNCTION):
        if one not in called:
            why = f"not called in {words(desk.past.length)}: there is no share of errors to watch yet"
            desk.found.left.add(Left("errors", one.name, why))
    consumers = [function for function in called if is_consumer(desk, function)]
    others = [function for function in called if function not in consumers]
    drafted = merged(desk, others, limits, body, ("errors", "errors", what))
    for one in consumers:
        drafted += merged(desk, [one], limits, body, (f"{one.name}-errors", "consumer", what))
    return drafted


def is_consumer(desk: Desk, function: Thing) -> bool:
    """Whether it reads from a queue that was found."""
    links = (link for link in desk.found.links if link.target == function.arn and link.why == "is read by")
    return any(desk.found.things[link.source].kind is Kind.QUEUE for link in links)


def jobs(desk: Desk) -> list[Watch]:
    """Glue runs; the SLA is what the past suggests."""
    drafted = []
    for job in desk.group.of(Kind.JOB):
        known = desk.past.of(job, "duration") is not None
        least = Given(60.0, "a minute") if known else Given(3600.0, "an hour is a guess, write yours")
        sla = desk.limit(job, "duration", least, SPAN)
        thresholds: dict[str, Flow] = {"late": {"critical": {"above": 0}}, "failed": {"warning": {"above": 0}}}
        body = body_of("glue_runs", {"jobs": [job.name], "sla": spelled(sla.value)}, thresholds)
        what = f"Runs of {job.name} that fail or take longer than they may."
        drafted.append(
            drafted_watch(desk, f"{job.name}-runs", "job", [job], body, (what, f"sla: {sla.why}"), sla.value)
        )
    return drafted
