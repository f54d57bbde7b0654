"""A Slack channel of its own for each incident: `slack-channel://REFERENCE?mention=here&archive=yes`.

REFERENCE is a secret reference (`env:`, `ssm:`, ...) to a bot token with `channels:manage`, `channels:read` and
`chat:write`. The channel `incident-YYYYMMDD-HHMM` is created with the first notice of an incident (a second one of the
same minute gets `-2`), its topic names the incident, and every notice of the incident is posted there. Alerts and the
resolution mention `mention` (`here`, `channel`, or a user's id); with `archive=yes` the channel is archived once the
incident is resolved, and what comes later is left to other channels, as is what belongs to no incident and what a
`notify` step says.
`invite=U1,U2` brings people in; `api=` is another base than Slack's own.

Which channel is whose is kept in memory and found again by the topic, so a restart makes no second one.
Source: https://docs.slack.dev/reference/methods (conversations.create, conversations.list, conversations.setTopic,
conversations.invite, conversations.archive, chat.postMessage).
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import aiohttp

from monitor.notices.address import is_reference
from monitor.notices.failures import Undelivered, from_status

SCHEME = "slack-channel"
_API = "https://slack.com/api"
_BASE = re.compile(r"https://[\w.-]+(:\d+)?(/[\w./-]*)?|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/[\w./-]*)?")
_MENTION = re.compile(r"here|channel|[UW][A-Z0-9]{2,20}")
_OPTIONS = frozenset({"mention", "archive", "invite", "api"})
#: An incident's id is `PIPELINE-20260304-1202-NAME`; what else is told of is named otherwise.
_INCIDENT = re.compile(r"[\w.-]+?-(\d{8})-(\d{4})-[\w.-]+")
#: Incidents of one minute that get a channel each, channels remembered, pages of 200 looked through.
_NAMES, _KNOWN, _PAGES = 9, 500, 25
#: In place of a channel's id: nobody can write there any more.
_ARCHIVED = ""
#: Slack's answers after which trying again is no use.
_LASTING = frozenset({
    "account_inactive", "ekm_access_denied", "invalid_auth", "missing_scope", "no_permission", "not_allowed_token_type",
    "not_authed", "org_login_required", "restricted_action", "token_expired", "token_revoked", "user_is_restricted",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Topic:
    """What a notice is about: an incident (or whatever it was named after) and alert, update or resolved."""

    incident: str = ""
    event: str = ""


@dataclass(frozen=True, slots=True)
class Room:
    """Where, as the URL says."""

    reference: str
    mention: str = ""
    archive: bool = False
    invite: str = ""
    api: str = _API


def room_of(url: str) -> Room:
    """Raises Undelivered with what to write."""
    reference, _, query = url.partition("://")[2].partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    mention = options.get("mention", "")
    good = (
        is_reference(reference)
        and options.keys() <= _OPTIONS
        and (not mention or _MENTION.fullmatch(mention))
        and options.get("archive", "no") in ("yes", "no")
        and _BASE.fullmatch(options.get("api", _API))
    )
    if not good:
        text = "write slack-channel://ssm:/slack/token, then ?mention=here&archive=yes&invite=U0123 as you like"
        raise Undelivered(text, lasting=True)
    archive = options.get("archive") == "yes"
    return Room(reference, mention, archive, options.get("invite", ""), options.get("api", _API).rstrip("/"))


class Rooms:
    """The channels of incidents."""

    def __init__(self, http: Callable[[], aiohttp.ClientSession]) -> None:
        self._http = http
        #: Slack's channel id by (API, token's reference, incident): another token may be another workspace.
        self._known: OrderedDict[tuple[str, str, str], str] = OrderedDict()
        #: Created, but not yet named after its incident: a second attempt goes on with it.
        self._bare: OrderedDict[tuple[str, str, str], str] = OrderedDict()
        #: Two channels of one workspace would both create one.
        self._turn = asyncio.Lock()

    async def post(self, room: Room, token: str, text: str, topic: Topic) -> None:
        """Deliver one notice. Raises Undelivered."""
        when = _INCIDENT.fullmatch(topic.incident)
        if when is None:
            return  # it belongs to no incident: nobody opens a channel for it
        channel = await self._channel(room, token, topic.incident, f"incident-{when[1]}-{when[2]}")
        if channel == _ARCHIVED:
            return
        if topic.event in ("alert", "resolved") and room.mention:
            mention = f"<!{room.mention}>" if room.mention in ("here", "channel") else f"<@{room.mention}>"
            text = f"{mention} {text}"
        await self._ask(room, token, "chat.postMessage", channel=channel, text=text)
        if topic.event == "resolved" and room.archive:
            await self._ask(room, token, "conversations.archive", fine=("already_archived",), channel=channel)
            self._known[room.api, room.reference, topic.incident] = _ARCHIVED

    async def _channel(self, room: Room, token: str, incident: str, name: str) -> str:
        key = (room.api, room.reference, incident)
        async with self._turn:
            if key not in self._known:
                channel = self._bare.get(key) or await self._found(room, token, incident, name)
                if key in self._bare:
                    await self._furnish(room, token, incident, channel)
                    del self._bare[key]
                self._known[key] = channel
                if len(self._known) > _KNOWN:
                    self._known.popitem(last=False)
            return self._known[key]

    async def _found(self, room: Room, token: str, incident: str, name: str) -> str:
        """A new channel, still bare, or the one that an earlier process of ours made for this incident."""
        for number in range(1, _NAMES + 1):
            called = name if number == 1 else f"{name}-{number}"
            made = await self._ask(
                room, token, "conversations.create", fine=("name_taken",), name=called, is_private=False
            )
            if made.get("ok"):
                channel = self._bare[room.api, room.reference, incident] = str(made["channel"]["id"])
                if len(self._bare) > _KNOWN:
                    self._bare.popitem(last=False)
                return channel
            ours = await self._named(room, token, called)
            # People may add to the topic; another pipeline's incident may have this one's id in its own.
            told = str(((ours or {}).get("topic") or {}).get("value"))
            if ours is not None and re.search(rf"(?<![\w.-]){re.escape(incident)}(?![\w.-])", told):
                return _ARCHIVED if ours.get("is_archived") else str(ours["id"])
        raise Undelivered(f"every name from {name} to {name}-{_NAMES} is taken", lasting=True)

    async def _furnish(self, room: Room, token: str, incident: str, channel: str) -> None:
        await self._ask(room, token, "conversations.setTopic", channel=channel, topic=incident)
        if room.invite:
            fine = ("already_in_channel", "cant_invite_self", "user_not_found")
            await self._ask(room, token, "conversations.invite", fine=fine, channel=channel, users=room.invite)

    async def _named(self, room: Room, token: str, name: str) -> Mapping[str, Any] | None:
        cursor = ""
        for _ in range(_PAGES):
            page = await self._ask(room, token, "conversations.list", exclude_archived=False, limit=200, cursor=cursor)
            for channel in page.get("channels", ()):
                if channel.get("name") == name:
                    return dict(channel)
            cursor = str((page.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                break
        return None

    async def _ask(
        self, room: Room, token: str, method: str, *, fine: tuple[str, ...] = (), **asked: Any
    ) -> Mapping[str, Any]:
        """Slack answers 200 to nearly everything and says in the body whether it is `ok`."""
        headers = {"Authorization": f"Bearer {token}"}
        form = {key: str(value).lower() if isinstance(value, bool) else value for key, value in asked.items()}
        url = f"{room.api}/{method}"
        async with self._http() as session, session.post(url, data=form, headers=headers, allow_redirects=False) as got:
            if not 200 <= got.status < 300:
                raise from_status(got.status, got.headers.get("Retry-After"))
            body = await got.json(content_type=None)
        if not isinstance(body, Mapping):
            raise Undelivered(f"{method} was not answered by Slack's API", lasting=True)
        error = str(body.get("error", ""))[:80]
        if not body.get("ok") and error not in fine:
            hint = ": give the bot channels:manage and chat:write" if error == "missing_scope" else ""
            raise Undelivered(f"{method} says {error or 'no'}{hint}", lasting=error in _LASTING)
        return body
