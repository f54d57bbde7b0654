"""Pins every dependency with hashes, for every platform and Python from 3.11 on, without naming where from.

`requirements.lock` is what the image runs on; `-demo` adds the emulator and what an editable install needs;
`-dev` adds the tools; `-build` is what the image's build stage makes the wheel with. The larger ones are resolved under
the smaller ones' pins. `-ministack` is an environment of its own, for it pins another botocore.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
DEMO = ("--extra", "demo", "--group", "build")
DEV = (*DEMO, "--extra", "apprise", "--extra", "postgres", "--group", "dev")
OURS = "pyproject.toml"
#: File, what goes in, whose pins it keeps.
LOCKS: tuple[tuple[str, tuple[str, ...], str | None], ...] = (
    ("requirements.lock", (OURS,), None),
    ("requirements-demo.lock", (OURS, *DEMO), "requirements.lock"),
    ("requirements-dev.lock", (OURS, *DEV), "requirements-demo.lock"),
    ("requirements-build.lock", ("--group", "build"), "requirements-demo.lock"),
    ("requirements-ministack.lock", ("tools/ministack.in",), None),
)


def main() -> int:
    """Write the lock files; uv's exit code if it fails."""
    for name, wanted, under in LOCKS:
        command = [
            sys.executable, "-m", "uv", "pip", "compile", *wanted, "--quiet",
            "--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate",
            "--no-emit-index-url", "--upgrade", "--output-file", name,
        ]  # fmt: skip
        if under is not None:
            command += ["--constraint", under]
        ended = subprocess.run(command, cwd=ROOT, check=False)
        if ended.returncode:
            return ended.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
