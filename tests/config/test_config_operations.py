"""Complaints about AWS operations stand where the operation, the query or the parameter stands."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_fakes import REGISTRY

from monitor.config import ConfigError, load
from monitor.plugin import OperationUse

TEXT = """pipeline: a
checks:
  q:
    kind: aws_query
    service: sqs
    operation: GetQueueAttributes
    query: Attributes.X
    parameters:
      Names:
        - one
        - two
"""


class Saying:
    """Finds one fault."""

    def __init__(self, inside: tuple[str | int, ...], message: str) -> None:
        self._problem = (inside, message)

    def problems(self, use: OperationUse) -> list[tuple[tuple[str | int, ...], str]]:
        """Always the same."""
        return [self._problem]


@pytest.mark.parametrize(
    ("inside", "message", "place"),
    [
        ((), "unknown AWS service 'sqs'", (5, "checks.q.service")),
        ((), "sqs has no operation 'GetQueueAttributes'", (6, "checks.q.operation")),
        ((), "sqs:GetQueueAttributes changes things", (6, "checks.q.operation")),
        ((), "'Attributes.X' yields nothing", (7, "checks.q.query")),
        (("Names",), "expected text", (9, "checks.q.parameters.Names")),
        (("Names", 1), "expected a number", (11, "checks.q.parameters.Names[1]")),
        (("QueueUrl",), "is missing", (8, "checks.q.parameters")),
    ],
)
def test_a_complaint_has_its_line(
    tmp_path: Path, inside: tuple[str | int, ...], message: str, place: tuple[int, str]
) -> None:
    """A fault of the call as a whole is told at the word it is about; a missing parameter at `parameters`."""
    path = tmp_path / "a.yaml"
    path.write_text(TEXT)
    with pytest.raises(ConfigError) as caught:
        load([path], REGISTRY, {}, Saying(inside, message))
    assert [(problem.line, problem.path) for problem in caught.value.problems] == [place]
    assert load([path], REGISTRY, {}).pipelines


NUMBERS = """pipeline: a
vars: {units: 24}
checks:
  q:
    kind: aws_query
    service: sqs
    operation: ReceiveMessage
    parameters: {QueueUrl: "${URL}", MaxNumberOfMessages: "${units}"}
    query: Messages
"""


class Wants:
    """Takes whole numbers for one parameter, texts for all others."""

    def problems(self, use: OperationUse) -> list[tuple[tuple[str | int, ...], str]]:
        """By the types it sees."""
        wrong = []
        for name, value in use.parameters.items():
            kind = int if name == "MaxNumberOfMessages" else str
            if not isinstance(value, kind):
                wrong.append(((name,), f"expected {kind.__name__}"))
        return wrong


@pytest.mark.parametrize(
    ("written", "environ", "loads"),
    [
        ('"${units}"', {"URL": "7"}, True),
        ('"${MOST:-5}"', {"URL": "7"}, True),
        ('"${MOST:-many}"', {"URL": "7"}, False),
        ('"x${units}"', {"URL": "7"}, False),
        ('"24"', {"URL": "7"}, False),
    ],
)
def test_a_variable_in_quotes_is_the_number_that_the_call_wants(
    tmp_path: Path, written: str, environ: dict[str, str], loads: bool
) -> None:
    """Where a text is wanted it stays one; a text in quotes without a variable is meant as one."""
    path = tmp_path / "a.yaml"
    path.write_text(NUMBERS.replace('"${units}"', written))
    if not loads:
        with pytest.raises(ConfigError, match="expected int"):
            load([path], REGISTRY, environ, Wants())
        return
    pipeline = load([path], REGISTRY, environ, Wants()).pipelines[0]
    parameters = pipeline.checks["q"].params.parameters
    assert parameters["QueueUrl"] == "7"
    assert parameters["MaxNumberOfMessages"] == (5 if "MOST" in written else 24)
