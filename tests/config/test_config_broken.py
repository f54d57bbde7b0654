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


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_each_problem_says_where_what_and_what_to_write(path: Path) -> None:
    """File, line, column, the path of keys (unless the file as a whole is meant), the reason, and a hint."""
    with pytest.raises(ConfigError) as caught:
        load([path], REGISTRY, ENVIRON, FakeOperations())
    (problem,) = caught.value.problems
    assert problem.file == str(path)
    assert problem.line >= 1
    assert problem.column >= 1
    assert problem.message
    assert problem.suggestion
    whole = problem.message.startswith(("not valid YAML", "the file ", "a second ", "a pipeline file ", "keys must be"))
    assert problem.path or whole or "expands to" in problem.message


def test_all_problems_of_all_files_come_in_one_run() -> None:
    """Every file's own problem is among those of one load of the whole corpus."""
    with pytest.raises(ConfigError) as caught:
        load(BROKEN, REGISTRY, ENVIRON, FakeOperations())
    told = [str(problem) for problem in caught.value.problems]
    for path in BROKEN:
        assert f"{path}:{path.read_text(encoding='utf-8').splitlines()[0].removeprefix('# ')}" in told


def test_the_corpus_is_not_lost() -> None:
    """The parametrized test above runs over a real corpus."""
    assert len(BROKEN) >= 120
