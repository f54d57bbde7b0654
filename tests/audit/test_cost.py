"""`tripswitch cost`: figures that follow from the files, in a table and as JSON."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from monitor.cli.main import build

TEXT = """pipeline: p
aws: {region: us-east-1}
checks:
  rate: {kind: execution_rate, interval: 30s, state_machines: [etl], cross_check: false}
  again: {kind: execution_rate, interval: 30s, state_machines: [etl], cross_check: false}
  depth: {kind: queue_depth, interval: 60s, queues: QUEUES, include_dlqs: false}
  api: {kind: probe, interval: 5s, urls: ["http://127.0.0.1:9/never-sent"]}
"""


@pytest.fixture
def told(tmp_path, monkeypatch):
    """`told(text, *flags)`: the JSON document."""
    monkeypatch.delenv("AWS_REGION", raising=False)

    def ask(text: str, *flags: str):
        file = tmp_path / "p.yaml"
        file.write_text(text)
        done = CliRunner().invoke(build(), ["cost", str(file), "-o", "json", *flags])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    return ask


def by_operation(document) -> dict[str, dict]:
    """Its lines."""
    return {f"{one['aws_service']}:{one['operation']}": one for one in document["operations"]}


def test_calls_follow_from_intervals_and_equal_reads_are_one(told):
    """Two checks of the same list at the same moment: one call, twice a minute."""
    lines = by_operation(told(TEXT.replace("QUEUES", "[a, b]")))
    assert lines["stepfunctions:ListExecutions"]["calls_per_minute"] == pytest.approx(2)
    assert lines["sqs:GetQueueAttributes"]["calls_per_minute"] == pytest.approx(2)
    assert lines["cloudwatch:GetMetricData"]["calls_per_minute"] == pytest.approx(1)
    # 5 a second in Virginia: 2 of 300 a minute.
    assert lines["stepfunctions:ListExecutions"]["quota_share"] == pytest.approx(2 / 300)


def test_dollars_are_list_prices_of_a_month(told):
    """Two ages a minute and two requests: $0.01 per 1,000 metrics, $0.40 per million requests, 43,200 minutes."""
    document = told(TEXT.replace("QUEUES", "[a, b]"))
    assert document["metrics_per_month"] == pytest.approx(2 * 43_200)
    assert document["dollars_by_service"]["cloudwatch"] == pytest.approx(2 * 43_200 * 0.01 / 1000)
    assert document["dollars_by_service"]["sqs"] == pytest.approx(2 * 43_200 * 0.40 / 1e6)
    assert document["dollars_per_month"] == pytest.approx(sum(document["dollars_by_service"].values()))


@pytest.mark.parametrize("targets", [0, 7])
def test_what_globs_find_is_assumed_and_said(told, targets):
    """As many as `--targets`, listed once in five minutes; the check is named as a guess."""
    document = told(TEXT.replace("QUEUES", "'jobs-*'"), "--targets", str(targets))
    lines = by_operation(document)
    asked = lines.get("sqs:GetQueueAttributes", {"calls_per_minute": 0.0})["calls_per_minute"]
    assert asked == pytest.approx(targets)
    assert lines["sqs:ListQueues"]["calls_per_minute"] == pytest.approx(0.2)
    assert document["assumed"] == ["p/depth"]


def test_nothing_is_sent(told):
    """Probes of addresses are no business of AWS's: they are not in the bill, and not made."""
    assert all(one["aws_service"] != "probe" for one in told(TEXT.replace("QUEUES", "[a]"))["operations"])


def test_the_table_is_for_people(tmp_path):
    """The dearest first, the sum on stderr, and what was assumed."""
    file = tmp_path / "p.yaml"
    file.write_text(TEXT.replace("QUEUES", "'jobs-*'"))
    done = CliRunner().invoke(build(), ["cost", str(file)])
    assert done.exit_code == 0, done.output
    assert done.stdout.index("GetMetricData") < done.stdout.index("ListExecutions")
    assert "calls a minute" in done.stderr
    assert "assumed: 5 resources per glob or tag of p/depth" in done.stderr
