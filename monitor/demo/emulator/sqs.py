"""SQS: message move tasks, deep queues, and no functions run behind event source mappings.

Sources: API_StartMessageMoveTask, API_ListMessageMoveTasks, API_CancelMessageMoveTask (SQS API Reference) and
sqs-configure-dead-letter-queue-redrive (Developer Guide): the source must be a dead-letter queue of SQS queues, one
active task per source, at most 500 messages a second, the last ten tasks are listed, and moved messages are new ones
(id, enqueue time). A task without a destination sends each message back to where it came from.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moto.core.utils import unix_time_millis
from moto.sqs.models import Message, Queue, SQSBackend, sqs_backends

from monitor.demo.emulator.calls import Call, Reply, answer, refuse
from monitor.demo.emulator.state import Answerer, Emulator, patch

_MOST_PER_SECOND = 500
_NOT_FOUND = "com.amazonaws.sqs#ResourceNotFoundException"
_UNSUPPORTED = "com.amazonaws.sqs#UnsupportedOperation"


def install(emulator: Emulator) -> Mapping[str, Answerer]:
    """Mend moto's queues; the operations answered here."""
    patch(Queue, "messages", lambda _: property(_visible))
    patch(Message, "visible", lambda _: property(lambda message: unix_time_millis() >= message.visible_at))
    patch(Queue, "approximate_number_of_messages", lambda _: property(lambda queue: _counts(queue)[0]))
    patch(Queue, "approximate_number_of_messages_not_visible", lambda _: property(lambda queue: _counts(queue)[1]))
    patch(Queue, "approximate_number_of_messages_delayed", lambda _: property(lambda queue: _counts(queue)[2]))
    patch(Queue, "add_message", lambda _: _add)
    patch(SQSBackend, "receive_message", _short_poll)
    movers = Movers(emulator)
    return {
        "sqs:StartMessageMoveTask": movers.start,
        "sqs:ListMessageMoveTasks": movers.list,
        "sqs:CancelMessageMoveTask": movers.cancel,
    }


def _visible(queue: Any) -> list[Message]:
    now = unix_time_millis()  # once, not twice per message: 20,000 deep costs milliseconds
    return [m for m in queue._messages if m.visible_at <= now and m.delayed_until <= now]


def _counts(queue: Any) -> tuple[int, int, int]:
    """(visible, in flight, delayed)."""
    now = unix_time_millis()
    flying = sum(1 for m in queue._messages if m.visible_at > now)
    delayed = sum(1 for m in queue._messages if m.delayed_until > now)
    return len(_visible(queue)), flying, delayed


def _add(queue: Any, message: Message) -> None:
    """As moto, without invoking mapped functions: nothing runs here, the incident drivers are the consumers."""
    if queue.fifo_queue and message.deduplication_id:
        for known in queue._messages:
            age = sent(message) - sent(known)
            if known.deduplication_id == message.deduplication_id and age < 300_000:
                return
    with queue._messages_lock:
        queue._messages.append(message)
        queue._messages_lock.notify_all()


def _short_poll(original: Any) -> Any:
    """Long polls would hold the door's lock: they are answered at once."""
    names = ("queue_name", "count", "wait_seconds_timeout", "visibility_timeout", "message_attribute_names")

    def receive(backend: SQSBackend, *args: Any, **more: Any) -> Any:
        return original(backend, **{**dict(zip(names, args, strict=False)), **more, "wait_seconds_timeout": 0})

    return receive


def sent(message: Any) -> int:
    """When it was sent, epoch milliseconds."""
    return int(message.sent_timestamp or 0)


def find_queue(name: str, account: str, region: str) -> Queue | None:
    """A queue by name, URL or ARN."""
    if name.startswith("arn:"):
        _, _, _, region, account, name = name.split(":", 5)
    return sqs_backends[account][region].queues.get(name.rstrip("/").rsplit("/", 1)[-1])


def fill(queue: Queue, count: int, body: str, age: float) -> None:
    """`count` messages at once, sent `age` seconds ago; past moto's O(n) per send."""
    at = int(unix_time_millis() - age * 1000)
    for _ in range(count):
        message = Message(str(uuid.uuid4()), body)
        message.mark_sent()
        message.sent_timestamp = at  # type: ignore[assignment]
        queue._messages.append(message)


@dataclass(slots=True)
class _Move:
    """A task at work. `began` is a tick of the emulator's clock."""

    task: dict[str, Any]
    source: str
    destination: str
    rate: float
    began: float
    moved: int = 0


