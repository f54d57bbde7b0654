"""Commands that need no daemon: validate, schema, config show, explain, demo's door, and the start of it all."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest
from fake_surface import Run
from pydantic import Field
from ruamel.yaml import YAML
from typer.testing import CliRunner

from monitor.app import registry
from monitor.cli import catalogue
from monitor.cli.main import build
from monitor.plugin import Bound, Clear, Duration, Params, Selector

GOOD = """\
pipeline: orders
vars: {queue: "orders-${STAGE:-dev}"}
checks:
  depth:
    kind: queue_depth
    queues: ["${queue}"]
    thresholds: {visible: {critical: {above: 10, for: 5m}}}
breakers:
  pause:
    severity: SEV2
    trip_when: depth.visible
    on_trip:
      - set_event_source: {function: orders-consumer, enabled: false}
notify:
  - {url: "https://hooks.example.com/T0/secret-part"}
"""
BAD = "pipeline: orders\nchecks:\n  depth:\n    kind: queue_depht\n  rate: {kind: execution_rate, machines: x}\n"


@pytest.fixture
def good(tmp_path: Path) -> str:
    """A valid file."""
    path = tmp_path / "orders.yaml"
    path.write_text(GOOD)
    return str(path)


@pytest.fixture
def other(tmp_path: Path) -> str:
    """Another valid file."""
    path = tmp_path / "refunds.yaml"
    path.write_text(GOOD.replace("pipeline: orders", "pipeline: refunds"))
    return str(path)


@pytest.fixture
def bad(tmp_path: Path) -> str:
    """A file with two mistakes."""
    path = tmp_path / "bad.yaml"
    path.write_text(BAD)
    return str(path)


async def test_a_valid_file_is_counted(cli: Run, good: str) -> None:
    """Exit 0 and how much there is."""
    result = await cli("validate", good)
    assert (result.exit_code, result.stdout) == (0, "ok: 1 pipeline, 1 check, 1 breaker\n")


async def test_every_problem_is_a_line_with_its_place(cli: Run, bad: str) -> None:
    """Exit 3; each line begins with file:line:column."""
    result = await cli("validate", bad)
    assert result.exit_code == 3
    lines = result.stdout.splitlines()
    assert len(lines) >= 2
    assert lines[0].startswith(f"{bad}:4:")
    assert "queue_depth" in lines[0]
    assert all(line.startswith(f"{bad}:") for line in lines)
    assert f"{len(lines)} problems in 1 file" in result.stderr


async def test_problems_for_programs(cli: Run, bad: str, good: str) -> None:
    """JSON tells positions as numbers; a valid file gives the counts."""
    told = json.loads((await cli("validate", bad, "-o", "json")).stdout)
    assert told["ok"] is False
    assert (told["problems"][0]["line"], told["problems"][0]["path"]) == (4, "checks.depth.kind")
    assert json.loads((await cli("validate", good, "-o", "json")).stdout)["checks"] == 1


async def test_problems_as_annotations(cli: Run, tmp_path: Path) -> None:
    """A workflow command per problem; commas and colons of the path are escaped, messages stay on one line."""
    path = tmp_path / "a,b.yaml"
    path.write_text(BAD)
    lines = (await cli("validate", str(path), "-o", "github")).stdout.splitlines()
    assert all(line.startswith("::error file=") and line.count("::") == 2 for line in lines)
    assert "a%2Cb.yaml,line=4,col=" in lines[0]


@pytest.mark.parametrize("command", ["run", "check", "validate"])
def test_an_invalid_file_ends_every_command_with_3(bad: str, command: str) -> None:
    """run, check and validate agree on the exit code and the words."""
    result = CliRunner().invoke(build(), [command, bad])  # in the main thread: `run` takes signals
    assert result.exit_code == 3
    assert f"{bad}:4:" in result.output
    assert "Traceback" not in result.output


async def test_a_wrong_setting_is_wrong_usage_of_run(cli: Run, good: str) -> None:
    """The flag is named, nothing starts."""
    result = await cli("run", good, "--listen", "nowhere")
    assert (result.exit_code, "--listen" in result.stderr) == (2, True)


async def test_a_wrong_setting_is_unknown_for_check(cli: Run, good: str) -> None:
    """2 would read as critical, so `check` says 3."""
    assert (await cli("check", good, "--endpoint", "nowhere")).exit_code == 3


async def test_only_must_name_a_check(cli: Run, good: str) -> None:
    """A typo in --only is unknown, never ok, and the checks are named."""
    result = await cli("check", good, "--only", "dept")
    assert (result.exit_code, "orders/depth" in result.stderr) == (3, True)


async def test_the_schema_accepts_what_the_loader_accepts(cli: Run, bad: str) -> None:
    """It is draft-07 and tells a good file from a bad one."""
    schema = json.loads((await cli("schema")).stdout)
    yaml = YAML(typ="safe", pure=True)
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.validate(yaml.load(GOOD), schema, jsonschema.Draft7Validator)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.load(BAD), schema, jsonschema.Draft7Validator)


async def test_the_config_is_shown_resolved_and_masked(cli: Run, good: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables and defaults are in place; the webhook's secret part is not."""
    monkeypatch.setenv("STAGE", "prod")
    shown = (await cli("config", "show", good)).stdout
    document = YAML(typ="safe", pure=True).load(shown)
    assert document["checks"]["depth"]["queues"] == ["orders-prod"]
    assert document["breakers"]["pause"]["mode"] == "observe"
    assert "secret-part" not in shown


