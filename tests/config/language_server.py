"""yaml-language-server as editors run it: JSON-RPC over stdio, one document at a time."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

#: No network: neither the store of schemas nor Kubernetes' own.
SETTINGS = {
    "yaml": {
        "validate": True, "completion": True, "hover": True, "format": {"enable": False},
        "schemaStore": {"enable": False}, "kubernetesCRDStore": {"enable": False},
    }
}  # fmt: skip


class LanguageServer:
    """A running server. Use as a context manager."""

    def __init__(self, command: list[str], folder: Path, seconds: float = 30) -> None:
        self._folder = folder
        self._seconds = seconds
        self._process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._next = 0
        self._documents = 0
        self._told: dict[str, list[dict[str, Any]]] = {}

    def __enter__(self) -> LanguageServer:
        root = self._folder.as_uri()
        capabilities = {"workspace": {"configuration": True}, "textDocument": {"completion": {"completionItem": {}}}}
        self.ask(
            "initialize",
            {
                "processId": None, "rootUri": root, "capabilities": capabilities,
                "workspaceFolders": [{"uri": root, "name": "pipelines"}],
            },
        )  # fmt: skip
        self._tell("initialized", {})
        self._tell("workspace/didChangeConfiguration", {"settings": SETTINGS})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def open(self, text: str) -> str:
        """Open a document; its address."""
        self._documents += 1
        uri = (self._folder / f"pipeline-{self._documents}.yaml").as_uri()
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self._tell("textDocument/didOpen", {"textDocument": document})
        return uri

    def diagnostics(self, text: str) -> list[dict[str, Any]]:
        """What the server marks in a document."""
        uri = self.open(text)
        with self._watched():
            while uri not in self._told:
                self._handle(self._read())
        return self._told[uri]

    def completions(self, text: str) -> list[str]:
        """Labels offered where `^` stands in the text."""
        before, _, after = text.partition("^")
        uri = self.open(before + after)
        position = {"line": before.count("\n"), "character": len(before) - before.rfind("\n") - 1}
        answer = self.ask("textDocument/completion", {"textDocument": {"uri": uri}, "position": position})
        items = answer["items"] if isinstance(answer, dict) else answer or []
        return [str(item["label"]) for item in items]

    def hover(self, text: str) -> str:
        """The words shown where `^` stands."""
        before, _, after = text.partition("^")
        uri = self.open(before + after)
        position = {"line": before.count("\n"), "character": len(before) - before.rfind("\n") - 1}
        answer = self.ask("textDocument/hover", {"textDocument": {"uri": uri}, "position": position})
        return json.dumps((answer or {}).get("contents", ""))

    def ask(self, method: str, params: dict[str, Any]) -> Any:
        """A request's result."""
        self._next += 1
        number = self._next
        self._send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        with self._watched():
            while True:
                message = self._read()
                if message.get("id") == number and "method" not in message:
                    assert "error" not in message, message["error"]
                    return message.get("result")
                self._handle(message)

    def _handle(self, message: dict[str, Any]) -> None:
        """The server asks back for its settings, and tells what it found."""
        method = message.get("method")
        if method == "textDocument/publishDiagnostics":
            self._told[message["params"]["uri"]] = message["params"]["diagnostics"]
        elif method == "workspace/configuration":
            wanted = [SETTINGS.get(item.get("section") or "", {}) for item in message["params"]["items"]]
            self._send({"jsonrpc": "2.0", "id": message["id"], "result": wanted})
        elif "id" in message and method:
            self._send({"jsonrpc": "2.0", "id": message["id"], "result": None})

    def _tell(self, method: str, params: dict[str, Any]) -> None:
        self._send({"jsonrpc": "2.0", "method": method, "params": params})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps(message).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        length = 0
        while True:
            line = self._process.stdout.readline()
            assert line, "the language server ended, or did not answer in time"
            if line == b"\r\n":
                break
            name, _, value = line.decode().partition(":")
            if name.lower() == "content-length":
                length = int(value)
        found: dict[str, Any] = json.loads(self._process.stdout.read(length))
        return found

    def _watched(self) -> _Watch:
        return _Watch(self._process, self._seconds)


class _Watch:
    """Kills a server that does not answer, so that reading from it ends."""

    def __init__(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        self._timer = threading.Timer(seconds, process.kill)

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._timer.join()
