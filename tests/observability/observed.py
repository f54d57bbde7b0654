"""A real Prometheus, a real Alertmanager, a real daemon and an emulated AWS, all on loopback and free ports."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "config" / "prometheus"
RULES = PROMETHEUS / "rules.yaml"
ALERTMANAGER = ROOT / "config" / "alertmanager" / "alertmanager.yaml"
TOKEN = "observed-token"
#: Seconds a process may take to start; a busy machine takes most of a minute for all of them.
START = 90


def binary(name: str) -> str:
    """Where it is, or skip: Debian's packages prometheus and prometheus-alertmanager bring it."""
    found = shutil.which(name)
    if found is None:
        package = "prometheus" if name in {"prometheus", "promtool"} else "prometheus-alertmanager"
        pytest.skip(f"{name} is not installed (apt-get install {package})")
    return found


def read(file: Path) -> Any:
    """A YAML file as plain data."""
    return YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))


def rules() -> list[dict[str, Any]]:
    """Every shipped rule, in order."""
    return [rule for group in read(RULES)["groups"] for rule in group["rules"]]


def until(holds: Callable[[], Any], seconds: float, what: str) -> Any:
    """Poll until it holds; fails after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        found = holds()
        if found:
            return found
        assert time.monotonic() < end, f"{what}: not within {seconds:g} s"
        time.sleep(0.05)


def get(url: str, headers: dict[str, str] | None = None) -> tuple[str, str]:
    """Body and content type of a GET."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=20) as reply:
        return reply.read().decode(), str(reply.headers["Content-Type"])


def post(url: str, body: Any) -> Any:
    """JSON of a POST with the daemon's token."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.loads(reply.read())


class Served:
    """A process that says in its log where it listens."""

    def __init__(self, command: list[str], folder: Path, says: str, env: dict[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=env)
        try:
            found = until(lambda: self._address(says), START, f"{command[0]} listens")
        except AssertionError:
            self.stop()
            raise AssertionError(self.log.read_text()[-3000:]) from None
        self.url = f"http://127.0.0.1:{found}"

    def _address(self, says: str) -> str | None:
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        found = re.search(says, self.log.read_text())
        return found[1] if found else None

    def stop(self) -> None:
        """End it; idempotent."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def start_daemon(file: Path, folder: Path, aws: dict[str, str]) -> Served:
    """`tripswitch run FILE` against an emulated AWS."""
    bare = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "TRIPSWITCH_"))}
    path = os.pathsep.join(filter(None, (str(ROOT), bare.get("PYTHONPATH"))))
    env = {
        **bare, **aws, "PYTHONPATH": path, "TRIPSWITCH_TOKEN": TOKEN, "TRIPSWITCH_LISTEN": "127.0.0.1:0",
        "TRIPSWITCH_STORE": f"sqlite:///{folder}/state.db", "TRIPSWITCH_LOG_FORMAT": "json", "TRIPSWITCH_GRACE": "6s",
    }  # fmt: skip
    command = [sys.executable, "-m", "monitor", "run", str(file)]
    return Served(command, folder, r'"url": "http://127\.0\.0\.1:(\d+)".*"daemon\.listening"', env)


class Prometheus(Served):
    """Scrapes one daemon every second and evaluates `rules`."""

    def __init__(self, folder: Path, target: str, rule_groups: Any, alertmanager: str | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        config = read(PROMETHEUS / "prometheus.yaml")
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        [scrape] = config["scrape_configs"]
        scrape["static_configs"] = [{"targets": [target.removeprefix("http://")]}]
        targets = [alertmanager.removeprefix("http://")] if alertmanager else []
        config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": targets}]}]
        # JSON is YAML.
        (folder / "prometheus.yaml").write_text(json.dumps(config))
        (folder / "rules.yaml").write_text(json.dumps(rule_groups))
        command = [
            binary("prometheus"), f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data",
            "--web.listen-address=127.0.0.1:0", "--log.format=json",
        ]  # fmt: skip
        super().__init__(command, folder, r'"address":"127\.0\.0\.1:(\d+)".*?"msg":"Listening on"')
        until(self._ready, START, "Prometheus is ready")

    def _ready(self) -> bool:
        try:
            return "Ready" in get(f"{self.url}/-/ready")[0]
        except urllib.error.URLError:
            return False

    def ask(self, path: str, **parameters: str) -> Any:
        """`data` of an API answer; the error's text where it is none."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            told = json.loads(get(url)[0])
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {json.loads(error.read())['error']}") from None
        assert told["status"] == "success", told
        return told["data"]

    def query(self, expr: str) -> list[Any]:
        """The samples of an instant query. Fails with Prometheus' own words."""
        found: list[Any] = self.ask("query", query=expr)["result"]
        return found


def quick_rules() -> Any:
    """The shipped rules as they are, but for how long they wait."""
    shipped = read(RULES)
    for group in shipped["groups"]:
        for rule in group["rules"]:
            for key in ("for", "keep_firing_for"):
                if key in rule:
                    rule[key] = "1s"
    return shipped


class Alertmanager(Served):
    """The shipped routes and receivers; each receiver's webhook is `hooks`/NAME."""

    def __init__(self, folder: Path, hooks: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        config = read(ALERTMANAGER)
        for route in (config["route"], *config["route"]["routes"]):
            route["group_wait"], route["group_interval"] = "100ms", "500ms"
        for receiver in config["receivers"]:
            for hook in receiver["webhook_configs"]:
                hook["url"] = f"{hooks}/{receiver['name']}"
        (folder / "alertmanager.yaml").write_text(json.dumps(config))
        command = [
            binary("prometheus-alertmanager"), f"--config.file={folder}/alertmanager.yaml",
            f"--storage.path={folder}/data", "--web.listen-address=127.0.0.1:0", "--cluster.listen-address=",
            "--log.format=json",
        ]  # fmt: skip
        super().__init__(command, folder, r'"address":"127\.0\.0\.1:(\d+)".*?"msg":"Listening on"')


class Receiver:
    """A webhook on loopback that keeps what it is told: (receiver's name, alert) in order."""

    def __init__(self) -> None:
        heard: list[tuple[str, dict[str, Any]]] = []

        class Hook(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                heard.extend((self.path.strip("/"), alert) for alert in body["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self.heard = heard
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def alerts(self, name: str, status: str, **labels: str) -> list[tuple[str, dict[str, Any]]]:
        """Those of an alert name with this status and at least these labels."""
        wanted = {"alertname": name, **labels}.items()
        return [(to, one) for to, one in self.heard if one["status"] == status and wanted <= one["labels"].items()]

    def close(self) -> None:
        """Hear nothing more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
