"""`tripswitch backtest` as people use it: what it prints, how it ends, and what it gives on CloudWatch's past."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from monitor.backtest.gather import Survey
from monitor.backtest.library import Library
from monitor.backtest.tape import Span
from monitor.cli.backtest import price, when
from monitor.cli.main import build
from monitor.demo.emulator import child

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:etl-workflow"
PIPELINE = f"""\
pipeline: etl
aws: {{region: us-east-1}}
checks:
  rate:
    kind: execution_rate
    interval: 60s
    state_machines: ["{MACHINE}"]
    thresholds:
      started_per_minute: {{critical: {{above: 200, for: 2m, clear: {{below: 100, for: 5m}}}}}}
  errors:
    kind: metric
    interval: 60s
    window: 1m
    metrics: {{errors: {{namespace: AWS/Lambda, metric: Errors, dimensions: {{FunctionName: ingest}}}}}}
    thresholds: {{value: {{critical: {{above: 10, for: 3m}}}}}}
  unheard:
    kind: queue_depth
    queues: [other]
breakers:
  loop:
    severity: SEV1
    trip_when: {{any: [rate.started_per_minute]}}
    on_trip:
      - disable_rule: {{rule: etl-s3-events}}
    recover: {{mode: auto, after: 15m}}
  failing:
    severity: SEV2
    trip_when: {{any: [errors.value]}}
    on_trip:
      - disable_rule: {{rule: etl-s3-events}}
"""
NOW = datetime(2026, 3, 14, 9, 30, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pipeline file and samples of a day with one loop from 06:00 to 06:30."""
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "etl.yaml").write_text(PIPELINE)
    rows = ["at,check,signal,target,value"]
    for minute in range(1440):
        value = 600 if 360 <= minute < 390 else 40 + minute % 7
        at = NOW.replace(hour=0, minute=0) + timedelta(minutes=minute)
        rows.append(f"{at.isoformat()},rate,started_per_minute,etl-workflow,{value}")
    (tmp_path / "day.csv").write_text("\n".join(rows))
    (tmp_path / "labels.csv").write_text("2026-03-14T06:00:00Z,2026-03-14T06:30:00Z,loop\n")
    return tmp_path


def run(folder: Path, *more: str) -> Result:
    """The command on the folder's pipeline."""
    return CliRunner().invoke(build(), ["backtest", str(folder / "etl.yaml"), *more])


def test_a_day_of_samples_is_told_in_full(folder: Path) -> None:
    """The trip, what the playbook would have done, and which breaker heard nothing."""
    done = run(folder, "--samples", str(folder / "day.csv"))
    assert done.exit_code == 0, done.output
    assert re.search(r"etl/loop\s+2026-03-14 06:02\s+2026-03-14 06:5\d.*600 executions/min above 200", done.stdout)
    assert "disable the rule etl-s3-events" in done.stdout
    assert re.search(r"etl/failing\s+observe\s+unknown", done.stdout)
    assert "\x1b[" not in done.stdout


def test_labels_make_a_score_and_decide_the_exit_code(folder: Path) -> None:
    """All found: 0. With `--expect none` the same trip is a false one: 1."""
    options = ["--samples", str(folder / "day.csv"), "--only", "loop", "--output", "json"]
    done = run(folder, *options, "--labels", str(folder / "labels.csv"))
    assert done.exit_code == 0, done.output
    (breaker,) = json.loads(done.stdout)["breakers"]
    assert breaker["score"] == {
        "true": 1, "false": 0, "missed": 0, "precision": 1.0, "recall": 1.0, "median_delay_seconds": 120.0,
    }  # fmt: skip
    assert breaker["history"][0]["causes"][0]["target"] == "etl-workflow"
    assert breaker["history"][0]["would_do"] == ["disable the rule etl-s3-events"]
    assert breaker["cut_seconds"] > 0
    assert run(folder, *options, "--expect", "none").exit_code == 1


def test_a_report_is_written(folder: Path) -> None:
    """HTML by its suffix; another suffix is refused before anything is read."""
    options = ["--samples", str(folder / "day.csv"), "--sweep", "rate.started_per_minute"]
    done = run(folder, *options, "--report", str(folder / "r.html"))
    assert done.exit_code == 0, done.output
    assert (folder / "r.html").read_text().startswith("<!doctype html>")
    assert "* configured" in done.stdout
    refused = run(folder, *options, "--report", str(folder / "r.pdf"))
    assert refused.exit_code == 2
    assert "FILE.html or FILE.png" in refused.output


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--only", "nope"], "no breaker is called nope; there are: etl/loop, etl/failing"),
        (["--since", "soon"], "neither a duration (14d, 36h) nor a time"),
        (["--since", "1d", "--until", "2d"], "--since is not before --until"),
        (["--samples", "nowhere.csv"], "nowhere.csv"),
        (["--samples", "x", "--prometheus", "http://127.0.0.1:9"], "two histories"),
        (["--prometheus", "http://127.0.0.1:9"], "is it Prometheus?"),
    ],
)
def test_a_wrong_word_is_answered_with_the_right_ones(folder: Path, options: list[str], complaint: str) -> None:
    """Exit code 2, and what to write instead."""
    done = run(folder, *options)
    assert done.exit_code == 2
    assert complaint in done.output.replace("\n", " ")


