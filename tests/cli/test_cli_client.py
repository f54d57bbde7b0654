"""Commands that talk to a daemon: what they show, what they ask, how they end."""

from __future__ import annotations

import json
import re

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from fake_surface import NOW, FakeSurface, Run, breaker_view, tripped

from monitor.core.model import Level, Mode, State
from monitor.core.view import ChangeView, Outcome, StepView


async def test_status_shows_the_daemon_its_breakers_and_what_is_wrong(cli: Run, daemon: str) -> None:
    """One look tells readiness, breakers, and the checks that are not ok; the others stay out."""
    result = await cli("status")
    assert result.exit_code == 0
    assert "tripswitch 0.1.0" in result.stdout
    assert "actions on" in result.stdout
    assert "etl/loop" in result.stdout
    assert "etl/rate" in result.stdout
    assert "346/min" in result.stdout
    assert "etl/depth" not in result.stdout


async def test_status_says_what_is_off(cli: Run, daemon: str, surface: FakeSurface) -> None:
    """Not ready, actions off, storm and a rejected reload are each said."""
    surface.change_status(
        ready=False, not_ready=("no first round",), actions_enabled=False, actions_reason="by ana",
        storm="3 of 4 pipelines", config_ok=False, config_error="etl.yaml:1:1: bad", mutations_enabled=False,
    )  # fmt: skip
    told = (await cli("status")).stdout
    for words in ("no first round", "ACTIONS OFF: by ana", "3 of 4", "etl.yaml:1:1: bad", "Commands are off"):
        assert words in told


async def test_status_for_programs_is_the_apis_own_json(cli: Run, daemon: str) -> None:
    """`--output json` parses, and holds what the API said."""
    told = json.loads((await cli("status", "--output", "json")).stdout)
    assert told["status"]["version"] == "0.1.0"
    assert told["breakers"][0]["state"] == "closed"
    assert [check["level"] for check in told["checks"]] == ["ok", "critical"]


@pytest.mark.parametrize(
    "words",
    [("status",), ("breaker", "list"), ("healthz",), ("reload",), ("silence", "list"), ("incident", "list")],
    ids=" ".join,
)
async def test_an_absent_daemon_is_one_sentence(cli: Run, words: tuple[str, ...]) -> None:
    """Nobody listens: exit 1, the address, what to try, no traceback."""
    result = await cli(*words, "--url", "http://127.0.0.1:9")
    assert result.exit_code == 1
    assert "no daemon answers at http://127.0.0.1:9" in result.stderr
    assert "tripswitch run" in result.stderr
    assert "Traceback" not in result.output


async def test_a_wrong_url_is_wrong_usage(cli: Run) -> None:
    """A URL without a scheme is refused before anything is asked."""
    result = await cli("status", "--url", "localhost:9108")
    assert (result.exit_code, "--url" in result.stderr) == (2, True)


@pytest.mark.parametrize("body", ["<html>hello</html>", "[1, 2]", ""])
async def test_something_else_at_the_address_is_named(cli: Run, body: str) -> None:
    """What answers is no tripswitch; the sentence says which settings to look at."""

    async def hello(request: web.Request) -> web.Response:
        return web.Response(text=body)

    app = web.Application()
    app.router.add_get("/{anything:.*}", hello)
    async with TestServer(app, host="127.0.0.1") as server:
        result = await cli("status", "--url", f"http://127.0.0.1:{server.port}")
    assert result.exit_code == 1
    assert "no tripswitch daemon" in result.stderr
    assert "TRIPSWITCH_URL" in result.stderr


@pytest.mark.parametrize(
    ("words", "call"),
    [
        (("trip", "etl/loop", "--reason", "drill"), ("trip", "etl/loop", "ana", "drill")),
        (("reset", "etl/loop"), ("reset", "etl/loop", "ana", False)),
        (("reset", "etl/loop", "--force"), ("reset", "etl/loop", "ana", True)),
        (("disable", "etl/loop", "--reason", "test"), ("disable", "etl/loop", "ana", "test")),
        (("enable", "etl/loop"), ("enable", "etl/loop", "ana")),
    ],
    ids=lambda value: value[0] if isinstance(value[0], str) else "",
)
async def test_a_command_reaches_its_breaker(
    cli: Run, daemon: str, surface: FakeSurface, words: tuple[str, ...], call: tuple[object, ...]
) -> None:
    """With --yes the command goes out as its person, and the answer is shown."""
    result = await cli("breaker", *words, "--yes", "--by", "ana")
    assert result.exit_code == 0
    assert surface.calls == [call]
    assert "accepted" in result.stderr


