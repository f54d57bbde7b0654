"""What a dlq command would do, without doing it.

Counts come from the queue's attributes. How many messages are of one kind is only known by reading them: the dry run
then passes over the queue like the real one and gives every message back.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from monitor.actions.redrive_queue import RedriveParams, destination_of
from monitor.actions.sift import Message, Sift, SiftParams, depth, picks, queue_url
from monitor.cli.dlq_work import context_of
from monitor.plugin import Action, Writes, target_name


async def preview(action: Action[Any], params: Any, aws: Writes) -> dict[str, Any]:
    """`would` (a sentence), `visible`, `in_flight`; `to` for a redrive; `matching` where only some are meant."""
    with tempfile.TemporaryDirectory() as folder:
        context = await context_of(action, params, aws, Path(folder))
        seen: dict[str, Any] = {"would": action.plan(params, context.now()).summary}
        url = await queue_url(params.queue, context)
        seen |= await depth(url, context)
        if isinstance(params, RedriveParams):
            seen["to"] = target_name(await destination_of(params, context))
        if params.where is not None or params.messages:
            some = SiftParams(queue=params.queue, where=params.where, messages=params.messages)
            found: set[str] = set()
            meant = picks(some)

            def note(message: Message) -> bool:
                if meant(message):
                    found.add(str(message["MessageId"]))
                return False

            await Sift(url, context, note).run()
            seen["matching"] = len(found)
        return seen
