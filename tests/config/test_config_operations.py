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
