"""A PostgreSQL of one's own for a test: a fresh cluster on a free port, taken down afterwards."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

#: Where Debian keeps the server's programs, outside the search path.
DEBIAN = Path("/usr/lib/postgresql")


def program(name: str) -> str:
    """A server program; skips the test if PostgreSQL is not installed."""
    found = shutil.which(name) or next((str(path) for path in sorted(DEBIAN.glob(f"*/bin/{name}"), reverse=True)), None)
    if found is None:
        pytest.skip(f"PostgreSQL is not installed ({name} not found)")
    return found


def account() -> str | None:
    """initdb refuses root: whom to run as then."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    pytest.skip("PostgreSQL refuses to run as root, and there is no other account")


@contextlib.contextmanager
def server(max_connections: int = 12) -> Iterator[str]:
    """The DSN of a superuser without password on the loopback."""
    initdb, postgres, user = program("initdb"), program("postgres"), account()
    folder = Path(tempfile.mkdtemp(prefix="tripswitch-pg-"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    try:
        if user is not None:
            shutil.chown(folder, user)
        data = str(folder / "data")
        made = [initdb, "-D", data, "-U", "admin", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(made, check=True, capture_output=True, user=user, cwd=folder)
        settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": folder, "fsync": "off",
                    "max_connections": max_connections, "superuser_reserved_connections": 0}  # fmt: skip
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        process = subprocess.Popen(
            [postgres, "-D", data, *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=user,
            cwd=folder,
        )
        try:
            _await(port, process)
            yield f"postgresql://admin@127.0.0.1:{port}/postgres"
        finally:
            process.send_signal(signal.SIGINT)  # fast: SIGTERM would wait for open sessions
            process.wait(20)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    """Until it accepts queries."""
    ready = program("pg_isready")
    for _ in range(100):
        if process.poll() is not None:
            raise AssertionError(f"postgres ended with {process.returncode}")
        if subprocess.run([ready, "-q", "-h", "127.0.0.1", "-p", str(port), "-t", "1"], check=False).returncode == 0:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
    raise AssertionError("postgres was not ready in time")
