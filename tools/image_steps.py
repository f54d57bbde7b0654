"""Replays the image's build stage without a container engine, and runs the daemon the way containers run it.

Reads the Dockerfile itself, so that what is tried is what is built: its RUN lines are executed with /app, /src and
the like moved below a folder, and its COPY lines copy what .dockerignore lets through. What it can't show: the base
image, and the second stage's file system.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shlex
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLACES = ("/app", "/src", "/wheels", "/state", "/pipelines")
#: MB that the environment may have.
BOUND = 85


#: Prints the modules that importing all of tripswitch imports and that have no compiled file.
IMPORTED = """
import checks, importlib, monitor, os, pkgutil, sys
for room in (checks, monitor):
    for one in pkgutil.walk_packages(room.__path__, room.__name__ + "."):
        if not one.name.startswith(("monitor.demo", "monitor.__main__")):
            importlib.import_module(one.name)
for name, one in list(sys.modules.items()):
    file = getattr(one, "__file__", None) or ""
    if file.startswith(sys.prefix) and file.endswith(".py") and not os.path.exists(one.__cached__ or ""):
        print(name)
"""


def instructions(dockerfile: str) -> Iterator[tuple[str, str]]:
    """(instruction, its text) with continued lines joined and comments left out."""
    text = re.sub(r"^\s*#.*\n", "", dockerfile, flags=re.MULTILINE)
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield name.upper(), " ".join(rest.split())


def stages(dockerfile: str) -> list[list[tuple[str, str]]]:
    """The instructions of each stage, its FROM first."""
    found: list[list[tuple[str, str]]] = []
    for name, rest in instructions(dockerfile):
        if name == "FROM":
            found.append([])
        if found:
            found[-1].append((name, rest))
    return found


def admitted(path: str, rules: list[str]) -> bool:
    """Whether .dockerignore lets a path (relative, with slashes) into the build; the last rule that fits decides."""
    verdict = True
    for rule in rules:
        pattern = rule.removeprefix("!")
        parts = path.split("/")
        ahead = ["/".join(parts[: n + 1]) for n in range(len(parts))]
        tails = ["/".join(parts[n:]) for n in range(len(parts))] if pattern.startswith("**/") else []
        below = [part for tail in tails for part in tail.split("/")]
        if any(fnmatch.fnmatch(one, pattern.removeprefix("**/")) for one in (*ahead, *tails, *below)):
            verdict = rule.startswith("!")
    return verdict


def ignore_rules() -> list[str]:
    """The lines of .dockerignore."""
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


class Replay:
    """One replay below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder
        self.environ: dict[str, str] = {}

    def moved(self, text: str) -> str:
        """The text with the image's places below our folder."""
        return re.sub(rf"(?<![\w.-])({'|'.join(PLACES)})(?=[\s/]|$)", lambda found: f"{self.folder}{found[1]}", text)

    def step(self, name: str, rest: str) -> None:
        """One instruction of the build stage."""
        if name == "ENV":
            self.environ |= dict(part.split("=", 1) for part in shlex.split(rest))
        elif name == "WORKDIR":
            self.work = Path(self.moved(rest))
            self.work.mkdir(parents=True, exist_ok=True)
        elif name == "COPY":
            *sources, target = rest.split()
            for source in sources:
                self.copy(source, self.work / target if len(sources) == 1 else self.work / target / source)
        elif name == "RUN":
            self.run(rest)
        elif name not in ("FROM", "ARG"):
            raise SystemExit(f"{name} is an instruction that this replay doesn't know")

    def copy(self, source: str, target: Path) -> None:
        """A file or folder of the build context."""
        rules, start = ignore_rules(), ROOT / source
        files = [start] if start.is_file() else [one for one in start.rglob("*") if one.is_file()]
        taken = [one for one in files if admitted(one.relative_to(ROOT).as_posix(), rules)]
        if not taken:
            raise SystemExit(f"COPY {source}: .dockerignore lets nothing of it through")
        for file in taken:
            place = target if file == start and not target.is_dir() else target / file.relative_to(start)
            place = target / file.name if file == start and target.is_dir() else place
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, place)

    def run(self, command: str) -> None:
        """A RUN line, in the stage's own Python: another environment, so that nothing leaks in from this one."""
        base = self.folder / "base"
        if not base.exists():
            subprocess.run([sys.executable, "-m", "venv", base], check=True)
        # Owners can be given by root only, and are not what is tried here.
        command = re.sub(r"install -d -o \d+ -g \d+", "install -d", self.moved(command))
        environ = {"PATH": f"{base}/bin:/usr/bin:/bin", "HOME": str(self.folder), **network(), **self.environ}
        subprocess.run(["/bin/sh", "-euc", command], cwd=self.work, env=environ, check=True)


def network() -> dict[str, str]:
    """How this machine reaches its package index; an image's build gets the same from its builder."""
    wanted = re.compile(
        r"(?i)(https?_proxy|no_proxy|pip_(index_url|extra_index_url|cert|config_file)|ssl_cert_(file|dir))"
    )
    found = {name: value for name, value in os.environ.items() if wanted.fullmatch(name)}
    settings = Path.home() / ".config" / "pip" / "pip.conf"
    return {"PIP_CONFIG_FILE": str(settings), **found} if settings.exists() else found