def test_a_time_is_a_duration_ago_or_a_date() -> None:
    """14d, 36h, a day, an instant."""
    assert when("36h", NOW) == NOW - timedelta(hours=36)
    assert when("2026-03-01", NOW) == datetime(2026, 3, 1, tzinfo=UTC)
    assert when("2026-03-01T12:00+01:00", NOW) == datetime(2026, 3, 1, 11, tzinfo=UTC)


def survey(dollars: float) -> Survey:
    """As if this much had to be read."""
    return Survey([], Library(Span(NOW, NOW), NOW), int(dollars / 0.00001), dollars)


def test_the_price_is_told_and_above_a_dollar_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """Cents are told only; more than a dollar takes --yes where nobody can be asked."""
    price(survey(0.05), 14.0, yes=False)
    assert "5000 metrics over 14 days from CloudWatch: about $0.05" in capsys.readouterr().err
    with pytest.raises(typer.Exit) as refused:
        price(survey(1.5), 14.0, yes=False)
    assert refused.value.exit_code == 2
    assert "--yes" in capsys.readouterr().err
    price(survey(1.5), 14.0, yes=True)
    price(survey(0.0), 14.0, yes=False)
    assert "nothing is read from CloudWatch" in capsys.readouterr().err


@pytest.mark.process
def test_without_any_history_there_is_no_verdict(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing could be read: a table of unknowns with exit 0 would pass for a quiet fortnight in CI."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    done = run(folder, "--since", "1d")
    assert done.exit_code == 1, done.output
    assert "there is no history to replay" in done.stderr
    assert "aws sts get-caller-identity" in done.stderr


@pytest.fixture(scope="module")
def emulator() -> Iterator[child.Child]:
    """AWS in a process of its own."""
    with child.start() as running:
        yield running


@pytest.mark.process
async def test_cloudwatch_history_trips_where_the_loop_was(
    emulator: child.Child, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop and a burst of errors in the emulator's past: exactly these trips, at these minutes, and no other."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in emulator.environment().items():
        monkeypatch.setenv(name, value)
    now = datetime.now(UTC).replace(second=0, microsecond=0)

    def point(ago: int, namespace: str, metric: str, value: float, **dimensions: str) -> dict[str, object]:
        seconds = (datetime.now(UTC) - (now - timedelta(minutes=ago) + timedelta(seconds=30))).total_seconds()
        return {"namespace": namespace, "metric": metric, "value": value, "ago": seconds, "dimensions": dimensions}

    points = [
        point(ago, "AWS/States", "ExecutionsStarted", 600 if 1000 < ago <= 1030 else 45, StateMachineArn=MACHINE)
        for ago in range(1, 2880)
    ]
    points += [point(ago, "AWS/Lambda", "Errors", 50, FunctionName="ingest") for ago in range(501, 511)]
    points += [point(ago, "AWS/Lambda", "Errors", 50, FunctionName="ingest") for ago in (701, 702)]
    async with child.Side(emulator.url) as side:
        await side.post("metrics", points=points)
    options = ["--since", "2d", "--until", now.isoformat(), "--output", "json", "--cache", str(folder / "cache")]
    done = _run_in_thread(folder, *options, "--lag", "0s")
    found = {one["breaker"]: one for one in json.loads(done.stdout)["breakers"]}
    # The minute labelled `ago` ends at now - ago + 1 min; a breach for 2m is the third breaching run.
    loop = now - timedelta(minutes=1030 - 1 - 2)
    assert [one["start"] for one in found["etl/loop"]["history"]] == [loop.isoformat()]
    failing = now - timedelta(minutes=510 - 1 - 3)
    assert [one["start"] for one in found["etl/failing"]["history"]] == [failing.isoformat()]
    assert "reading 2 metrics over 2 days from CloudWatch: less than $0.01" in done.stderr
    signals = {(one["check"], one["signal"]): one["fidelity"] for one in json.loads(done.stdout)["signals"]}
    assert signals["etl/rate", "started_per_minute"] == "approximate"
    assert signals["etl/rate", "growth"] == "none"
    assert signals["etl/errors", "value"] == "same"
    # A window of a minute whose point comes two minutes late is always empty: the loop, no burst, and a word on it.
    late = json.loads(_run_in_thread(folder, *options, "--lag", "2m").stdout)
    assert {one["breaker"]: one["trips"] for one in late["breakers"]} == {"etl/loop": 1, "etl/failing": 0}
    (told,) = [one for one in late["signals"] if one["check"] == "etl/errors"]
    assert "is --lag longer than the window?" in told["note"]
    assert "reading" not in _run_in_thread(folder, *options).stderr, "all of it is in the cache"


def _run_in_thread(folder: Path, *more: str) -> Result:
    """The command starts its own loop."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(run, folder, *more).result()
    assert done.exit_code == 0, done.output
    return done
