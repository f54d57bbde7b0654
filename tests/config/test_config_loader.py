"""Loading files and folders: what comes out whole, and what is refused whole."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from config_fakes import REGISTRY, FakeOperations

from monitor.config import ConfigError, Loaded, load
from monitor.core.model import Level, Missing, Mode, Severity
from monitor.core.spec import AwsSpec, Bound, Clear, Combine, RecoverSpec, StepSpec, Term

GOOD = Path(__file__).parent / "good"
ENVIRON = {"ACCOUNT_ID": "123456789012"}
MINIMAL = "pipeline: {name}\nchecks:\n  rate: {{kind: execution_rate, state_machines: [etl]}}\n"

Load = Callable[..., Loaded]
Problems = Callable[..., list[str]]


@pytest.fixture(scope="module")
def good() -> Loaded:
    """Every good file."""
    return load([GOOD], REGISTRY, ENVIRON, FakeOperations())


def test_a_folder_is_its_yaml_files_in_order(good: Loaded) -> None:
    """Each file is one pipeline; the mapping says which."""
    assert [pipeline.name for pipeline in good.pipelines] == ["etl", "everything"]
    assert good.files["etl"] == GOOD / "etl.yaml"


def test_a_check_of_the_example_is_read_exactly(good: Loaded) -> None:
    """Variables, durations, hysteresis; the inherited timeout shrinks to the shorter interval."""
    check = good.pipelines[0].checks["execution-rate"]
    assert check.params.state_machines.names == ("arn:aws:states:us-east-1:123456789012:stateMachine:etl-workflow",)
    assert check.targets == ("etl-workflow",)
    assert not check.discovers
    assert (check.interval, check.timeout) == (timedelta(seconds=10), timedelta(seconds=10))
    assert check.signals["started_per_minute"].critical == Bound(
        above=200, hold=timedelta(minutes=2), clear=Clear(below=100, hold=timedelta(minutes=5))
    )
    assert check.units == {"started_per_minute": "1/min", "running": "executions"}


def test_a_breaker_of_the_example_is_read_exactly(good: Loaded) -> None:
    """Condition, steps with default ids, recovery."""
    breaker = good.pipelines[0].breakers["s3-event-loop"]
    assert breaker.condition == Combine(1, (Term("execution-rate", "started_per_minute"),))
    assert (breaker.mode, breaker.severity) == (Mode.AUTO, Severity.SEV1)
    assert breaker.on_trip[:2] == (
        StepSpec("disable_rule", "disable_rule", {"rule": "etl-s3-events"}),
        StepSpec("wait", "wait", {"for": "5m"}),
    )
    assert breaker.recover.steps == (
        StepSpec("verify", "verify", {"check": "execution-rate", "level": "ok", "for": "10m"}),
        StepSpec("undo", "undo", {"steps": ["disable_rule"]}),
    )


def test_numbers_are_read_in_the_signals_unit(good: Loaded) -> None:
    """Minutes for seconds, MiB for bytes, percent for a ratio, a band with its clear inside."""
    signals = good.pipelines[1].checks["depth"].signals
    assert signals["oldest_age"].warning == Bound(above=900, clear=Clear(below=600, hold=timedelta(minutes=2)))
    assert signals["oldest_age"].critical == Bound(above=3600, datapoints=3, of=5)
    assert signals["size"].critical == Bound(above=10 * 1024**2)
    assert signals["used"].warning == Bound(above=0.8)
    assert signals["cpu"].critical == Bound(above=95, below=5, clear=Clear(above=10, below=90))


def test_a_given_signal_replaces_only_its_own_defaults(good: Loaded) -> None:
    """`off` removes one; `missing` alone keeps the kind's bounds."""
    checks = good.pipelines[1].checks
    assert set(checks["rate"].signals) == {"running"}
    assert checks["throttles"].signals["throttled"].critical == Bound(above=0)
    assert checks["throttles"].signals["throttled"].missing is Missing.HOLD


