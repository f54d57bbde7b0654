"""Variables in values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from checks import KINDS
from monitor.actions import ACTIONS
from monitor.config import ConfigError, Loaded, load
from monitor.plugin import Registry

Load = Callable[..., Loaded]
Problems = Callable[..., list[str]]

TEXT = "pipeline: a\nvars: {{v: vars win, w: '${{v}}, ${{A}}'}}\nchecks:\n  site: {{kind: http, url: {url}}}\n"


def _url(load_text: Load, written: str, environ: Mapping[str, str]) -> str:
    return str(load_text(TEXT.format(url=written), environ).pipelines[0].checks["site"].params.url)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("'${A}'", "one"),
        ("'${A}/${B}'", "one/two words"),
        ("'${NO:-default}'", "default"),
        ("'${EMPTY:-default}'", "default"),
        ("'${A:-default}'", "one"),
        ("'${NO:-${ALSO_NO:-inner}}'", "inner"),
        ("'${NO:-}x'", "x"),
        ("'$${A} costs $5 and $$'", "${A} costs $5 and $"),
        ("'${v}'", "vars win"),
        ("'${w}'", "vars win, one"),
        ("'${ACCOUNT}'", "012"),
    ],
)
def test_text_is_filled_in(load_text: Load, written: str, read: str) -> None:
    """vars over environment over default; `$$` is a dollar sign; a lone dollar is one too."""
    environ = {"A": "one", "B": "two words", "EMPTY": "", "v": "environment", "ACCOUNT": "012"}
    assert _url(load_text, written, environ) == read


def test_a_whole_scalar_is_typed_again(load_text: Load) -> None:
    """`retries: ${N}` is a number, and where text is wanted the same value stays text with its zeros."""
    text = "pipeline: a\nchecks:\n  site:\n    kind: http\n    url: ${ACCOUNT}\n    retries: ${N}\n    follow: ${F}\n"
    params = load_text(text, {"N": "3", "ACCOUNT": "000123", "F": "false"}).pipelines[0].checks["site"].params
    assert (params.url, params.retries, params.follow) == ("000123", 3, False)


def test_keys_are_not_filled_in(problems_of: Problems) -> None:
    """A variable in a key is just an odd name."""
    told = problems_of("pipeline: a\nchecks:\n  '${A}': {kind: http, url: x}\n", {"A": "site"})
    assert told == ["3:3: checks.${A}: '${A}' is not a name (letters, digits, _ and -)"]


def test_extension_keys_are_left_alone(load_text: Load) -> None:
    """What nobody uses may hold anything; what is used is checked where it is used."""
    assert load_text("pipeline: a\nx-later: ${NOPE}\nchecks:\n  s: {kind: http, url: x}\n")


def test_an_unused_variable_is_still_checked(problems_of: Problems) -> None:
    """And its uses are not blamed a second time."""
    told = problems_of("pipeline: a\nvars: {v: '${NOPE}'}\nchecks:\n  s: {kind: http, url: '${v}'}\n")
    assert [text.split(": ")[1] for text in told] == ["vars.v"]


def test_a_value_explosion_stops(problems_of: Problems) -> None:
    """Variables that double each other end at a limit, not in memory."""
    lines = ["pipeline: a", "vars:", "  v0: xxxxxxxxxx"]
    lines += [f"  v{n}: ${{v{n - 1}}}${{v{n - 1}}}" for n in range(1, 40)]
    told = problems_of("\n".join([*lines, "checks:", "  s: {kind: http, url: x}", ""]))
    assert len(told) == 1
    assert "longer than 65536 characters" in told[0]


PRIOR = """
pipeline: a
checks:
  retention: {kind: aws_query, service: sqs, operation: GetQueueAttributes, parameters: {QueueUrl: q}, query: "`1`"}
breakers:
  keep:
    trip_when: retention
    on_trip:
      - aws_call:
          service: logs
          operation: PutRetentionPolicy
          parameters: {logGroupName: g, retentionInDays: 7}
          capture: {operation: DescribeLogGroups, query: "logGroups[0].retentionInDays"}
          undo: {operation: PutRetentionPolicy, parameters: {logGroupName: g, retentionInDays: "${prior}"}}
          %s
"""


def test_prior_stays_for_the_undo_of_a_call_and_nowhere_else(tmp_path: Path) -> None:
    """`${prior}` is the captured value: it is left for the undo to fill in, and undefined anywhere else."""
    registry = Registry({c.kind: c for c in KINDS}, {a.name: a for a in ACTIONS})
    file = tmp_path / "a.yaml"
    file.write_text(PRIOR % "", encoding="utf-8")
    step = load([file], registry, {}).pipelines[0].breakers["keep"].on_trip[0]
    assert step.params["undo"]["parameters"]["retentionInDays"] == "${prior}"  # type: ignore[index, call-overload]
    file.write_text(PRIOR % 'resource: "${prior}"', encoding="utf-8")
    with pytest.raises(ConfigError, match="'prior' is not defined"):
        load([file], registry, {})


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        ("backfill: {function: f, payload: {at: '${window.start}'}, windows: {from: 6h}}", ""),
        ("backfill: {function: f, payload: {at: '${window.begin}'}, windows: {from: 6h}}", "does not exist"),
        ("invoke: {function: f, payload: {at: '${window.start}'}}", "only in backfill and reprocess_objects"),
    ],
)
def test_windows_are_left_to_the_actions_that_work_through_them(tmp_path: Path, step: str, problem: str) -> None:
    """Anywhere else the text would be sent as it stands."""
    path = tmp_path / "a.yaml"
    path.write_text(
        "pipeline: a\nchecks:\n  q: {kind: queue_depth, queues: [q]}\n"
        f"breakers:\n  b:\n    trip_when: q\n    on_trip:\n      - {step}\n"
    )
    registry = Registry({kind.kind: kind for kind in KINDS}, {action.name: action for action in ACTIONS})
    if problem:
        with pytest.raises(ConfigError, match=problem):
            load([path], registry, {})
        return
    loaded = load([path], registry, {})
    assert loaded.pipelines[0].breakers["b"].on_trip[0].params["payload"] == {"at": "${window.start}"}