@pytest.mark.parametrize("verb", ["trip", "reset", "disable", "enable"])
async def test_without_a_terminal_and_without_yes_nothing_happens(
    cli: Run, daemon: str, surface: FakeSurface, verb: str
) -> None:
    """The blast radius is shown, nobody can answer, so nothing is sent."""
    result = await cli("breaker", verb, "etl/loop")
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert surface.calls == []


async def test_a_trip_shows_its_plan_and_targets_first(cli: Run, daemon: str) -> None:
    """Plan lines and targets come before the question."""
    told = (await cli("breaker", "trip", "etl/loop")).stderr
    assert told.index("disable the rule etl-s3-events") < told.index("etl-workflow") < told.index("--yes")


@pytest.mark.parametrize("mode", list(Mode))
async def test_tripping_what_only_observes_is_said_to_act(
    cli: Run, daemon: str, surface: FakeSurface, mode: Mode
) -> None:
    """A drill acts in every mode: nobody should take observe for a safety catch."""
    surface.view_breakers = [breaker_view(mode=mode)]
    told = (await cli("breaker", "trip", "etl/loop")).stderr
    assert ("a trip by hand acts all the same" in told) is (mode is Mode.OBSERVE)


async def test_a_bare_verb_in_a_plan_gets_its_parameters(cli: Run, daemon: str, surface: FakeSurface) -> None:
    """Where the daemon names only the verb, the configuration says on what."""
    surface.view_breakers = [breaker_view(plan=("disable_rule", "wait 5m"))]
    steps = [{"disable_rule": {"rule": "etl-s3-events", "enforce": False}}, {"wait": "5m"}]
    surface.document = {"etl": {"breakers": {"loop": {"on_trip": steps}}}}
    told = (await cli("breaker", "trip", "etl/loop")).stderr
    assert "  disable_rule: rule etl-s3-events\n  wait 5m\n" in told


async def test_a_reset_shows_what_is_in_force(cli: Run, daemon: str, surface: FakeSurface) -> None:
    """The prior state tells what undo puts back."""
    surface.view_breakers = [tripped()]
    told = (await cli("breaker", "reset", "etl/loop")).stderr
    assert "events/etl-s3-events: disable the rule (was ENABLED)" in told
    assert "can undo" not in told


async def test_a_reset_shows_counts_as_words(cli: Run, daemon: str, surface: FakeSurface) -> None:
    """A prior of several values is told as such; what can't be put back is not called undoable."""
    change = ChangeView("states/etl", "stop what runs", "applied", prior={"running": 355}, applied=None)
    stop = StepView("stop", "stop_executions", "done", "stop what runs", changes=(change,))
    surface.view_breakers = [tripped(steps=(stop,))]
    told = (await cli("breaker", "reset", "etl/loop")).stderr
    assert "in force are:\n  states/etl: stop what runs (was running: 355)\n" in told


async def test_approve_names_the_plan_that_was_shown(cli: Run, daemon: str, surface: FakeSurface) -> None:
    """The hash on the screen is the hash sent, so that a changed plan is refused."""
    held = StepView("purge", "purge_queue", "held", "purge orders-dlq", gate="approval")
    surface.view_breakers = [tripped(State.TRIPPING, steps=(held,), approval="9c1e44d0")]
    result = await cli("breaker", "approve", "etl/loop", "--yes", "--by", "ana")
    assert result.exit_code == 0
    assert surface.calls == [("approve", "etl/loop", "ana", "9c1e44d0")]
    assert "purge orders-dlq" in result.stderr


async def test_nothing_to_approve_is_refused(cli: Run, daemon: str, surface: FakeSurface) -> None:
    """A breaker that waits for nobody: exit 4, nothing sent."""
    result = await cli("breaker", "approve", "etl/loop", "--yes")
    assert (result.exit_code, surface.calls) == (4, [])