def test_defaults_come_in_order_check_file_kind(load_text: Load) -> None:
    """A check's own word wins over `defaults`, which win over the kind's."""
    text = MINIMAL.format(name="a") + "  mine: {kind: execution_rate, state_machines: [x], interval: 5s}\n"
    checks = load_text(text).pipelines[0].checks
    assert (checks["rate"].interval, checks["mine"].interval) == (timedelta(seconds=30), timedelta(seconds=5))
    checks = load_text(text + "defaults: {interval: 2m, timeout: 7s, severity: SEV1}\n").pipelines[0].checks
    assert (checks["rate"].interval, checks["mine"].interval) == (timedelta(minutes=2), timedelta(seconds=5))
    assert (checks["rate"].timeout, checks["mine"].timeout) == (timedelta(seconds=7), timedelta(seconds=5))
    assert checks["rate"].severity is Severity.SEV1


def test_a_check_may_live_elsewhere(load_text: Load, good: Loaded) -> None:
    """Another region keeps the role; another role does not inherit the first one's external id."""
    assert good.pipelines[1].checks["depth"].aws == AwsSpec("us-west-2", "arn:aws:iam::123456789012:role/watch", "e-1")
    role = "arn:aws:iam::123456789012:role/other"
    text = "pipeline: a\naws: {region: us-east-1, role_arn: 'arn:aws:iam::123456789012:role/one', external_id: e}\n"
    text += f"checks:\n  c: {{kind: execution_rate, state_machines: [x], aws: {{role_arn: '{role}'}}}}\n"
    assert load_text(text).pipelines[0].checks["c"].aws == AwsSpec("us-east-1", role)


def test_plain_numbers_become_text_where_text_is_wanted(good: Loaded) -> None:
    """Tag values, account ids and rule names need no quotes, and keep their zeros."""
    assert good.pipelines[1].checks["depth"].params.queues.tags == {"critical": "true", "account": "007"}
    steps = {step.id: step for step in good.pipelines[1].breakers["drain"].on_trip}
    assert steps["first"].params == {"rule": "12345"}


def test_the_rest_of_a_file_is_read(good: Loaded) -> None:
    """Channels, maintenance, kill switch, limits, recovery."""
    pipeline = good.pipelines[1]
    assert [str(channel.min_severity) for channel in pipeline.notify] == ["SEV4", "SEV1", "SEV4", "SEV4"]
    assert [channel.events for channel in pipeline.notify] == [(), ("alert", "resolved"), (), ()]
    assert pipeline.maintenance[0].matchers == {"check": "dep*"}
    assert pipeline.kill_switch_parameter == "/tripswitch/kill"
    drain = pipeline.breakers["drain"]
    assert drain.limits.trips_per_day is None
    assert drain.recover.after == timedelta(hours=1)
    assert drain.recover.trial == timedelta(minutes=10)
    assert pipeline.breakers["cap"].recover == RecoverSpec()


def test_conditions_nest(good: Loaded) -> None:
    """Bare terms, lists, written terms and both forms of at_least."""
    drain = good.pipelines[1].breakers["drain"].condition
    assert isinstance(drain, Combine)
    assert drain.need == 4
    assert drain.parts[1] == Term("rate", None, Level.WARNING, timedelta(seconds=10))
    assert drain.parts[2] == Combine(1, (Term("rate"), Combine(1, (Term("rate"),))))
    assert drain.parts[3] == Combine(1, (Term("rate", "running"),))
    assert good.pipelines[1].breakers["cap"].condition == Combine(1, (Term("throttles", "throttled"),))


