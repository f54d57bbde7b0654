"""Slack's API as far as channels of incidents go, on the loopback."""

from __future__ import annotations

from typing import Any

from aiohttp import web


class Slack:
    """Channels by name; who asks without the token is refused. `errors`: by method, answered once each."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.channels: dict[str, dict[str, Any]] = {}
        self.posted: list[tuple[str, str]] = []
        self.asked: list[str] = []
        self.errors: dict[str, str] = {}
        self.statuses: list[int] = []
        self.base = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Slack:
        """Listening."""
        await self.up()
        return self

    async def __aexit__(self, *error: object) -> None:
        """Gone."""
        await self.down()

    async def up(self) -> None:
        """Listen."""
        app = web.Application()
        app.router.add_post("/api/{method}", self.answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.base = f"http://127.0.0.1:{self._runner.addresses[0][1]}/api"

    async def down(self) -> None:
        """Gone."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def answer(self, request: web.Request) -> web.Response:
        """200 with `ok` in the body, as Slack does."""
        method = request.match_info["method"]
        self.asked.append(method)
        if self.statuses:
            return web.Response(status=self.statuses.pop(0), headers={"Retry-After": "1"})
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.json_response({"ok": False, "error": "invalid_auth"})
        if method in self.errors:
            return web.json_response({"ok": False, "error": self.errors.pop(method)})
        told = self.do(method, dict(await request.post()))
        return web.json_response(told if "error" in told else {"ok": True, **told})

    def do(self, method: str, form: dict[str, Any]) -> dict[str, Any]:
        """One call."""
        if method == "conversations.create":
            name = form["name"]
            if name in self.channels:
                return {"ok": False, "error": "name_taken"}
            topic = {"value": ""}
            self.channels[name] = {"id": f"C{len(self.channels)}", "name": name, "topic": topic, "is_archived": False}
            return {"channel": self.channels[name]}
        if method == "conversations.list":
            rows = list(self.channels.values())
            at = int(form.get("cursor") or 0)
            more = str(at + 1) if at + 1 < len(rows) else ""
            return {"channels": rows[at : at + 1], "response_metadata": {"next_cursor": more}}
        channel = next(one for one in self.channels.values() if one["id"] == form["channel"])
        if channel["is_archived"]:
            return {"ok": False, "error": "is_archived"}
        if method == "conversations.setTopic":
            channel["topic"] = {"value": form["topic"]}
        elif method == "conversations.invite":
            channel["invited"] = form["users"]
        elif method == "conversations.archive":
            channel["is_archived"] = True
        elif method == "chat.postMessage":
            self.posted.append((channel["name"], form["text"]))
        return {}