class Movers:
    """Message move tasks: one thread per running task, which takes the door's lock for each batch it moves.

    While the emulator's clock is set, tasks go on whenever it is moved, and only then.
    """

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._moves: list[_Move] = []
        emulator.clock.follow(self._catch_up)

    def start(self, call: Call) -> Reply:
        """StartMessageMoveTask."""
        asked = call.json()
        source, rate = str(asked.get("SourceArn", "")), asked.get("MaxNumberOfMessagesPerSecond")
        queue = find_queue(source, call.account, call.region)
        if queue is None:
            text = "The resource that you specified for the SourceArn parameter doesn't exist."
            return refuse(call, _NOT_FOUND, text)
        feeders = _feeders(queue, call)
        if not feeders:
            text = "Source queue must be configured as a Dead Letter Queue."
            return refuse(call, "com.amazonaws.sqs#InvalidParameterValue", text)
        if rate is not None and not 1 <= int(rate) <= _MOST_PER_SECOND:
            text = f"Value {rate} for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: must be 1 to 500."
            return refuse(call, "com.amazonaws.sqs#InvalidParameterValue", text)
        tasks = self._emulator.moves.setdefault(source, [])
        if any(task["Status"] in ("RUNNING", "CANCELLING") for task in tasks):
            text = (
                "There is already a task running. Only one active task is allowed for a source queue arn at a given "
                "time."
            )
            return refuse(call, _UNSUPPORTED, text)
        destination = str(asked.get("DestinationArn") or feeders[0].queue_arn)
        if find_queue(destination, call.account, call.region) is None:
            text = "The resource that you specified for the DestinationArn parameter doesn't exist."
            return refuse(call, _NOT_FOUND, text)
        task: dict[str, Any] = {
            "TaskHandle": uuid.uuid4().hex,
            "Status": "RUNNING",
            "SourceArn": source,
            "ApproximateNumberOfMessagesMoved": 0,
            "ApproximateNumberOfMessagesToMove": _counts(queue)[0],
            "StartedTimestamp": int(time.time() * 1000),
        }
        task.update({key: asked[key] for key in ("DestinationArn", "MaxNumberOfMessagesPerSecond") if key in asked})
        tasks.append(task)
        del tasks[:-10]
        rate = float(task.get("MaxNumberOfMessagesPerSecond", _MOST_PER_SECOND))
        move = _Move(task, source, destination, rate, self._emulator.clock.tick())
        self._moves.append(move)
        threading.Thread(target=self._run, args=(move,), daemon=True).start()
        return answer(call, {"TaskHandle": task["TaskHandle"]})

    def list(self, call: Call) -> Reply:
        """ListMessageMoveTasks: newest first; a handle is shown only while the task runs."""
        asked = call.json()
        source = str(asked.get("SourceArn", ""))
        if find_queue(source, call.account, call.region) is None:
            text = "The resource that you specified for the SourceArn parameter doesn't exist."
            return refuse(call, _NOT_FOUND, text)
        newest = list(reversed(self._emulator.moves.get(source, [])))[: int(asked.get("MaxResults") or 1)]
        shown = [
            {key: value for key, value in task.items() if key != "TaskHandle" or task["Status"] == "RUNNING"}
            for task in newest
        ]
        return answer(call, {"Results": shown})

    def cancel(self, call: Call) -> Reply:
        """CancelMessageMoveTask: what was moved stays moved."""
        handle = call.json().get("TaskHandle")
        for tasks in self._emulator.moves.values():
            for task in tasks:
                if task["TaskHandle"] == handle:
                    if task["Status"] != "RUNNING":
                        text = "Only active tasks can be cancelled."
                        return refuse(call, _UNSUPPORTED, text)
                    task["Status"] = "CANCELLED"
                    return answer(call, {"ApproximateNumberOfMessagesMoved": task["ApproximateNumberOfMessagesMoved"]})
        return refuse(call, _NOT_FOUND, "Task does not exist.")

    def _run(self, move: _Move) -> None:
        while self._step(move):
            passed = self._emulator.clock.tick() - move.began
            time.sleep(max(0.002, min(0.25, (move.moved + 1) / move.rate - passed)))

    def _catch_up(self) -> None:
        for move in list(self._moves):
            self._step(move)

    def _step(self, move: _Move) -> bool:
        """Move what is due by now; whether the task goes on."""
        with self._emulator.lock:
            goes_on = move.task["Status"] == "RUNNING" and self._move_due(move)
            if not goes_on and move in self._moves:
                self._moves.remove(move)
        return goes_on

    def _move_due(self, move: _Move) -> bool:
        due = int((self._emulator.clock.tick() - move.began) * move.rate) + 1 - move.moved
        queue, target = find_queue(move.source, "", ""), find_queue(move.destination, "", "")
        if queue is None or target is None:
            move.task.update(Status="FAILED", FailureReason="AWS.SimpleQueueService.NonExistentQueue")
            return False
        batch = _visible(queue)[: max(0, due)]
        for message in batch:
            queue._messages.remove(message)
            target.add_message(_renewed(message))
        move.moved += len(batch)
        move.task["ApproximateNumberOfMessagesMoved"] = move.moved
        if due > 0 and len(batch) < due:
            move.task["Status"] = "COMPLETED"
            return False
        return True


def _feeders(queue: Queue, call: Call) -> list[Queue]:
    backend = sqs_backends[queue.account_id][queue.region]
    return [q for q in backend.queues.values() if q.dead_letter_queue is queue]


def _renewed(message: Message) -> Message:
    fresh = Message(str(uuid.uuid4()), message.body, message.system_attributes)
    fresh.message_attributes = message.message_attributes
    fresh.group_id = message.group_id
    fresh.deduplication_id = uuid.uuid4().hex if message.group_id else None
    fresh.mark_sent()
    return fresh
