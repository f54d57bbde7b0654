"""Holds the session to config/coverage.yaml: when all scenarios are run, each row's scenario has to have passed.

And to the shipped files: when a pipeline's scenes are run, each breaker opens and each check is breached in one.

Skipped is not passed: a session with such a row fails, whatever else it says. A run of some tests only is left alone.
With xdist this speaks in the process that collects the reports.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import structlog
from played import Played, parts_of
from proven import Recorder, read_coverage

RECORDER = pytest.StashKey[Recorder]()
PLAYED = pytest.StashKey[Played]()


@pytest.fixture(autouse=True)
def _logs_end_with_the_test() -> Iterator[None]:
    """A daemon that a test starts logs to that test's captured output, which is closed when the next one runs."""
    yield
    structlog.reset_defaults()
    for handler in list(logging.getLogger().handlers):
        if isinstance(handler.formatter, structlog.stdlib.ProcessorFormatter):
            logging.getLogger().removeHandler(handler)


def pytest_configure(config: pytest.Config) -> None:
    """Listen, unless this is a worker."""
    if not hasattr(config, "workerinput"):
        config.stash[RECORDER] = Recorder(read_coverage()["rows"])
        config.stash[PLAYED] = Played(parts_of)
        config.pluginmanager.register(Listener(config.stash[RECORDER], config.stash[PLAYED]), "coverage-rows")


class Listener:
    """The hooks of one session."""

    def __init__(self, recorder: Recorder, played: Played) -> None:
        self._recorder = recorder
        self._played = played

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """What is left after deselection."""
        if not session.config.option.collectonly:
            self._recorder.collected(item.nodeid for item in session.items)
            self._played.collected(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        """The same, told by a worker."""
        self._recorder.collected(ids)
        self._played.collected(ids)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """An outcome."""
        marked = hasattr(report, "wasxfail")
        self._recorder.ended(report.nodeid, report.when or "", report.outcome, expected_failure=marked)
        self._played.ended(report.nodeid, report.when or "", report.outcome, report.user_properties)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a session that would pass with an unproven row, or with something that no scene plays."""
        if (self._recorder.unproven() or self._played.faults()) and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Name the rows."""
        unproven = self._recorder.unproven()
        if unproven:
            terminalreporter.section("rows of config/coverage.yaml whose scenario did not pass", red=True)
            for line in unproven:
                terminalreporter.line(line)
        faults = self._played.faults()
        if faults:
            terminalreporter.section("breakers and checks that no scene plays", red=True)
            for line in faults:
                terminalreporter.line(line)
