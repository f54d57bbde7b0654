"""One broken file per rule: its first line says which problem, and where, must be the only one."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_fakes import REGISTRY, FakeOperations

from monitor.config import ConfigError, load

BROKEN = sorted((Path(__file__).parent / "broken").glob("*.yaml"))
ENVIRON = {"ACCOUNT_ID": "123456789012", "AWS_REGION": "us-east-1", "LIMIT": "250"}


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_each_broken_file_has_exactly_its_problem(path: Path) -> None:
    """The first line's `line:col: path: message` is what the loader says, and it says nothing else."""
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# ")
    expected = first.removeprefix("# ")
    with pytest.raises(ConfigError) as caught:
        load([path], REGISTRY, ENVIRON, FakeOperations())
    told = [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems]
    assert told == [expected]


def test_the_corpus_is_not_lost() -> None:
    """The parametrized test above runs over a real corpus."""
    assert len(BROKEN) >= 45
