"""`make demo` in a fresh checkout: what the emulator imports is in the demo's own lock, not only in the developers'."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

#: Imports the emulator where nothing can be imported that the lock (the first argument's names) does not hold.
PROGRAM = """
import importlib.abc, importlib.metadata, importlib.util, re, sys

locked = set(sys.argv[1].split())
owners = importlib.metadata.packages_distributions()
normal = lambda name: re.sub(r"[-_.]+", "-", name).lower()

class Only(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        made = owners.get(name.partition(".")[0])
        if made and not locked & {normal(one) for one in made}:
            raise ModuleNotFoundError(f"{name} is not in requirements-demo.lock", name=name)

sys.meta_path.insert(0, Only())
import monitor.demo.emulator.door
for service in "apigateway appsync cloudformation cognitoidp glue iam rds".split():
    importlib.import_module(f"moto.{service}.models")
"""


def locked() -> set[str]:
    """Distributions of the demo's lock, and ourselves."""
    text = (ROOT / "requirements-demo.lock").read_text(encoding="utf-8")
    return {*re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE), "tripswitch"}


def imported(names: set[str]) -> subprocess.CompletedProcess[str]:
    """The emulator imported with these distributions alone."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, " ".join(sorted(names))], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.process
def test_the_emulator_needs_nothing_but_the_demos_lock() -> None:
    """A module that moto wants for one service only is found missing here, not by whoever types `make demo`."""
    ended = imported(locked())
    assert ended.returncode == 0, ended.stderr[-1500:]


@pytest.mark.process
def test_a_missing_package_is_found() -> None:
    """Without what API Gateway's part wants it fails."""
    ended = imported(locked() - {"openapi-spec-validator"})
    assert "openapi_spec_validator is not in requirements-demo.lock" in ended.stderr
