"""`ramp` in a pipeline file: what the engine gets to play."""

from textwrap import dedent

from checks import KINDS
from monitor.actions import ACTIONS
from monitor.config import load
from monitor.engine.planning import rungs_of
from monitor.plugin import Registry

REGISTRY = Registry({kind.kind: kind for kind in KINDS}, {action.name: action for action in ACTIONS})
FILE = """
    pipeline: jaunt
    checks:
      throttled: {{kind: throttles, lambda_functions: [web-fetch]}}
    breakers:
      throttle:
        trip_when: throttled
        on_trip:
          - set_lambda_concurrency: {{function: web-fetch, reserved: 2}}
        recover:
          steps:
            - ramp: {ramp}
"""


def steps(tmp_path, ramp):
    """The recovery's steps of a file with this ramp."""
    path = tmp_path / "jaunt.yaml"
    path.write_text(dedent(FILE).format(ramp=ramp))
    (pipeline,) = load([path], REGISTRY, {"ACCOUNT_ID": "123456789012"}).pipelines
    return pipeline.breakers["throttle"].recover.steps


def test_numbers_fill_the_amount_of_the_action(tmp_path):
    """5, 10, 20 are reserved concurrencies; each rung has its time and as much again for its check."""
    given = (
        "{set_lambda_concurrency: {function: web-fetch}, steps: [5, 10, 20], every: 10m,"
        " verify: {check: throttled, level: ok}}"
    )
    (step,) = steps(tmp_path, given)
    assert (step.id, step.verb) == ("ramp", "ramp")
    assert step.params["verify"] == {"check": "throttled", "level": "ok", "for": "0s"}
    assert (step.params["every"], step.params["within"], step.params["for"]) == ("10m", "20m", "1h")
    assert [rung.params for rung in rungs_of(step)] == [
        {"function": "web-fetch", "reserved": reserved} for reserved in (5, 10, 20)
    ]


def test_rungs_may_be_parameters_and_the_check_bounds_them(tmp_path):
    """A rung lasts its own time and what `within` adds."""
    given = (
        "{set_lambda_concurrency: {function: web-fetch}, steps: [{reserved: 5}], every: 1m,"
        " verify: {check: throttled, within: 30s}}"
    )
    (step,) = steps(tmp_path, given)
    assert step.params["within"] == "1m30s"
    assert [rung.params for rung in rungs_of(step)] == [{"function": "web-fetch", "reserved": 5}]