async def test_a_refusal_is_exit_4_with_the_daemons_words(cli: Run, daemon: str, surface: FakeSurface) -> None:
    """An outcome that is not ok ends the command with 4."""
    surface.outcome = Outcome(False, "etl/loop is open already")
    result = await cli("breaker", "trip", "etl/loop", "--yes")
    assert result.exit_code == 4
    assert "refused: etl/loop is open already" in result.stderr


async def test_a_wrong_token_is_refused(cli: Run, daemon: str, surface: FakeSurface) -> None:
    """401 is exit 4 with the hint, and the token stays unsaid."""
    result = await cli("actions", "off", "--token", "wrong-token")
    assert (result.exit_code, surface.calls) == (4, [])
    assert "TRIPSWITCH_TOKEN" in result.stderr
    assert "wrong-token" not in result.output


async def test_a_token_may_be_a_reference(
    cli: Run, daemon: str, surface: FakeSurface, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`env:NAME` is resolved before it is sent."""
    monkeypatch.setenv("ONCALL", "right-token")
    result = await cli("actions", "off", "--token", "env:ONCALL", "--by", "ana")
    assert (result.exit_code, surface.calls) == (0, [("set_actions", False, "ana", "")])


async def test_an_unknown_breaker_is_refused_by_name(cli: Run, daemon: str) -> None:
    """404 says which."""
    result = await cli("breaker", "trip", "etl/nope", "--yes")
    assert result.exit_code == 4
    assert "etl/nope" in result.stderr


@pytest.mark.parametrize("name", ["loop", "etl/", "/loop", "a/b/c"])
async def test_a_malformed_breaker_name_is_wrong_usage(cli: Run, daemon: str, name: str) -> None:
    """PIPELINE/BREAKER, with exactly one slash."""
    result = await cli("breaker", "trip", name, "--yes")
    assert result.exit_code == 2
    assert "PIPELINE/BREAKER" in result.stderr


async def test_wait_follows_to_the_end(
    cli: Run, daemon: str, surface: FakeSurface, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step is told once, and the command ends when the breaker is closed."""
    monkeypatch.setattr("monitor.cli.breakers.EVERY", 0.001)
    verify = StepView("verify", "verify", "waiting", "verify rate is ok for 10m", until=NOW)
    half = tripped(State.HALF_OPEN, phase="recover", steps=(verify,))
    surface.script = [tripped(), half, half, half, breaker_view()]
    result = await cli("breaker", "reset", "etl/loop", "--yes", "--wait")
    assert result.exit_code == 0
    assert result.stderr.count("verify: waiting until 2026-03-14 09:26:53 UTC: verify rate is ok for 10m") == 1
    assert result.stderr.rstrip().endswith("etl/loop is closed")


async def test_wait_gives_up_after_its_timeout(
    cli: Run, daemon: str, surface: FakeSurface, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Giving up is exit 1 and says that the daemon goes on."""
    monkeypatch.setattr("monitor.cli.breakers.EVERY", 0.001)
    surface.view_breakers = [tripped()]
    result = await cli("breaker", "reset", "etl/loop", "--yes", "--wait", "--timeout", "10ms")
    assert result.exit_code == 1
    assert "goes on by itself" in result.stderr


async def test_incidents_are_listed_and_filtered(cli: Run, daemon: str) -> None:
    """`--open` leaves out what is resolved."""
    assert "inc-0" in (await cli("incident", "list")).stdout
    assert "inc-0" not in (await cli("incident", "list", "--open")).stdout


async def test_a_timeline_cannot_move_the_cursor(cli: Run, daemon: str) -> None:
    """Control characters that came from outside are shown as `?`."""
    shown = (await cli("incident", "show", "inc-1")).stdout
    assert "\x1b" not in shown
    assert "?[31m346/min" in shown


async def test_a_report_is_markdown_that_text_cannot_break(cli: Run, daemon: str) -> None:
    """Bars and markup in texts are escaped, so every row has its two cells."""
    report = (await cli("incident", "report", "inc-1")).stdout
    assert report.startswith("# loop \\| tripped\n")
    assert "\\<b>them" in report
    tables = re.findall(r"(?:^\|.*\n?)+", report, re.MULTILINE)
    widths = [{len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()} for table in tables]
    assert len(widths) >= 3
    assert all(len(width) == 1 for width in widths)


async def test_an_incident_is_acknowledged_by_a_person(cli: Run, daemon: str, surface: FakeSurface) -> None:
    """Whoever does it commands it."""
    await cli("incident", "ack", "inc-1", "--by", "ana")
    assert surface.calls == [("acknowledge", "inc-1", "ana")]


async def test_a_note_goes_to_its_incident(cli: Run, daemon: str, surface: FakeSurface) -> None:
    """The text arrives as its person's."""
    await cli("incident", "note", "inc-1", "bucket owner informed", "--by", "ana")
    assert surface.calls == [("note", "inc-1", "ana", "bucket owner informed")]


async def test_a_silence_is_added_and_its_id_is_data(cli: Run, daemon: str, surface: FakeSurface) -> None:
    """Matchers, span and comment arrive; stdout holds just the id."""
    result = await cli(
        "silence", "add", "-m", "pipeline=etl", "-m", "check=dlq*", "--for", "2h", "-c", "vendor", "--hold-actions",
        "--by", "ana",
    )  # fmt: skip
    assert surface.calls == [("add_silence", {"pipeline": "etl", "check": "dlq*"}, 7200.0, "ana", "vendor", True)]
    assert result.stdout == "s-1\n"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--match", "dlq", "--for", "2h"), 2, "check=dlq*"),
        (("--match", "check=dlq", "--for", "soon"), 4, "duration"),
    ],
)
async def test_a_wrong_silence_is_explained(
    cli: Run, daemon: str, surface: FakeSurface, words: tuple[str, ...], code: int, told: str
) -> None:
    """A matcher without `=`, or a span that is none, changes nothing."""
    result = await cli("silence", "add", *words)
    assert (result.exit_code, surface.calls) == (code, [])
    assert told in result.stderr