def test_problems_of_all_files_come_at_once_and_in_order(tmp_path: Path) -> None:
    """Nothing is returned while any file is wrong; each file's problems are sorted by position."""
    (tmp_path / "a.yaml").write_text(MINIMAL.format(name="a") + "nope: 1\nalso: 2\n")
    (tmp_path / "b.yml").write_text("pipeline: b\n\tchecks: {}\n")
    (tmp_path / "c.yaml").write_text(MINIMAL.format(name="c"))
    (tmp_path / "notes.txt").write_text("not a pipeline")
    with pytest.raises(ConfigError) as caught:
        load([tmp_path], REGISTRY, {})
    assert [(Path(p.file).name, p.line, p.column) for p in caught.value.problems] == [
        ("a.yaml", 4, 1),
        ("a.yaml", 5, 1),
        ("b.yml", 2, 1),
    ]
    assert str(caught.value).count("\n") == 2


def test_two_files_may_not_share_a_name(tmp_path: Path) -> None:
    """The second one is told, with the place of the first."""
    for name in ("one.yaml", "two.yaml"):
        (tmp_path / name).write_text(MINIMAL.format(name="same"))
    with pytest.raises(ConfigError) as caught:
        load([tmp_path], REGISTRY, {})
    (problem,) = caught.value.problems
    assert problem.file == str(tmp_path / "two.yaml")
    assert f"{tmp_path / 'one.yaml'}:1" in problem.message


def test_a_file_given_twice_is_read_once(tmp_path: Path) -> None:
    """By itself and through its folder."""
    path = tmp_path / "one.yaml"
    path.write_text(MINIMAL.format(name="one"))
    assert len(load([tmp_path, path], REGISTRY, {}).pipelines) == 1


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: path, "there is no such file or folder"),
        (lambda path: path.mkdir(), "the folder has no *.yaml file"),
        (lambda path: path.write_bytes(b"pipeline: \xff"), "is not UTF-8 text"),
        (lambda path: path.write_text("pipeline: a\n# " + "x" * 600_000), "the file is larger than 512 KiB"),
        (lambda path: path.write_bytes(b"pipeline: a\x01"), "not valid YAML: a control character"),
        (lambda path: path.write_text("pipeline: a\nchecks: " + "[" * 5000), "nested more than 48 deep"),
    ],
)
def test_what_is_no_file_to_read_is_a_problem(tmp_path: Path, make: Callable[[Path], object], told: str) -> None:
    """Missing, empty, unreadable, too large, too deep: told, never raised as something else."""
    path = tmp_path / "etl.yaml"
    make(path)
    with pytest.raises(ConfigError) as caught:
        load([path], REGISTRY, {})
    assert [problem.message for problem in caught.value.problems] == [told]


def test_no_file_at_all_is_a_problem() -> None:
    """A daemon without pipelines watches nothing."""
    with pytest.raises(ConfigError, match="no pipeline file is given"):
        load([], REGISTRY, {})


def test_a_cause_is_told_without_its_consequences(problems_of: Problems) -> None:
    """A broken check is no unknown check, and an undefined variable no bad duration; other problems still show."""
    told = problems_of(
        "pipeline: a\n"
        "checks:\n"
        "  rate:\n"
        "    kind: execution_rate\n"
        "    state_machines: [x]\n"
        "    interval: ${NOPE}\n"
        "    thresholds: {started_per_minute: {critical: {above: lots}}}\n"
        "  odd: {kind: nothing_like_it}\n"
        "breakers:\n"
        "  b:\n"
        "    trip_when: [rate.started_per_minute, odd.signal, rate.runing]\n"
        "    on_trip:\n"
        "      - disable_rulee: {rule: x}\n"
        "    recover:\n"
        "      steps: [{undo: disable_rule}]\n"
    )
    assert [text.split(": ")[1] for text in told] == [
        "checks.rate.interval",
        "checks.rate.thresholds.started_per_minute.critical.above",
        "checks.odd.kind",
        "breakers.b.trip_when[2]",
        "breakers.b.on_trip[0].disable_rulee",
    ]