async def test_origins_stand_beside_the_values(cli: Run, good: str) -> None:
    """As comments in YAML, so it still parses; as a mapping in JSON."""
    shown = (await cli("config", "show", good, "--origin")).stdout
    line = next(line for line in shown.splitlines() if "kind: queue_depth" in line)
    assert line.endswith(f"# {good}:5")
    assert any(line.endswith("# default") for line in shown.splitlines())
    assert YAML(typ="safe", pure=True).load(shown)["pipeline"] == "orders"
    told = json.loads((await cli("config", "show", good, "--origin", "-o", "json")).stdout)
    assert told["orders"]["origins"]["checks.depth.kind"] == f"{good}:5"


async def test_two_pipelines_are_two_documents(cli: Run, good: str, other: str) -> None:
    """One YAML document each, in the order given."""
    shown = (await cli("config", "show", good, other)).stdout
    assert [d["pipeline"] for d in YAML(typ="safe", pure=True).load_all(shown)] == ["orders", "refunds"]


async def test_the_catalogue_names_every_kind_and_action(cli: Run) -> None:
    """Nothing that is shipped is left out."""
    known = registry()
    told = json.loads((await cli("explain", "-o", "json")).stdout)
    assert {entry["kind"] for entry in told["kinds"]} == set(known.kinds)
    assert {entry["action"] for entry in told["actions"]} == set(known.actions)
    shown = (await cli("explain")).stdout
    assert all(name in shown for name in {*known.kinds, *known.actions})


@pytest.mark.parametrize("name", sorted({*registry().kinds, *registry().actions}))
async def test_each_entry_explains_itself(cli: Run, name: str) -> None:
    """Parameters, permissions and an example; signals for a kind, blast radius and risk for an action."""
    known = registry()
    shown = (await cli("explain", name)).stdout
    assert "Permissions:" in shown
    assert name in shown.split("Example:")[1]
    model = (known.kinds.get(name) or known.actions[name]).params
    assert all((field.alias or key) in shown for key, field in model.model_fields.items())
    if name in known.kinds:
        assert all(signal.name in shown for signal in known.kinds[name].signals)
        assert known.kinds[name].cost[:20] in shown
    else:
        assert "Blast radius:" in shown
        assert str(known.actions[name].risk) in shown


async def test_a_typo_gets_a_suggestion(cli: Run) -> None:
    """The nearest name is offered, exit 2."""
    result = await cli("explain", "queue_dept")
    assert (result.exit_code, "did you mean queue_depth?" in result.stderr) == (2, True)


class Sample(Params):
    """One field of each sort."""

    queues: Selector = Field(description="Which.")
    window: Duration = Field(default=timedelta(minutes=5), description="How long.")
    older: Duration | None = None
    limit: int = Field(default=10, ge=1, le=100)
    tags: dict[str, str] = Field(default_factory=dict)
    names: list[str] = Field(default_factory=list)


