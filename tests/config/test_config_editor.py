"""The schema in an editor: yaml-language-server completes and marks pipeline files with it.

`make editor` installs the server; without it (and node) these tests are skipped.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from language_server import LanguageServer

from monitor import app
from monitor.config import json_schema
from monitor.starter.draft import SCHEMA

ROOT = Path(__file__).resolve().parents[2]
SERVER = ROOT / ".venv/yaml-language-server/node_modules/yaml-language-server/bin/yaml-language-server"
NODE = shutil.which("node")

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(
        not (NODE and SERVER.exists()), reason="`make editor` installs yaml-language-server (needs npm)"
    ),
]

#: As `tripswitch init` and every shipped file begin.
HEAD = f"# yaml-language-server: $schema={SCHEMA}\npipeline: etl\n"
CHECK = HEAD + "checks:\n  depth:\n    kind: queue_depth\n    queues: [a]\n"
BREAKER = CHECK + "breakers:\n  loop:\n    trip_when: depth.visible\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanguageServer]:
    """The server in a folder that holds the schema beside the files."""
    folder = tmp_path_factory.mktemp("pipelines")
    (folder / SCHEMA).write_text(json.dumps(json_schema(app.registry())), encoding="utf-8")
    with LanguageServer([str(NODE), str(SERVER), "--stdio"], folder) as running:
        yield running


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        (HEAD + "^", {"checks", "breakers", "aws", "notify", "maintenance", "vars", "defaults"}),
        (HEAD + "aws:\n  ^", {"region", "role_arn", "profile"}),
        (HEAD + "defaults:\n  ^", {"interval", "timeout", "severity"}),
        (HEAD + "checks:\n  depth:\n    ^", {"kind"}),
        (HEAD + "checks:\n  depth:\n    kind: ^", {"queue_depth", "execution_rate", "trigger_loops", "aws_query"}),
        (HEAD + "checks:\n  depth:\n    kind: queue_depth\n    ^", {"queues", "include_dlqs", "thresholds"}),
        (HEAD + "checks:\n  rate:\n    kind: execution_rate\n    ^", {"state_machines", "max_pages", "source"}),
        (HEAD + "checks:\n  rate:\n    kind: execution_rate\n    source: ^", {"auto", "executions", "cloudwatch"}),
        (HEAD + "checks:\n  runs:\n    kind: glue_runs\n    ^", {"jobs", "sla"}),
        (CHECK + "    severity: ^", {"SEV1", "SEV4"}),
        (CHECK + "    thresholds:\n      ^", {"visible", "oldest_age"}),
        (CHECK + "    thresholds:\n      visible:\n        ^", {"critical", "warning", "missing"}),
        (CHECK + "    thresholds:\n      visible:\n        missing: ^", {"zero", "unknown", "hold", "breach"}),
        (CHECK + "    thresholds:\n      visible:\n        critical:\n          ^", {"above", "below", "for", "clear"}),
        (CHECK + "breakers:\n  loop:\n    ^", {"trip_when", "mode", "on_trip", "recover", "limits", "severity"}),
        (BREAKER + "    mode: ^", {"observe", "approve", "auto"}),
        (BREAKER + "    on_trip:\n      - ^", {"disable_rule", "stop_executions", "wait", "approve", "verify"}),
        (BREAKER + "    on_trip:\n      - disable_rule:\n          ^", {"rule", "event_bus"}),
        (BREAKER + "    on_trip:\n      - stop_executions:\n          ^", {"state_machines", "older_than", "limit"}),
        (BREAKER + "    recover:\n      ^", {"mode", "after", "steps", "trial"}),
        (BREAKER + "    recover:\n      mode: ^", {"manual", "auto"}),
        (BREAKER + "    recover:\n      steps:\n        - verify:\n            ^", {"check", "level", "for", "signal"}),
        (BREAKER + "    limits:\n      ^", {"trips_per_day", "max_targets"}),
        (HEAD + "notify:\n  - ^", {"url", "min_severity"}),
    ],
)  # fmt: skip
def test_the_cursor_is_offered(server: LanguageServer, text: str, offered: set[str]) -> None:
    """What may stand at the cursor, of this kind and of this action."""
    labels = set(server.completions(text))
    assert offered <= labels, f"offered {sorted(labels)}"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (HEAD + "cheks: {}\n", 2, "cheks"),
        (HEAD + "aws: {regoin: us-east-1}\n", 2, "regoin"),
        (HEAD + "checks:\n  depth:\n    kind: queue_dept\n    queues: [a]\n", 4, "queue_depth"),
        (CHECK + "    queuse: [b]\n", 6, "queuse"),
        (CHECK + "    severity: high\n", 6, "SEV1"),
        (CHECK + "    thresholds: {visable: {critical: {above: 1}}}\n", 6, "visable"),
        (CHECK + "    thresholds:\n      visible: {critical: {over: 1}}\n", 7, "over"),
        (BREAKER + "    mode: always\n", 9, "observe"),
        (BREAKER + "    on_trip:\n      - disable_rule: {rool: a}\n", 10, "rool"),
        (HEAD + "checks: [a]\n", 2, "object"),
    ],
)
def test_a_mistake_is_marked(server: LanguageServer, text: str, line: int, said: str) -> None:
    """On its line, with words that name it or what may stand there."""
    marks = server.diagnostics(text)
    assert line in {mark["range"]["start"]["line"] for mark in marks}, marks
    assert said in " ".join(mark["message"] for mark in marks)


@pytest.mark.parametrize("path", sorted((ROOT / "config/pipelines").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_file_has_no_mark(server: LanguageServer, path: Path) -> None:
    """The whole file, every kind and action it uses."""
    text = path.read_text(encoding="utf-8").replace("../schema/pipeline.schema.json", SCHEMA, 1)
    assert server.diagnostics(text) == []


def test_hovering_a_parameter_says_what_it_is(server: LanguageServer) -> None:
    """The description of the kind's own parameter."""
    assert "redrive policies" in server.hover(CHECK + "    include_dl^qs: true\n")
