"""Every `$ tripswitch ...` line of the documentation does what it says, typed as it stands there.

Against a real daemon in a process of its own and an emulator in another. The lines of a page are typed in their order,
in a folder that holds the files the pages speak of; where a page would be asked on a terminal, `--yes` is added.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup as Group

from monitor.cli.main import build
from monitor.demo.emulator import child
from monitor.demo.world import DEAD, World

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("docs")]

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TOKEN = "docs-token"

PIPELINE = """\
pipeline: etl
aws: {region: us-east-1}
checks:
  dead-letters:
    kind: queue_depth
    interval: 1s
    queues: ["etl-*-dlq"]
    thresholds: {visible: {critical: {above: 5}}}
breakers:
  dead-letters:
    trip_when: dead-letters.visible
    mode: approve
    on_trip: [{redrive_queue: {rate: 10}}]
"""

#: How a line may end beside 0, and why.
OTHER_ENDS = {
    r"check\b": {1, 2, 3},  # the level of the round
    r"silence remove\b": {4},  # the page's id is of the page's day
    r"breaker reset \S+ --force\b": {4},  # the line above it has closed the breaker
}


@dataclass(frozen=True)
class Place:
    """Where the lines are typed."""

    folder: Path
    environment: dict[str, str]

    def type(self, line: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """One line of shell, as it stands on the page."""
        return subprocess.run(
            # `exit` keeps the shell alive behind the command: --install-completion asks which shell it was typed in.
            ["bash", "-c", f"{line}\nexit $?"], cwd=self.folder, env=self.environment, timeout=seconds, check=False,
            capture_output=True, text=True,
        )  # fmt: skip


def lines(page: Path) -> list[str]:
    """The page's commands, continued lines joined, remarks cut off."""
    text = re.sub(r"\\\n\s*", "", page.read_text(encoding="utf-8"))
    found = re.findall(r"^ *\$ ((?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?tripswitch [^\n]+)", text, re.MULTILINE)
    return [re.sub(r"\s+#\s.*$", "", line).replace(".venv/bin/", "") for line in found]


def asks(line: str) -> bool:
    """Whether the command has a `--yes` that the line does not give."""
    command, words = typer.main.get_command(build()), shlex.split(line.split("|", maxsplit=1)[0])
    words = words[words.index("tripswitch") + 1 :]
    while words and isinstance(command, Group) and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    return "--yes" not in words and any("--yes" in parameter.opts for parameter in command.params)


async def broken_pipeline(emulator: child.Child) -> None:
    """The runbook's pipeline, with dead letters."""
    async with World(emulator.url) as world:
        await world.build()
        sqs = await world.aws("sqs")
        url = (await sqs.get_queue_url(QueueName=DEAD))["QueueUrl"]
        for number in range(20):
            await sqs.send_message(QueueUrl=url, MessageBody=f'{{"key": "incoming/{number}"}}')


@pytest.fixture
def emulator() -> Iterator[child.Child]:
    """The emulator."""
    with child.start() as started:
        yield started


@pytest.fixture
async def place(emulator: child.Child, tmp_path: Path) -> Place:
    """A folder with what the pages speak of, and a daemon that waits for an approval."""
    await broken_pipeline(emulator)
    (tmp_path / "etl.yaml").write_text(PIPELINE)
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "first.yaml").write_text(PIPELINE.replace("pipeline: etl", "pipeline: first"))
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "tripswitch"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m monitor "$@"\n')
    command.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    bare = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "TRIPSWITCH_"))}
    return Place(
        tmp_path,
        {
            **bare, **emulator.environment(), "HOME": str(tmp_path), "PATH": f"{tmp_path / 'bin'}:{bare['PATH']}",
            "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), bare.get("PYTHONPATH")))),
            "ACCOUNT_ID": child.ACCOUNT, "TRIPSWITCH_LISTEN": f"127.0.0.1:{port}",
            "TRIPSWITCH_URL": f"http://127.0.0.1:{port}", "TRIPSWITCH_TOKEN": TOKEN, "NO_COLOR": "1",
            "TRIPSWITCH_STORE": f"sqlite:///{tmp_path}/state.db",
        },
    )  # fmt: skip


@pytest.fixture
def daemon(place: Place) -> Iterator[Place]:
    """The place, while a daemon runs there and its breaker waits for a yes."""
    log = place.folder / "daemon.log"
    with log.open("wb") as words:
        process = subprocess.Popen(
            ["tripswitch", "run", "etl.yaml"], cwd=place.folder, env=place.environment, stdout=words, stderr=words,
            executable=str(place.folder / "bin" / "tripswitch"),
        )  # fmt: skip
    try:
        until = time.monotonic() + 60
        while "tripping" not in place.type("tripswitch breaker list").stdout:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
        yield place
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)


@pytest.mark.parametrize("page", [page for page in PAGES if lines(page)], ids=lambda page: page.name)
def test_what_a_page_tells_to_type_works(page: Path, daemon: Place) -> None:
    """No wrong usage, no traceback, and the end the page leads one to expect."""
    wrong = []
    for line in lines(page):
        if re.search(r"\btripswitch run\b", line):
            continue  # the daemon of this test was started that way
        ended = daemon.type(f"{line} --yes" if asks(line) else line)
        said = f"$ {line}\n[{ended.returncode}] {ended.stdout[-500:]}{ended.stderr[-1500:]}"
        name = line[line.index("tripswitch ") + len("tripswitch ") :]
        others = {end for pattern, ends in OTHER_ENDS.items() if re.match(pattern, name) for end in ends}
        if ended.returncode not in {0} | others or "Traceback" in ended.stderr:
            wrong.append(said)
    assert not wrong, "\n\n".join(wrong)


def test_pages_hold_commands_to_type() -> None:
    """The lines are found: the how-to has many."""
    assert len(lines(ROOT / "docs" / "how-to.md")) > 12
