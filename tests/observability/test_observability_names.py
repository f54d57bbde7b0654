"""One set of names: in the code, its reference, the rules, the dashboards and the pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from observed import ALERTMANAGER, ROOT, rules

from monitor.telemetry.catalogue import BY_NAME, METRICS, Type
from monitor.telemetry.reference import metrics_markdown
from tools.dashboards import DASHBOARDS

#: What Prometheus itself and its client library add to each scrape.
GIVEN = {
    "process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds", "process_start_time_seconds",
    "scrape_duration_seconds", "scrape_samples_scraped",
}  # fmt: skip
#: Labels of every series, given by who scrapes it; `le` is a histogram's own.
TARGET_LABELS = {"job", "instance", "pod", "le"}

NAME = re.compile(r"(?<![\w:/.-])((?:tripswitch|process|scrape)_[a-z0-9_]+)")
SELECTOR = re.compile(r"(?<![\w:])((?:tripswitch|process|scrape)_[a-z0-9_]+)\{([^{}]*)\}")
RECORD = re.compile(r"(?<![\w])(tripswitch:[a-z0-9_:]+)")
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "bench" / "README.md"})


def family(name: str) -> str:
    """A sample's name without what a histogram adds."""
    short = re.sub(r"_(bucket|sum|count)$", "", name)
    return short if short in BY_NAME and BY_NAME[short].type is Type.HISTOGRAM else name


def expressions() -> Iterator[tuple[str, str]]:
    """(where, PromQL) of every rule and every panel, mark and variable."""
    for rule in rules():
        yield rule.get("alert") or rule["record"], rule["expr"]
    for dashboard in DASHBOARDS:
        for query in dashboard.queries():
            yield dashboard.uid, query.expr
        for _, expr, _, _ in dashboard.marks:
            yield dashboard.uid, expr
        for variable in dashboard.variables:
            yield dashboard.uid, variable.metric


def unknown(text: str) -> set[str]:
    """Names in a text that no scrape has."""
    found = {family(name) for name in NAME.findall(text)}
    # A page may speak of a family by its prefix: `tripswitch_aws_*`.
    return {name for name in found - set(BY_NAME) - GIVEN if not name.endswith("_")}


@pytest.mark.parametrize(("where", "expr"), [pytest.param(*one, id=one[0]) for one in expressions()])
def test_every_name_in_a_query_is_a_metric_with_these_labels(where: str, expr: str) -> None:
    """A metric or label that nobody exports would be an alert that never fires, a panel that is always empty."""
    assert unknown(expr) == set()
    for name, selector in SELECTOR.findall(expr):
        used = set(re.findall(r"(\w+)\s*[=!]~?", selector))
        known = set(BY_NAME[family(name)].labels) if name not in GIVEN else set()
        assert used <= known | TARGET_LABELS, f"{where}: {name}"


def test_every_recorded_name_that_is_used_is_recorded() -> None:
    """And the other way round: a record that nothing reads costs for nothing."""
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    used = {name for _, expr in expressions() for name in RECORD.findall(expr)}
    assert used == recorded


def test_every_metric_is_seen_by_somebody() -> None:
    """In a rule or on a dashboard; what nobody looks at need not be scraped."""
    used = {family(name) for _, expr in expressions() for name in NAME.findall(expr)}
    assert {metric.name for metric in METRICS} - used == set()


def test_the_reference_lists_the_code_and_nothing_else() -> None:
    """The page as it is checked in is that of the code."""
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    assert page == metrics_markdown()
    assert set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE)) == set(BY_NAME)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_name_metrics_that_exist(page: Path) -> None:
    """A page that sends its reader to a metric sends to one that is there."""
    if page.is_file():
        text = page.read_text(encoding="utf-8")
        code = " ".join(re.findall(r"`[^`\n]+`|^ {4}.*$|```.*?```", text, re.MULTILINE | re.DOTALL))
        assert {name for name in unknown(code) if name.startswith("tripswitch_")} == set()


def alert_names(text: str) -> set[str]:
    """What looks like the name of an alert of ours."""
    return set(re.findall(r"\b(Tripswitch[A-Z]\w+)\b", text))


#: Not the generated pages: actions' examples have words of the same form.
SPEAKING = [page for page in PAGES if page.parent.name != "reference"]


@pytest.mark.parametrize("page", [*SPEAKING, ALERTMANAGER], ids=lambda page: page.name)
def test_pages_and_routes_name_alerts_that_exist(page: Path) -> None:
    """An inhibition or a link of an alert that was renamed does nothing, silently."""
    known = {rule["alert"] for rule in rules() if "alert" in rule}
    if page.is_file():
        assert alert_names(page.read_text(encoding="utf-8")) <= known


def test_an_unknown_name_is_found() -> None:
    """The checks above can fail."""
    assert unknown("rate(tripswitch_check_runs_totals[5m])") == {"tripswitch_check_runs_totals"}
    assert unknown("tripswitch_check_duration_seconds_bucket") == set()
    assert unknown("tripswitch_check_runs_total_count") == {"tripswitch_check_runs_total_count"}