def test_parameters_are_told_in_words() -> None:
    """Types as people say them, defaults as they would be written."""
    told = {one["name"]: one for one in catalogue.parameters(Sample)}
    assert (told["queues"]["type"], told["queues"]["required"]) == ("selector", True)
    assert (told["window"]["type"], told["window"]["default"]) == ("duration", "5m")
    assert (told["older"]["type"], told["older"]["default"]) == ("duration", None)
    assert told["limit"]["type"] == "whole number (>= 1, <= 100)"
    assert told["tags"]["type"] == "mapping to text"
    assert told["names"]["type"] == "list of text"


@pytest.mark.parametrize(
    ("bound", "words"),
    [
        (Bound(above=200), "above 200"),
        (Bound(below=0.5, hold=timedelta(minutes=2)), "below 0.5 for 2m"),
        (Bound(above=1, datapoints=3, of=5), "above 1 in 3 of 5 runs"),
        (Bound(above=200, clear=Clear(below=100, hold=timedelta(minutes=5))), "above 200, clears below 100 for 5m"),
        (Bound(above=2, clear=Clear(hold=timedelta(minutes=5))), "above 2, clears not breached for 5m"),
    ],
)
def test_thresholds_are_told_in_words(bound: Bound, words: str) -> None:
    """Bound, duration, M of N, and when it clears."""
    assert catalogue.words(bound) == words


@pytest.mark.parametrize(
    "words",
    [
        (), ("run",), ("check",), ("validate",), ("explain",), ("schema",), ("config", "show"), ("status",),
        ("breaker", "trip"), ("breaker", "reset"), ("breaker", "approve"), ("breaker", "disable"),
        ("breaker", "enable"), ("breaker", "list"), ("incident", "list"), ("incident", "show"), ("incident", "note"),
        ("incident", "report"), ("incident", "ack"),
        ("silence", "add"), ("silence", "list"), ("silence", "remove"), ("actions", "on"),
        ("actions", "off"), ("reload",), ("healthz",), ("demo",),
    ],
    ids=" ".join,
)  # fmt: skip
async def test_every_command_has_help_with_an_example(cli: Run, words: tuple[str, ...]) -> None:
    """`--help` works everywhere, and each command shows how it is typed."""
    result = await cli(*words, "--help")
    assert result.exit_code == 0
    example = " ".join(("tripswitch", *words))
    assert not words or example in result.output


async def test_explain_opens_what_is_inside_a_parameter(cli: Run) -> None:
    """Keys of nested mappings are told with their descriptions, and so are the keys that every check and step has."""
    told = (await cli("explain", "metric")).stdout
    assert "metrics.NAME.namespace" in told
    assert "Every check also takes: " in told
    step = (await cli("explain", "aws_call")).stdout
    assert "undo.operation" in step
    assert "on_error" in step
    shown = json.loads((await cli("explain", "database", "--output", "json")).stdout)
    nested = [one for one in shown["parameters"] if "." in one["name"]]
    assert nested
    assert all(one["description"] for one in nested)


async def test_the_demo_lists_its_scenarios(cli: Run) -> None:
    """Names and what each shows."""
    result = await cli("demo", "--list")
    assert result.exit_code == 0
    assert "event-loop" in result.stdout


async def test_a_demo_without_its_extra_says_how_to_install_it(cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence with the pip command, no traceback."""
    monkeypatch.setattr("monitor.cli.demo.find_spec", lambda name: None)
    result = await cli("demo")
    assert (result.exit_code, "tripswitch[demo]" in result.stderr) == (1, True)


@pytest.mark.process
def test_help_loads_nothing_heavy() -> None:
    """Neither the engine nor AWS's SDK nor the web server is imported to show the commands."""
    code = (
        "import sys; from monitor.cli.main import build; build()(['--help'], standalone_mode=False);"
        "heavy = {'monitor.app', 'aiobotocore', 'aiohttp', 'pydantic', 'structlog', 'ruamel.yaml'} & set(sys.modules);"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
