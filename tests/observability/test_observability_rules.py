"""The shipped alerts: well-formed, unit-tested one by one, and with a page for whoever is woken by them."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from observed import ALERTMANAGER, PROMETHEUS, ROOT, RULES, binary, read, rules

ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}
UNITS = sorted((PROMETHEUS / "tests").glob("*.yaml"))
PAGE = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
SECTION = re.compile(r"^### (\w+)\n\n(.+?)(?=^#|\Z)", re.MULTILINE | re.DOTALL)
BASE = "https://github.com/tripswitch/tripswitch/blob/main/docs/alerts.md#"

#: What operators look for, by what answers it.
WANTED = {
    "daemon absent": "TripswitchAbsent",
    "not ready": "TripswitchNotReady",
    "config reload failed": "TripswitchConfigRejected",
    "check stale": "TripswitchCheckStale",
    "check failing": "TripswitchCheckFailing",
    "target unknown too long": "TripswitchTargetsUnknown",
    "AWS throttling": "TripswitchAwsThrottled",
    "AWS source down": "TripswitchAwsDown",
    "breaker open": "TripswitchBreakerOpen",
    "tripping too long": "TripswitchBreakerTrippingLong",
    "latched": "TripswitchBreakerLatched",
    "action failed": "TripswitchActionFailed",
    "actions held": "TripswitchActionsHeld",
    "kill switch": "TripswitchActionsDisabled",
    "drain not moving": "TripswitchDrainStalled",
    "drift": "TripswitchDrift",
    "lease missing": "TripswitchLeaseMissing",
    "two leaders": "TripswitchLeaseContested",
    "loop lag": "TripswitchLoopLag",
    "notices failing": "TripswitchNoticesFailing",
    "AWS bill above plan": "TripswitchBillAbovePlan",
    "observe mode would trip": "TripswitchBreakerWouldTrip",
}


def run(*command: str | Path) -> None:
    """To its end; fails with its own words."""
    first, *rest = command
    ended = subprocess.run([binary(str(first)), *map(str, rest)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_promtool_finds_nothing_in_the_rules() -> None:
    """Lint included: no rule twice, no expression that does not parse."""
    run("promtool", "check", "rules", "--lint=all", "--lint-fatal", RULES)


def test_the_example_configs_are_well_formed() -> None:
    """Prometheus' and Alertmanager's own checkers say so."""
    run("promtool", "check", "config", PROMETHEUS / "prometheus.yaml")
    run("amtool", "check-config", ALERTMANAGER)


@pytest.mark.parametrize("severity", ["critical", "warning", "info"])
def test_every_severity_has_its_receiver(severity: str) -> None:
    """Three severities, three ears."""
    expected = {"critical": "pager", "warning": "chat", "info": "digest"}[severity]
    run("amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}", f"--verify.receivers={expected}",
        f"severity={severity}", "alertname=TripswitchAbsent")  # fmt: skip


@pytest.mark.parametrize("file", UNITS, ids=lambda file: file.stem)
def test_the_alerts_do_what_their_unit_tests_say(file: Path) -> None:
    """`promtool test rules`, one file per concern."""
    run("promtool", "test", "rules", file)


@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_every_alert_is_seen_to_be_silent_to_fire_and_to_resolve(alert: str) -> None:
    """In this order, in one of the unit tests, with the words that people get."""
    stories = [
        [one for one in test["alert_rule_test"] if one["alertname"] == alert]
        for file in UNITS
        for test in read(file)["tests"]
    ]
    whole = [["fires" if one["exp_alerts"] else "silent" for one in story] for story in stories]
    assert any(story[0] == "silent" and "fires" in story and story[-1] == "silent" for story in whole if story), (
        f"{alert} has no unit test that goes there and back: {[story for story in whole if story]}"
    )
    fired = [found for story in stories for one in story for found in one["exp_alerts"]]
    assert all(found["exp_annotations"].keys() == ALERTS[alert]["annotations"].keys() for found in fired)


def test_the_unit_tests_notice_a_bound_that_moved(tmp_path: Path) -> None:
    """They can fail: an alert that waits twice as long is not there when it is to be."""
    moved = read(RULES)
    for group in moved["groups"]:
        for rule in group["rules"]:
            if rule.get("alert") == "TripswitchActionsDisabled":
                rule["for"] = "30m"
    (tmp_path / "rules.yaml").write_text(json.dumps(moved))
    tests = read(PROMETHEUS / "tests" / "actions.yaml") | {"rule_files": [str(tmp_path / "rules.yaml")]}
    (tmp_path / "tests.yaml").write_text(json.dumps(tests))
    command = [binary("promtool"), "test", "rules", str(tmp_path / "tests.yaml")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "alertname: TripswitchActionsDisabled, time: 22m" in ended.stdout + ended.stderr


def test_everything_that_operators_look_for_is_there() -> None:
    """By the names this page promises."""
    assert {what: name for what, name in WANTED.items() if name not in ALERTS} == {}


def test_names_are_unique_and_groups_are_concerns() -> None:
    """The chart replaces thresholds by alert name."""
    names = Counter(rule.get("alert") or rule["record"] for rule in rules())
    assert [name for name, count in names.items() if count > 1] == []
    assert [group["name"] for group in read(RULES)["groups"]] == [
        f"tripswitch-{concern}" for concern in ("records", "daemon", "checks", "breakers", "actions", "aws", "notices")
    ]


@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_every_alert_says_how_bad_it_is_what_it_is_and_where_to_read_on(alert: str) -> None:
    """A severity, a summary of one line, a description with the values, and a page that exists and says the same."""
    rule = ALERTS[alert]
    severity = rule["labels"]["severity"]
    assert severity in {"critical", "warning", "info"}
    notes = rule["annotations"]
    assert notes.keys() == {"summary", "description", "runbook_url"}
    assert "\n" not in notes["summary"]
    assert len(notes["summary"]) < 100
    assert "$labels" in notes["description"] or "$value" in notes["description"] or alert == "TripswitchAbsent"
    assert notes["runbook_url"] == BASE + alert.lower()
    sections = dict(SECTION.findall(PAGE))
    assert alert in sections
    assert sections[alert].startswith(f"**{severity}")


def test_the_page_has_no_section_without_an_alert() -> None:
    """What was renamed or removed is gone from the page too, and the order is that of the rules."""
    assert [name for name, _ in SECTION.findall(PAGE)] == list(ALERTS)


@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_nothing_flaps(alert: str) -> None:
    """An alert waits before it fires, stays a while, or looks back over a range: none comes and goes with a sample."""
    rule: dict[str, Any] = ALERTS[alert]
    assert "for" in rule or "keep_firing_for" in rule or re.search(r"\[\d+[mh]\]", rule["expr"])
