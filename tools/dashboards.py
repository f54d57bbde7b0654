"""Writes config/grafana/*.json: `make dashboards`. Pages: the pipelines, the daemon, and what it asks of AWS.

PromQL uses the metrics of monitor/telemetry/catalogue.py and nothing of the recording rules: a dashboard works without
them. `tools/grafana.py` makes the JSON.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tools.grafana import Dashboard, Panel, Query, Row, Variable, render

ROOT = Path(__file__).resolve().parent.parent

GREEN, YELLOW, ORANGE, RED, BLUE, GRAY = "green", "yellow", "orange", "red", "blue", "gray"
CALM = ((None, GREEN), (1.0, RED))
YES = {1.0: ("yes", GREEN), 0.0: ("no", RED)}
STATES = {0.0: ("closed", GREEN), 1.0: ("half open", BLUE), 2.0: ("open", RED), 3.0: ("tripping", ORANGE)}
_JOB = 'job=~"$job"'
_IN = f'{_JOB},pipeline=~"$pipeline"'
_ROW = f'{_IN},check=~"$check",target=~"$target",signal=~"$signal"'

TRIPS = (
    "Trips",
    f"sum by (pipeline, breaker, mode) (increase(tripswitch_breaker_trips_total{{{_IN}}}[2m])) > 0",
    "{{pipeline}}/{{breaker}} tripped ({{mode}})",
    RED,
)
#: Closed: `process_*` and `scrape_*` exist for every job there is.
JOB = Variable("job", "job", "tripswitch_build_info", closed=True)
PIPELINE = Variable("pipeline", "pipeline", f"tripswitch_check_interval_seconds{{{_JOB}}}")


def number(title: str, expr: str, **more: object) -> Panel:
    """A single number, small."""
    usual: dict[str, object] = {"width": 4, "height": 4, "steps": CALM}
    return Panel(title, "stat", (Query(expr),), **(usual | more))  # type: ignore[arg-type]


def course(title: str, *queries: Query, **more: object) -> Panel:
    """Lines over time."""
    return Panel(title, "timeseries", queries, **more)  # type: ignore[arg-type]


def _state() -> str:
    """Of each breaker the number of its state in STATES; the four series of a breaker are 0 but for one."""
    numbered = (
        f'tripswitch_breaker_state{{{_IN},state="{name}"}} * {value}'
        for value, name in ((0, "closed"), (1, "half_open"), (2, "open"), (3, "tripping"))
    )
    return f"max by (pipeline, breaker, mode) ({' or '.join(numbered)})"


PIPELINES = Dashboard(
    uid="tripswitch-pipelines",
    title="tripswitch / Pipelines",
    description="Breakers, levels, and each signal's course against its thresholds.",
    variables=(
        JOB,
        PIPELINE,
        Variable("check", "check", f"tripswitch_check_interval_seconds{{{_IN}}}"),
        Variable("target", "target", f'tripswitch_observation{{{_IN},check=~"$check"}}'),
        Variable("signal", "signal", f'tripswitch_observation{{{_IN},check=~"$check"}}'),
    ),
    marks=(TRIPS,),
    rows=(
        Row("Now", (
            number("Breakers not closed", f'sum(tripswitch_breaker_state{{{_IN},state!="closed",mode!="observe"}})',
                   description="Of those that may act."),
            number("Would have tripped", f'sum(tripswitch_breaker_state{{{_IN},state!="closed",mode="observe"}})'
                   " or vector(0)", steps=((None, GREEN), (1.0, BLUE)), description="Of those that only observe."),
            number("Targets critical", f'sum(tripswitch_targets{{{_IN},level="critical"}})'),
            number("Targets unknown", f'sum(tripswitch_targets{{{_IN},level="unknown"}})',
                   steps=((None, GREEN), (1.0, ORANGE))),
            number("Incidents open", f"sum(tripswitch_incidents_open{{{_JOB}}})",
                   description="Of all pipelines: an incident has no such label."),
            number("Actions enabled", f"min(tripswitch_actions_enabled{{{_JOB}}})", names=YES,
                   description="No: a kill switch holds them."),
        )),
        Row("Breakers", (
            Panel("State", "state-timeline", (Query(_state(), "{{pipeline}}/{{breaker}} ({{mode}})"),),
                  names=STATES, width=24, height=9),
            Panel("Not closed, and for how long", "table", (Query(
                f'(tripswitch_breaker_state{{{_IN},state!="closed"}} == 1)'
                " * on (job, instance, pipeline, breaker, mode) group_left ()"
                " (time() - tripswitch_breaker_since_timestamp_seconds)", sparse=True),), unit="s"),
            Panel("Held steps and the gate that holds them", "table",
                  (Query(f"tripswitch_steps_held{{{_IN}}}", sparse=True),)),
            course("Trips", Query(
                "sum by (pipeline, breaker, mode)"
                f" (increase(tripswitch_breaker_trips_total{{{_IN}}}[$__rate_interval]))",
                "{{pipeline}}/{{breaker}} ({{mode}})"), minimum=0),
            course("Drains: what is left", Query(
                f"tripswitch_drain_remaining{{{_IN}}}", "{{pipeline}}/{{breaker}}", sparse=True), minimum=0),
            course("Actions", Query(
                f"sum by (action) (increase(tripswitch_actions_total{{{_IN}}}[$__rate_interval]))", "{{action}}"),
                Query(f"sum by (action, reason) (increase(tripswitch_action_failures_total{{{_IN}}}[$__rate_interval]))"
                      " > 0", "{{action}} failed: {{reason}}", sparse=True),
                minimum=0, dashed={".*failed.*": RED}),
            course("Duration of an action", *(Query(
                f"histogram_quantile({share}, sum by (le)"
                f" (rate(tripswitch_action_duration_seconds_bucket{{{_IN}}}[$__rate_interval])))", name)
                for share, name in ((0.5, "median"), (0.95, "19 of 20"))), unit="s", minimum=0),
            course("Times a gate began to hold", Query(
                f"sum by (gate) (increase(tripswitch_actions_held_total{{{_IN}}}[$__rate_interval])) > 0", "{{gate}}",
                sparse=True), minimum=0),
            course("Breakers disabled by a person, and latched", Query(
                f"sum(tripswitch_breaker_disabled{{{_IN}}})", "disabled"),
                Query(f"sum(tripswitch_breaker_latched{{{_IN}}})", "latched"), minimum=0),
            course("Changed by somebody else", Query(
                f"tripswitch_drifted_changes{{{_IN}}} > 0", "{{pipeline}}/{{breaker}}", sparse=True), minimum=0),
        )),
        Row("Levels", (
            course("Targets by level", Query(
                f"sum by (level) (tripswitch_targets{{{_IN}}})", "{{level}}"), stacked=True, minimum=0),
            course("Open incidents by severity", Query(
                f"sum by (severity) (tripswitch_incidents_open{{{_JOB}}})", "{{severity}}"), stacked=True, minimum=0),
            Panel("Not ok now", "table", (Query(f"tripswitch_level{{{_ROW}}}", sparse=True),), width=24),
        )),
        Row("Signals", (
            course("$check", Query(f"tripswitch_observation{{{_ROW}}}", "{{target}} {{signal}}"),
                   Query(f"max by (signal, level) (tripswitch_threshold{{{_ROW}}})", "{{signal}} is {{level}}"),
                   repeat="check", height=9, dashed={".* is critical": RED, ".* is warning": ORANGE},
                   description="Dashed: the bounds in force. Gaps: the value was unknown."),
        )),
    ),
)  # fmt: skip

_ON = f'{_JOB},instance=~"$instance"'
_OF = f'{_ON},pipeline=~"$pipeline"'

DAEMON = Dashboard(
    uid="tripswitch-daemon",
    title="tripswitch / Daemon",
    description="Does it run, is it on time, and what does it take?",
    variables=(
        JOB,
        Variable("instance", "instance", f"tripswitch_build_info{{{_JOB}}}", closed=True),
        Variable("pipeline", "pipeline", f"tripswitch_check_interval_seconds{{{_ON}}}"),
    ),
    marks=(TRIPS,),
    rows=(
        Row("Now", (
            number("Replicas", f"count(tripswitch_build_info{{{_ON}}})", steps=((None, RED), (1.0, GREEN))),
            number("Ready", f"min(tripswitch_ready{{{_ON}}})", names=YES),
            number("Config accepted", f"min(tripswitch_config_last_reload_successful{{{_ON}}})", names=YES),
            number("Pipelines without an owner",
                   f'count(max by (pipeline) (tripswitch_lease_held{{{_OF}}}) == 0) or vector(0)'),
            number("Storm suspected", f"max(tripswitch_storm_suspected{{{_ON}}})",
                   names={0.0: ("no", GREEN), 1.0: ("yes", RED)}),
            number("Up for", f"time() - max(process_start_time_seconds{{{_ON}}})", unit="s", steps=((None, GREEN),)),
            Panel("Version", "table", (Query(f"tripswitch_build_info{{{_ON}}}"),), hidden=("Time", "__name__", "Value"),
                  height=5),
            Panel("Config", "table", (Query(f"tripswitch_config_hash_info{{{_ON}}}"),),
                  hidden=("Time", "__name__", "Value"), height=5),
        )),
        Row("Checks", (
            course("Runs", Query(
                f'sum by (pipeline) (rate(tripswitch_check_runs_total{{{_OF}}}[$__rate_interval]))',
                "{{pipeline}}"), unit="ops", minimum=0),
            course("Failed runs", Query(
                "sum by (pipeline, check, reason)"
                f' (rate(tripswitch_check_failures_total{{{_OF}}}[$__rate_interval])) > 0',
                "{{pipeline}}/{{check}}: {{reason}}", sparse=True), unit="ops", minimum=0),
            course("Duration of a run", *(Query(
                f"histogram_quantile({share}, sum by (le) (rate(tripswitch_check_duration_seconds_bucket"
                f'{{{_OF}}}[$__rate_interval])))', f"{name}")
                for share, name in ((0.5, "median"), (0.95, "19 of 20"), (0.99, "99 of 100"))), unit="s", minimum=0),
            course("Lateness, the ten worst", Query(
                f'topk(10, tripswitch_check_lateness_seconds{{{_OF}}})',
                "{{pipeline}}/{{check}}"), unit="s", minimum=0),
            course("Intervals since the last success, the ten worst", Query(
                f'topk(10, (time() - tripswitch_check_last_success_timestamp_seconds{{{_OF}}})'
                " / tripswitch_check_interval_seconds)", "{{pipeline}}/{{check}}"), minimum=0),
            course("Age of the oldest value shown, the ten worst", Query(
                "topk(10, time()"
                f' - tripswitch_check_oldest_value_timestamp_seconds{{{_OF}}})',
                "{{pipeline}}/{{check}}"), unit="s", minimum=0),
            course("Skipped ticks", Query(
                "sum by (pipeline, check)"
                f' (increase(tripswitch_check_ticks_skipped_total{{{_OF}}}[$__rate_interval])) > 0',
                "{{pipeline}}/{{check}}", sparse=True), minimum=0),
            course("Unknown targets", Query(
                f'sum by (pipeline, check) (tripswitch_targets{{{_OF},level="unknown"}}) > 0',
                "{{pipeline}}/{{check}}", sparse=True), minimum=0),
        )),
        Row("AWS and notices", (
            course("Requests", Query(
                f"sum by (aws_service) (rate(tripswitch_aws_requests_total{{{_ON}}}[$__rate_interval]))",
                "{{aws_service}}"), unit="reqps", minimum=0),
            course("Throttled and failed", Query(
                f"sum by (aws_service) (rate(tripswitch_aws_throttles_total{{{_ON}}}[$__rate_interval])) > 0",
                "{{aws_service}} throttled", sparse=True),
                Query("sum by (aws_service, reason)"
                      f" (rate(tripswitch_aws_request_errors_total{{{_ON}}}[$__rate_interval])) > 0",
                      "{{aws_service}}: {{reason}}", sparse=True), unit="reqps", minimum=0),
            course("Dollars per hour, at list prices", Query(
                f"sum by (aws_service) (rate(tripswitch_aws_cost_dollars_total{{{_ON}}}[$__rate_interval])) * 3600",
                "{{aws_service}}", sparse=True), unit="currencyUSD", minimum=0, stacked=True),
            course("Notices", Query(
                f"sum by (scheme) (increase(tripswitch_notices_total{{{_ON}}}[$__rate_interval]))", "{{scheme}}",
                sparse=True),
                Query(f"sum by (scheme) (increase(tripswitch_notice_failures_total{{{_ON}}}[$__rate_interval])) > 0",
                      "{{scheme}} failed", sparse=True),
                Query(f"sum(increase(tripswitch_notices_dropped_total{{{_ON}}}[$__rate_interval]))", "dropped"),
                minimum=0, dashed={".*failed|dropped": RED}),
        )),
        Row("Process", (
            course("Lag of the event loop", Query(
                f"tripswitch_event_loop_lag_seconds{{{_ON}}}", "{{instance}}"), unit="s", minimum=0, width=8),
            course("Memory", Query(f"process_resident_memory_bytes{{{_ON}}}", "{{instance}}"), unit="bytes", minimum=0,
                   width=8),
            course("CPU", Query(f"rate(process_cpu_seconds_total{{{_ON}}}[$__rate_interval])", "{{instance}}"),
                   unit="percentunit", minimum=0, width=8),
            course("Open files", Query(f"process_open_fds{{{_ON}}}", "{{instance}}"), minimum=0, width=8),
            course("Scrape", Query(f"scrape_duration_seconds{{{_ON}}}", "{{instance}}"), unit="s", minimum=0, width=8),
            course("Series", Query(f"scrape_samples_scraped{{{_ON}}}", "{{instance}}"), minimum=0, width=8),
        )),
    ),
)  # fmt: skip

_AT = f'{_JOB},account_id=~"$account",aws_region=~"$region",aws_service=~"$service"'
_CALLS = "{{aws_service}}:{{operation}}"

AWS = Dashboard(
    uid="tripswitch-aws",
    title="tripswitch / AWS cost and quotas",
    description="What watching takes from the account: calls, quotas and dollars at list prices.",
    variables=(
        JOB,
        Variable("account", "account_id", f"tripswitch_aws_requests_total{{{_JOB}}}"),
        Variable("region", "aws_region", f'tripswitch_aws_requests_total{{{_JOB},account_id=~"$account"}}'),
        Variable("service", "aws_service", f'tripswitch_aws_requests_total{{{_JOB},account_id=~"$account"}}'),
    ),
    rows=(
        Row("Now", (
            number("Last 24 hours", "sum(increase(tripswitch_aws_cost_dollars_total"
                   f'{{{_JOB},aws_service=~"$service"}}[1d]))', unit="currencyUSD", steps=((None, GREEN),),
                   width=5, description="At list prices; without free tiers and discounts."),
            number("A month at this rate", "sum(rate(tripswitch_aws_cost_dollars_total"
                   f'{{{_JOB},aws_service=~"$service"}}[6h])) * 30 * 86400', unit="currencyUSD",
                   steps=((None, GREEN), (50.0, ORANGE)), width=5),
            number("Requests", f"sum(rate(tripswitch_aws_requests_total{{{_AT}}}[5m]))", unit="reqps",
                   steps=((None, GREEN),), width=5),
            number("Highest share of a quota", f"max(tripswitch_aws_quota_used_ratio{{{_AT}}})", unit="percentunit",
                   steps=((None, GREEN), (0.5, ORANGE), (0.8, RED)), width=5),
            number("Sources down", f"count(tripswitch_up{{{_AT}}} == 0) or vector(0)"),
        )),
        Row("Dollars", (
            course("Dollars per day, by service", Query(
                "sum by (aws_service) (rate(tripswitch_aws_cost_dollars_total"
                f'{{{_JOB},aws_service=~"$service"}}[$__rate_interval])) * 86400', "{{aws_service}}", sparse=True),
                unit="currencyUSD", stacked=True, minimum=0),
            course("Metrics asked of GetMetricData, per minute", Query(
                f"sum(rate(tripswitch_cloudwatch_metrics_requested_total{{{_JOB}}}[$__rate_interval])) * 60",
                "metrics"), minimum=0, description="CloudWatch bills each of them."),
        )),
        Row("Quotas", (
            Panel("Share of the quota used", "bargauge", (Query(
                f"topk(15, max by (aws_service, operation) (tripswitch_aws_quota_used_ratio{{{_AT}}}))", _CALLS),),
                unit="percentunit", minimum=0, maximum=1, steps=((None, GREEN), (0.5, ORANGE), (0.8, RED)), height=9),
            course("Share of the quota used", Query(
                "max by (aws_service, operation, aws_region)"
                f" (tripswitch_aws_quota_used_ratio{{{_AT}}})", f"{_CALLS} {{{{aws_region}}}}"),
                unit="percentunit", minimum=0, height=9),
            course("Throttled", Query(
                "sum by (aws_service, operation)"
                f" (rate(tripswitch_aws_throttles_total{{{_AT}}}[$__rate_interval])) > 0",
                _CALLS, sparse=True), unit="reqps", minimum=0),
            course("Failed", Query(
                "sum by (aws_service, operation, reason)"
                f" (rate(tripswitch_aws_request_errors_total{{{_AT}}}[$__rate_interval])) > 0",
                f"{_CALLS}: {{{{reason}}}}", sparse=True), unit="reqps", minimum=0),
        )),
        Row("Calls and sources", (
            course("Requests, by operation", Query(
                f"sum by (aws_service, operation) (rate(tripswitch_aws_requests_total{{{_AT}}}[$__rate_interval]))",
                _CALLS), unit="reqps", stacked=True, minimum=0, height=9),
            Panel("Does it answer?", "state-timeline", (Query(
                f"max by (account_id, aws_region, aws_service) (tripswitch_up{{{_AT}}})",
                "{{account_id}} {{aws_region}} {{aws_service}}"),),
                names={1.0: ("answers", GREEN), 0.0: ("down", RED)}, height=9),
            course("Time since the last proper answer", Query(
                "time() - max by (account_id, aws_region, aws_service)"
                f" (tripswitch_aws_last_answer_timestamp_seconds{{{_AT}}})",
                "{{account_id}} {{aws_region}} {{aws_service}}"), unit="s", minimum=0, width=24),
        )),
    ),
)  # fmt: skip

DASHBOARDS = (PIPELINES, DAEMON, AWS)


def main(root: Path = ROOT) -> list[Path]:
    """Write every dashboard under `root`; the files that changed."""
    changed: list[Path] = []
    for dashboard in DASHBOARDS:
        file = root / "config" / "grafana" / f"{dashboard.uid}.json"
        text = render(dashboard)
        if file.exists() and file.read_text(encoding="utf-8") == text:
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        changed.append(file)
    return changed


if __name__ == "__main__":
    for written in main():
        sys.stdout.write(f"{written.relative_to(ROOT)}\n")