def build(folder: Path) -> Path:
    """Replay the build stage; the environment that the second stage would get."""
    replay = Replay(folder)
    for name, rest in stages((ROOT / "Dockerfile").read_text("utf-8"))[0]:
        replay.step(name, rest)
    return folder / "app"


def sizes(folder: Path) -> tuple[float, float]:
    """(MB of bytes, which is what an image's size means; MiB of disk as `du` counts, each file in whole blocks)."""
    told = [one.stat() for one in folder.rglob("*") if not one.is_symlink()]
    return sum(one.st_size for one in told if stat.S_ISREG(one.st_mode)) / 1e6, sum(
        one.st_blocks for one in told
    ) * 512 / 2**20


def main() -> int:
    """Build, look, run. Exit code 0: all is as it must be."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="image-") as name:
        folder = Path(name)
        app = build(folder)
        size, disk = sizes(app)
        print(f"{size:.1f} MB of packages (at most {BOUND}; {disk:.1f} MiB by du), {time.monotonic() - began:.0f} s")
        return 0 if size <= BOUND and look(app) and run(app, folder) else 1


def look(app: Path) -> bool:
    """No pip, no setuptools, no compiler's leftovers, every service of AWS, and nothing that needs a shell."""
    packages = next(app.glob("lib/python*/site-packages"))
    unwanted = [one for one in ("pip", "setuptools", "wheel", "hatchling") if (packages / one).exists()]
    services = len([one for one in (packages / "botocore" / "data").iterdir() if one.is_dir()])
    first = (app / "bin" / "tripswitch").read_text("utf-8").splitlines()[0]
    print(f"{services} services; {first}; unwanted: {unwanted or 'nothing'}")
    slow = uncompiled(app)
    print(f"imported by the daemon and not compiled: {slow or 'nothing'}")
    return not unwanted and services > 350 and first == f"#!{app}/bin/python" and not slow


def uncompiled(app: Path) -> list[str]:
    """Modules that a start would compile again and again, for it can't write down what it compiled."""
    told = subprocess.run([app / "bin" / "python", "-Bc", IMPORTED], capture_output=True, text=True, check=True)
    return told.stdout.split()


def run(app: Path, folder: Path) -> bool:
    """The daemon as a user that nobody knows, in an environment it can't write to: healthy, and gone in time."""
    state, pipelines = folder / "var", folder / "etc"
    for place in (state, pipelines):
        place.mkdir()
    check = "{kind: queue_depth, queues: [nobody]}"
    (pipelines / "p.yaml").write_text(f"pipeline: p\naws: {{region: us-east-1}}\nchecks: {{c: {check}}}\n", "utf-8")
    for one in (app, *app.rglob("*")):
        if not one.is_symlink():
            one.chmod(one.stat().st_mode & ~0o222)
    url = f"http://127.0.0.1:{free_port()}"
    environ = {
        "PATH": f"{app}/bin", "HOME": "/", "PYTHONDONTWRITEBYTECODE": "1",
        "TRIPSWITCH_STORE": f"sqlite:///{state}/state.db", "TRIPSWITCH_LISTEN": url.removeprefix("http://"),
        "TRIPSWITCH_URL": url,
        # Nothing is asked of AWS: what is tried is the process, not its checks.
        "TRIPSWITCH_ENDPOINT": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none",
    }  # fmt: skip
    program = [*as_anybody(), str(app / "bin" / "tripswitch")]
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen([*program, "run", str(pipelines)], env=environ, cwd=state, stdout=log, stderr=log)
    try:
        answered = wait_for(f"{url}/healthz")
        asked = subprocess.run([*program, "healthz"], env=environ, cwd=state, check=False, stdout=subprocess.DEVNULL)
    finally:
        daemon.terminate()
        ended = time.monotonic()
        code = daemon.wait(timeout=30)
        for one in app.rglob("*"):
            if one.is_dir() and not one.is_symlink():
                one.chmod(0o755)  # so that it can be removed
        app.chmod(0o755)
    print(f"answers: {answered}; healthz: {asked.returncode}; SIGTERM: {code} in {time.monotonic() - ended:.1f} s")
    well = answered and asked.returncode == 0 and code == 0
    if not well:
        print((folder / "log").read_text("utf-8"))
    return well


def as_anybody() -> list[str]:
    """Words before a command that run it as user 1000650000 of group 0, without a name, a home or a capability."""
    words = ["/usr/bin/unshare", "--user", "--map-user=1000650000", "--map-group=0"]
    try:
        tried = subprocess.run([*words, "/usr/bin/id", "-u"], capture_output=True, text=True, check=False)
    except OSError:
        tried = None
    if tried is None or tried.stdout.strip() != "1000650000":
        print("not tried as another user: this machine gives no user namespaces")
        return []
    return words


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str) -> bool:
    """Whether it answers within 20 s."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            time.sleep(0.1)
    return False


if __name__ == "__main__":
    sys.exit(main())
