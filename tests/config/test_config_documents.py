"""What `config show` shows: everything resolved, its origin, and no secret."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from config_fakes import REGISTRY, FakeOperations
from ruamel.yaml import YAML

from monitor.config import Loaded, load

Load = Callable[..., Loaded]
Problems = Callable[..., list[str]]

GOOD = Path(__file__).parent / "good"
ENVIRON = {"ACCOUNT_ID": "123456789012"}
SITE = "pipeline: a\nchecks:\n  site: {kind: http, url: x}\n"


@pytest.fixture(scope="module")
def good() -> Loaded:
    """Every good file."""
    return load([GOOD], REGISTRY, ENVIRON, FakeOperations())


def _leaves(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for n, item in enumerate(value):
            yield from _leaves(item, f"{path}[{n}]")
    else:
        yield path


@pytest.mark.parametrize("name", ["etl", "everything"])
def test_every_value_has_an_origin(good: Loaded, name: str) -> None:
    """And every origin is of a value: the two have the same paths."""
    assert set(_leaves(good.documents[name])) == set(good.origins[name])


def test_origins_say_where_from(good: Loaded) -> None:
    """A line, the environment, the kind, the product, or the line of `defaults`."""
    origins, file = good.origins["etl"], str(GOOD / "etl.yaml")
    assert origins["checks.execution-rate.interval"] == f"{file}:8"
    assert origins["checks.ingest-throttles.interval"] == f"{file}:4"
    assert origins["checks.execution-rate.state_machines[0]"] == "environment ACCOUNT_ID"
    assert origins["checks.execution-rate.window"] == "default of execution_rate"
    assert origins["checks.execution-rate.severity"] == "default"
    shown = good.origins["everything"]
    assert shown["breakers.cap.on_trip[0].set_lambda_concurrency.function"] == "default of set_lambda_concurrency"
    assert shown["breakers.cap.mode"] == "default"


def test_default_thresholds_are_shown(load_text: Load) -> None:
    """A check without thresholds shows the kind's, and that they are the kind's."""
    loaded = load_text("pipeline: a\nchecks:\n  r: {kind: execution_rate, state_machines: [x]}\n")
    check: Any = loaded.documents["a"]["checks"]
    assert check["r"]["thresholds"]["started_per_minute"]["critical"] == {
        "above": 200.0,
        "for": "2m",
        "clear": {"below": 100.0},
    }
    path = "checks.r.thresholds.started_per_minute.critical.clear.below"
    assert loaded.origins["a"][path] == "default of execution_rate"


def test_a_document_loads_as_the_same_pipeline(good: Loaded, tmp_path: Path) -> None:
    """Nothing is lost or changed between the file and what is shown of it."""
    path = tmp_path / "again.yaml"
    with path.open("w") as file:
        YAML(typ="safe").dump(json.loads(json.dumps(good.documents["etl"])), file)
    again = load([path], REGISTRY, {}).pipelines[0]
    first = good.pipelines[0]
    assert (again.checks, again.breakers, again.notify) == (first.checks, first.breakers, first.notify)


@pytest.mark.parametrize("secret", ["very-secret", "tokenA", "tokenB", "e-1"])
def test_written_secrets_are_masked(good: Loaded, secret: str) -> None:
    """Webhook paths, Apprise tokens, external ids; in notify and in steps alike."""
    assert secret not in json.dumps(good.documents["everything"])


def test_references_to_secrets_are_shown(good: Loaded) -> None:
    """They are names, and people need to see them."""
    shown: Any = good.documents["everything"]["notify"]
    assert [channel["url"] for channel in shown] == [
        "sns://123456789012/topic",
        "https://hooks.slack.com/***",
        "slack://***",
        "secretsmanager:prod/slack",
    ]


@pytest.mark.parametrize(
    "lines",
    [
        "vars: {t: 's3cr3t-value'}\nnotify: [{url: 'json://user:${t}@host/path'}]\n",
        "notify: [{url: '${SLACK_TOKEN}'}]\n",
        "vars: {t: '${SLACK_TOKEN}', u: 'x-${t}'}\n",
        "x: 1\n",
    ],
)
def test_secrets_do_not_get_out_through_variables(load_text: Load, problems_of: Problems, lines: str) -> None:
    """Neither in the document nor in a problem's text."""
    environ = {"SLACK_TOKEN": "s3cr3t-value-9"}
    text = SITE.replace("url: x", "url: x, token: '${SLACK_TOKEN}'") + lines
    if "x: 1" in lines or "'${SLACK_TOKEN}'}]" in lines:
        assert "s3cr3t-value-9" not in "\n".join(problems_of(text, environ))
    else:
        document = load_text(text, environ).documents["a"]
        masked = {key: value for key, value in document.items() if key != "vars"}
        assert "s3cr3t-value" not in json.dumps(masked)
        assert "s3cr3t-value-9" not in json.dumps(document)


@pytest.mark.parametrize(
    ("lines", "secret"),
    [
        ("    interval: ${API_TOKEN}\n", "hunter2"),
        ("    token: [hunter2]\n", "hunter2"),
        ("    retries: ${DB_PASSWORD}\n", "hunter2"),
        ("    severity: ${DB_PASSWORD}\n", "hunter2"),
    ],
)
def test_problems_do_not_print_secrets(problems_of: Problems, lines: str, secret: str) -> None:
    """A value from a secret variable at a wrong place is named by its path only."""
    text = f"pipeline: a\nchecks:\n  site:\n    kind: http\n    url: x\n{lines}"
    told = problems_of(text, {"API_TOKEN": "hunter2", "DB_PASSWORD": "hunter2"})
    assert len(told) == 1
    assert secret not in told[0]


def test_ordinary_addresses_are_shown(load_text: Load) -> None:
    """Queue URLs and runbook links are no secrets; passwords and tokens inside addresses are."""
    text = SITE.replace("url: x", "url: 'https://me:pw@sqs.us-east-1.amazonaws.com/1/q?Action=x&X-Token=pw'")
    shown: Any = load_text(text).documents["a"]["checks"]
    assert shown["site"]["url"] == "https://***@sqs.us-east-1.amazonaws.com/1/q?Action=x&X-Token=***"
