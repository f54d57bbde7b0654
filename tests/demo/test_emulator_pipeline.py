"""`python -m monitor.demo.emulator --with-pipeline`: something to look at without an account."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from monitor.demo.emulator.child import ROOT

pytestmark = pytest.mark.process

BARE = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TRIPSWITCH_"))}


@pytest.fixture
def exported() -> Iterator[dict[str, str]]:
    """What it tells to export, while it serves."""
    command = [sys.executable, "-m", "monitor.demo.emulator", "--with-pipeline", "--with-parent"]
    with subprocess.Popen(command, cwd=ROOT, env=BARE, stdout=subprocess.PIPE, text=True) as emulator:
        assert emulator.stdout
        told = [emulator.stdout.readline() for _ in range(3)][-1]
        yield dict(pair.split("=", 1) for pair in told.removeprefix("export ").split())
        emulator.terminate()


def test_what_it_tells_to_export_is_enough_for_init(exported: dict[str, str]) -> None:
    """Credentials, region and address: `init` finds the pipeline and writes one file of it."""
    words = [sys.executable, "-m", "monitor", "init", "--out", "-"]
    ended = subprocess.run(words, cwd=ROOT, env=BARE | exported, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "pipeline: etl" in ended.stdout