def test_a_shared_fragment_is_blamed_once(problems_of: Problems) -> None:
    """An anchor used by two checks has one problem, where it stands."""
    told = problems_of(
        "pipeline: a\n"
        "x-limits: &limits {critical: {above: lots}}\n"
        "checks:\n"
        "  a: {kind: execution_rate, state_machines: [x], thresholds: {running: *limits}}\n"
        "  b: {kind: execution_rate, state_machines: [y], thresholds: {running: *limits}}\n"
    )
    assert told == ["2:31: checks.a.thresholds.running.critical.above: 'lots' is not a number (write for example 10)"]


def test_off_is_off_in_every_spelling(load_text: Load) -> None:
    """YAML 1.2 reads `off` as text; `false` and quotes mean the same."""
    for word in ("off", "'off'", "Off", "false", "OFF"):
        text = MINIMAL.format(name="a").replace("[etl]", f"[etl], thresholds: {{started_per_minute: {word}}}")
        assert "started_per_minute" not in load_text(text).pipelines[0].checks["rate"].signals


def test_merge_keys_and_aliases_work(good: Loaded) -> None:
    """`<<: *slow` fills in what the check does not say itself."""
    check = good.pipelines[1].checks["depth"]
    assert (check.interval, check.timeout) == (timedelta(minutes=5), timedelta(minutes=1))
    assert check.signals["visible"].critical == Bound(above=1000, hold=timedelta(seconds=90))


def test_a_resource_may_be_named_in_another_way(load_text: Load) -> None:
    """The id of a mapping stands alone; without any name the breached functions are meant."""
    text = (
        "pipeline: a\nchecks:\n  t: {kind: throttles, lambda_functions: ['x-*']}\n"
        "breakers:\n  b:\n    trip_when: t\n    on_trip:\n"
        "      - set_event_source: {uuid: u-1, enabled: false}\n"
        "      - set_event_source: {enabled: false}\n"
    )
    first, second = load_text(text).pipelines[0].breakers["b"].on_trip
    assert first.params == {"uuid": "u-1", "enabled": False}
    assert second.params == {"function": "${trip.targets}", "enabled": False}


TRIAL = """pipeline: a
checks:
  rate: {kind: execution_rate, state_machines: [etl], window: 20m}
breakers:
  b:
    trip_when: rate.started_per_minute
    on_trip: [{disable_rule: {rule: r}}]
    recover: {mode: auto, trial: TRIAL}
"""


@pytest.mark.parametrize(("trial", "warned"), [("19m", True), ("20m", False), ("25m", False)])
def test_a_trial_that_ends_before_a_relapse_can_show_is_warned_of(tmp_path: Path, trial: str, warned: bool) -> None:
    """At its line, with what to write; the file is loaded all the same."""
    path = tmp_path / "a.yaml"
    path.write_text(TRIAL.replace("TRIAL", trial))
    loaded = load([path], REGISTRY, ENVIRON)
    assert loaded.pipelines[0].breakers["b"].recover.trial is not None
    assert [(one.line, one.path) for one in loaded.warnings] == ([(8, "breakers.b.recover.trial")] if warned else [])
    if warned:
        assert "shorter than the 20m that 'rate' looks back" in str(loaded.warnings[0])


@pytest.mark.parametrize("where", ["check", "defaults"])
def test_unknown_can_be_kept_from_being_told(tmp_path: Path, where: str) -> None:
    """`unknown_for: off` is longer than anything lasts, and shown as it was written."""
    path = tmp_path / "a.yaml"
    text = MINIMAL.format(name="a")
    text = (
        text.replace("[etl]}", "[etl], unknown_for: off}")
        if where == "check"
        else f"{text}defaults: {{unknown_for: off}}\n"
    )
    path.write_text(text)
    loaded = load([path], REGISTRY, ENVIRON)
    assert loaded.pipelines[0].checks["rate"].unknown_for == timedelta.max
    checks = loaded.documents["a"]["checks"]
    assert isinstance(checks, dict)
    assert checks["rate"]["unknown_for"] == "off"