async def test_a_silence_is_listed_and_removed(cli: Run, daemon: str, surface: FakeSurface) -> None:
    """The table names what is matched; removing goes by id."""
    assert "check=dlq*" in (await cli("silence", "list")).stdout
    assert (await cli("silence", "remove", "s-1", "--by", "ana")).exit_code == 0
    assert surface.calls == [("remove_silence", "s-1", "ana")]


async def test_actions_go_off_unasked_and_on_only_when_asked(cli: Run, daemon: str, surface: FakeSurface) -> None:
    """Off needs no yes; on shows the steps that would go on and needs one."""
    held = StepView("stop", "stop_executions", "held", "stop the executions", gate="kill_switch")
    surface.view_breakers = [tripped(State.TRIPPING, steps=(held,))]
    assert (await cli("actions", "off", "--by", "ana")).exit_code == 0
    refused = await cli("actions", "on", "--by", "ana")
    assert (refused.exit_code, "stop the executions" in refused.stderr) == (2, True)
    assert (await cli("actions", "on", "--by", "ana", "--yes", "--reason", "fixed")).exit_code == 0
    assert surface.calls == [("set_actions", False, "ana", ""), ("set_actions", True, "ana", "fixed")]


async def test_a_rejected_reload_is_exit_3(cli: Run, daemon: str, surface: FakeSurface) -> None:
    """The problems are shown, and that the old configuration stays."""
    surface.outcome = Outcome(False, "etl.yaml:3:1: unknown key", {"rejected": True})
    result = await cli("reload")
    assert result.exit_code == 3
    assert "stays" in result.stderr
    assert "etl.yaml:3:1" in result.stderr


async def test_healthz_is_alive_and_ready_is_more(cli: Run, daemon: str, surface: FakeSurface) -> None:
    """Alive while not ready; `--ready` says why not."""
    surface.change_status(ready=False, not_ready=("the first round has not ended",))
    assert (await cli("healthz")).exit_code == 0
    result = await cli("healthz", "--ready")
    assert (result.exit_code, "first round" in result.stderr) == (1, True)


async def test_a_quiet_daemon_says_so(cli: Run, daemon: str, surface: FakeSurface) -> None:
    """No breakers, all checks ok: sentences, no empty tables."""
    surface.view_breakers, surface.view_checks = [], [c for c in surface.view_checks if c.level is Level.OK]
    told = (await cli("status")).stdout
    assert "There are no breakers." in told
    assert "All 1 check ok." in told
