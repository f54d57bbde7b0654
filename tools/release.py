"""Builds what a release consists of, and proves that it runs from a clean environment.

`dist/` then holds the source distribution, the wheel (built from that source distribution, so neither lacks a file the
other has) and a CycloneDX bill of materials of the environment the wheel ran in: every package of the image, with its
version and licence. Fails if the version is not the same everywhere it is written.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
DIST = ROOT / "dist"


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """The standard output of a command that must succeed."""
    ended = subprocess.run([str(part) for part in command], cwd=cwd, check=False, capture_output=True, text=True)
    if ended.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{ended.stdout}{ended.stderr}")
    return ended.stdout


def versions() -> dict[str, str]:
    """Where the version is written -> what stands there; `monitor/__init__.py` is the source, the chart follows it."""
    chart = (ROOT / "helm/tripswitch/Chart.yaml").read_text(encoding="utf-8")
    package = (ROOT / "monitor/__init__.py").read_text(encoding="utf-8")
    found = {
        "monitor/__init__.py": re.search(r'^__version__ = "(.+)"$', package, re.MULTILINE),
        "helm/tripswitch/Chart.yaml appVersion": re.search(r'^appVersion: "?([^"\n]+)"?$', chart, re.MULTILINE),
    }
    return {place: match[1] if match else "nothing" for place, match in found.items()}


def build() -> tuple[Path, Path]:
    """(source distribution, wheel); the wheel is built from the unpacked source distribution."""
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "hatchling", "build", "--target", "sdist")
    (source,) = DIST.glob("*.tar.gz")
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(source) as archive:
            archive.extractall(folder, filter="data")
        (unpacked,) = Path(folder).iterdir()
        run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", cwd=unpacked)
        (wheel,) = (unpacked / "dist").glob("*.whl")
        shutil.copy(wheel, DIST)
        return source, DIST / wheel.name


def try_out(wheel: Path, folder: Path) -> Path:
    """The interpreter of a clean environment into which the lock and the wheel went, after its commands were tried."""
    run(sys.executable, "-m", "venv", folder / "env")
    python, command = folder / "env/bin/python", folder / "env/bin/tripswitch"
    quiet = ("-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet")
    run(python, *quiet, "--require-hashes", "--requirement", ROOT / "requirements.lock")
    run(python, *quiet, "--no-deps", wheel)
    version = versions()["monitor/__init__.py"]
    if version not in (said := run(command, "--version", cwd=folder)):
        raise SystemExit(f"the installed command says {said.strip()!r}, not {version}")
    run(command, "explain", "queue_depth", cwd=folder)
    run(command, "schema", cwd=folder)
    first = folder / "first.yaml"
    checks = '{dead: {kind: queue_depth, queues: ["*-dlq"]}}'
    first.write_text(f"pipeline: first\naws: {{region: us-east-1}}\nchecks: {checks}\n", encoding="utf-8")
    run(command, "validate", first, cwd=folder)
    typed = "import importlib.resources as r; assert (r.files('monitor') / 'py.typed').is_file()"
    run(python, "-c", typed, cwd=folder)
    run(python, "-m", "pip", "uninstall", "--quiet", "--yes", "setuptools", "pip")  # the image has neither
    return python


def main() -> int:
    """Build, try, list; prints what came out."""
    written = versions()
    if len(set(written.values())) != 1:
        raise SystemExit("the version differs: " + ", ".join(f"{place} has {text}" for place, text in written.items()))
    source, wheel = build()
    bill = DIST / f"tripswitch-{written['monitor/__init__.py']}.cdx.json"
    with tempfile.TemporaryDirectory() as folder:
        python = try_out(wheel, Path(folder))
        run(sys.executable, "-m", "cyclonedx_py", "environment", "--pyproject", ROOT / "pyproject.toml",
            "--output-reproducible", "--of", "JSON", "--output-file", bill, python)  # fmt: skip
    for file in (source, wheel, bill):
        print(f"{file.relative_to(ROOT)}  {file.stat().st_size / 1024:.0f} KiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
