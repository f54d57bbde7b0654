"""Telling people: `Channels` delivers one notice to URLs, `Outbox` queues, routes and repeats.

Here belongs how a notice gets out; what is worth one, and silences, belong to the engine. Nothing here may fail the
caller: a channel that can't be reached is a text in a list, and a log line.
"""

from __future__ import annotations

from monitor.notices.address import channel_name
from monitor.notices.channels import Channels, Limits
from monitor.notices.outbox import Bounds, Delivery, Notice, Outbox

__all__ = ["Bounds", "Channels", "Delivery", "Limits", "Notice", "Outbox", "channel_name"]
