"""What the shells offer after <TAB>."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILE = """\
pipeline: etl
checks:
  dead-letters: {kind: queue_depth, queues: [a]}
  depth: {kind: queue_depth, queues: [b]}
breakers:
  loop: {trip_when: depth}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A good file and a broken one."""
    (tmp_path / "etl.yaml").write_text(FILE)
    (tmp_path / "broken.yaml").write_text("{")
    return tmp_path


async def offered(folder: Path, line: str, shell: str = "bash", **more: str) -> list[str]:
    """What a shell is given for this line, the cursor at its end."""
    words = line.split(" ")
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    if shell != "bash":
        asked = {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    environment = {"_TRIPSWITCH_COMPLETE": f"complete_{shell}", "PYTHONPATH": str(ROOT), **asked, **more}
    code = "from monitor.cli.main import build; build()(prog_name='tripswitch')"
    ended = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], cwd=folder, env=dict(os.environ) | environment,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.stderr == ""
    return [word for word in ended.stdout.splitlines() if word]


@pytest.mark.process
@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("tripswitch explain queue_d", ["queue_depth"]),
        ("tripswitch explain disable_r", ["disable_rule"]),
        ("tripswitch check etl.yaml --only ", ["dead-letters", "depth"]),
        ("tripswitch check . --only de", ["dead-letters", "depth"]),
        ("tripswitch check broken.yaml --only ", []),
        ("tripswitch check absent.yaml --only ", []),
        ("tripswitch breaker trip --local etl.yaml e", ["etl/loop"]),
        ("tripswitch breaker reset --url http://127.0.0.1:9 ", []),
        ("tripswitch breaker reset --url nonsense ", []),
        ("tripswitch ini", ["init"]),
    ],
)
async def test_bash_is_offered(folder: Path, line: str, found: list[str]) -> None:
    """Names that fit; nothing, and no word on the terminal, where there is nothing to read."""
    assert await offered(folder, line) == found


@pytest.mark.process
async def test_the_daemon_offers_its_breakers_and_incidents(daemon: str, folder: Path) -> None:
    """PIPELINE/BREAKER, and ids."""
    assert "etl/loop" in await offered(folder, "tripswitch breaker trip ", TRIPSWITCH_URL=daemon)
    assert await offered(folder, "tripswitch incident show ", TRIPSWITCH_URL=daemon)


@pytest.mark.process
@pytest.mark.parametrize("shell", ["zsh", "fish"])
async def test_other_shells_are_offered_the_same(folder: Path, shell: str) -> None:
    """zsh and fish get the names in their own forms."""
    assert "queue_depth" in "".join(await offered(folder, "tripswitch explain queue_d", shell))


@pytest.mark.process
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_each_shell_gets_its_script(folder: Path, shell: str) -> None:
    """The script calls back with that shell's instruction."""
    text = "\n".join(await offered(folder, "", shell, _TRIPSWITCH_COMPLETE=f"source_{shell}"))
    assert f"complete_{shell}" in text
