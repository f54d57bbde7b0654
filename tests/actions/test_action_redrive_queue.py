"""redrive_queue."""
# ruff: noqa: N803 - the fakes take AWS's own parameter names

import pytest

from monitor.actions.redrive_queue import ACTION
from monitor.plugin import ActionError, Held, ProbeError, Reason
from monitor.testing import FakeActionContext, FakeClock, run_action

URL = "https://sqs.us-east-1.amazonaws.com/123456789012/"
ARN = "arn:aws:sqs:us-east-1:123456789012:"


class Killed(BaseException):
    """The process ends here."""


class Sqs:
    """Queues as AWS keeps them: visibility, copies with new ids, one move task per dead-letter queue."""

    def __init__(self, *, sources=("orders",), fifo=False, tasks=True):
        self.clock = FakeClock(auto=True)
        self.suffix = ".fifo" if fifo else ""
        self.sources = [source + self.suffix for source in sources]
        self.dlq, self.queues = "orders-dlq" + self.suffix, {}
        for name in (self.dlq, *self.sources, "spare" + self.suffix):
            self.queues[name] = []
        self.can_move, self.tasks, self.made, self.received = tasks, [], 0, []
        self.poison = set()
        self.polls = 0

    def fill(self, count, **more):
        for _ in range(count):
            self.put(self.dlq, f"body-{self.made}", self.now() - 3600, **more)

    def put(self, queue, body, sent, **more):
        self.made += 1
        message = {"id": f"id-{self.made}", "body": body, "sent": sent, "hidden": 0.0, **more}
        self.queues[queue].append(message)
        return message

    def now(self):
        return self.clock.now().timestamp()

    def bodies(self, queue):
        return sorted(message["body"] for message in self.queues[queue])

    @property
    def replies(self):
        return {
            "sqs.GetQueueUrl": lambda *, QueueName: {"QueueUrl": URL + QueueName},
            "sqs.GetQueueAttributes": self.attributes,
            "sqs.ListDeadLetterSourceQueues": lambda *, QueueUrl: (
                [{"queueUrls": [URL + source]} for source in self.sources] or {"queueUrls": []}
            ),
            "sqs.StartMessageMoveTask": self.start,
            "sqs.ListMessageMoveTasks": self.list,
            "sqs.ReceiveMessage": self.receive,
            "sqs.SendMessage": self.send,
            "sqs.DeleteMessage": self.delete,
        }

    def attributes(self, *, QueueUrl, AttributeNames):
        name = QueueUrl.rsplit("/", 1)[-1]
        hidden = sum(message["hidden"] > self.now() for message in self.queues[name])
        facts = {
            "QueueArn": ARN + name,
            "ApproximateNumberOfMessages": str(len(self.queues[name]) - hidden),
            "ApproximateNumberOfMessagesNotVisible": str(hidden),
        }
        return {"Attributes": facts | ({"FifoQueue": "true"} if self.suffix else {})}

    def receive(self, *, QueueUrl, MaxNumberOfMessages, VisibilityTimeout, **more):
        assert more == {
            "WaitTimeSeconds": 1, "MessageAttributeNames": ["All"], "MessageSystemAttributeNames": ["All"]
        }  # fmt: skip
        queue = self.queues[QueueUrl.rsplit("/", 1)[-1]]
        # A FIFO group waits for what of it is in flight.
        blocked = {m.get("group") for m in queue if m["hidden"] > self.now()} if self.suffix else set()
        seen = [m for m in queue if m["hidden"] <= self.now() and m.get("group") not in blocked]
        out = []
        for message in seen[:MaxNumberOfMessages]:
            message["hidden"] = self.now() + VisibilityTimeout
            message["receipt"] = f"receipt-{message['id']}-{self.now()}"
            attributes = {"SentTimestamp": str(round(message["sent"] * 1000)), "ApproximateReceiveCount": "4"}
            for name, key in (("MessageGroupId", "group"), ("AWSTraceHeader", "trace")):
                if key in message:
                    attributes[name] = message[key]
            reply = {"MessageId": message["id"], "ReceiptHandle": message["receipt"], "Body": message["body"]}
            if "attributes" in message:
                reply["MessageAttributes"] = message["attributes"]
            out.append(reply | {"Attributes": attributes})
            self.received.append(message["id"])
        return {"Messages": out} if out else {}

    def send(self, *, QueueUrl, MessageBody, **more):
        name = QueueUrl.rsplit("/", 1)[-1]
        target = self.dlq if MessageBody in self.poison else name
        return {"MessageId": self.put(target, MessageBody, self.now(), extra=more)["id"]}

    def delete(self, *, QueueUrl, ReceiptHandle):
        queue = self.queues[QueueUrl.rsplit("/", 1)[-1]]
        queue[:] = [message for message in queue if message.get("receipt") != ReceiptHandle]
        return {}

    def start(self, *, SourceArn, DestinationArn=None, MaxNumberOfMessagesPerSecond=None):
        if not self.can_move:
            raise ActionError(Reason.INVALID, "Source queue must be configured as a Dead Letter Queue.")
        if any(task["Status"] == "RUNNING" for task in self.tasks):
            raise ActionError(Reason.INVALID, "There is already a task running.")
        self.begin(SourceArn, MaxNumberOfMessagesPerSecond, DestinationArn)
        return {"TaskHandle": "h"}

    def begin(self, source, rate=None, destination=None):
        name = source.rsplit(":", 1)[-1]
        task = {
            "TaskHandle": "h", "Status": "RUNNING", "SourceArn": source, "StartedTimestamp": round(self.now() * 1000),
            "ApproximateNumberOfMessagesMoved": 0, "ApproximateNumberOfMessagesToMove": len(self.queues[name]),
        }  # fmt: skip
        if rate:
            task["MaxNumberOfMessagesPerSecond"] = rate
        self.target = (destination or ARN + self.sources[0]).rsplit(":", 1)[-1]
        self.tasks.insert(0, task)

    def list(self, *, SourceArn, MaxResults):
        assert MaxResults == 10
        for task in self.tasks:
            self.polls += 1
            if task["Status"] == "RUNNING" and self.polls > 3:
                for message in list(self.queues[self.dlq])[:20]:
                    self.queues[self.dlq].remove(message)
                    self.put(self.target, message["body"], self.now())
                    task["ApproximateNumberOfMessagesMoved"] += 1
                if not self.queues[self.dlq]:
                    task["Status"] = "COMPLETED"
        # AWS names the handle only while the task runs.
        return {
            "Results": [
                {key: value for key, value in task.items() if key != "TaskHandle" or task["Status"] == "RUNNING"}
                for task in self.tasks
            ]
        }


class DyingContext(FakeActionContext):
    """Ends the process where the task was started but is not yet remembered, or while it is followed."""

    def __init__(self, aws, dies_at):
        super().__init__(aws)
        self.dies_at = dies_at

    async def remember(self, **values):
        if self.dies_at == "start" and "task_started" in values:
            raise Killed
        await FakeActionContext.remember(self, **values)

    async def sleep(self, seconds):
        if self.dies_at == "poll":
            raise Killed
        await FakeActionContext.sleep(self, seconds)


@pytest.fixture
def world(fake):
    """`world(Sqs(...))`: a context around it."""

    def make(sqs):
        return FakeActionContext(fake(sqs.replies, clock=sqs.clock, action=ACTION))

    return make


async def redrive(context, **params):
    """plan, capture, apply."""
    return await run_action(ACTION, {"queue": "orders-dlq", **params}, context.aws, context)


def kill_after(context, count):
    """The process dies instead of making one mutating call more than `count`; returns how to live again."""
    real, made = context.aws.mutate, []

    async def dying(*args, **params):
        if len(made) == count:
            raise Killed
        made.append(args)
        return await real(*args, **params)

    context.aws.mutate = dying

    def heal():
        context.aws.mutate = real
        return FakeActionContext(context.aws, memory=context.memory)

    return heal


async def test_aws_moves_the_messages_where_it_can(world):
    """A task to the source queue at the asked rate, followed to its end."""
    sqs = Sqs()
    sqs.fill(50)
    context = world(sqs)
    run = await redrive(context, rate=10)
    assert (len(sqs.queues["orders"]), sqs.queues["orders-dlq"]) == (50, [])
    (start,) = context.aws.mutations
    assert start.params == {"SourceArn": ARN + "orders-dlq", "MaxNumberOfMessagesPerSecond": 10}
    assert run.prior == {"visible": 50, "in_flight": 0}
    assert run.receipt.data == {"method": "move_task", "moved": 50, "status": "COMPLETED", "adopted": False}
    assert (run.receipt.changed, run.receipt.verified, run.receipt.detail) == (True, True, "50 messages moved")
    assert context.steps[-1] == (50, 0)


async def test_a_named_destination_is_passed_on(world):
    """`to` as an ARN of the task."""
    sqs = Sqs()
    sqs.fill(5)
    context = world(sqs)
    await redrive(context, to="spare")
    assert context.aws.mutations[0].params["DestinationArn"] == ARN + "spare"
    assert len(sqs.queues["spare"]) == 5


async def test_someone_elses_running_task_is_adopted_and_reported(world):
    """AWS allows one per queue, and it moves the same messages."""
    sqs = Sqs()
    sqs.fill(40)
    sqs.begin(ARN + "orders-dlq")
    run = await redrive(world(sqs))
    assert run.receipt.data["adopted"] is True
    assert "by a task that was running already" in run.receipt.detail
    assert len(sqs.tasks) == 1


@pytest.mark.parametrize("where", ["start", "poll"])
async def test_a_killed_redrive_follows_the_same_task(world, where):
    """Whether the kill came right after the start or while polling: one task, all messages once."""
    sqs = Sqs()
    sqs.fill(60)
    first = DyingContext(world(sqs).aws, dies_at=where)
    with pytest.raises(Killed):
        await redrive(first)
    run = await redrive(FakeActionContext(first.aws, memory=first.memory))
    assert len(sqs.tasks) == 1
    assert len(sqs.queues["orders"]) == 60
    assert run.receipt.data["adopted"] is False


@pytest.mark.parametrize(("status", "raises"), [("FAILED", True), ("CANCELLED", False)])
async def test_a_task_that_does_not_complete(world, status, raises):
    """Failed: retryable, and the next attempt starts afresh. Cancelled: someone wanted that, so it ends unverified."""
    sqs = Sqs()
    sqs.fill(5)
    context = world(sqs)
    real, started = sqs.start, []

    def start(**params):
        if not started:
            started.append(params)
            real(**params)
            sqs.tasks[0].update(Status=status, FailureReason="AccessDenied")
            return {"TaskHandle": "h"}
        return real(**params)

    context.aws.replies["sqs.StartMessageMoveTask"] = start
    if not raises:
        run = await redrive(context)
        assert (run.receipt.verified, run.receipt.changed) == (False, False)
        assert "someone cancelled" in run.receipt.detail
        return
    with pytest.raises(ActionError, match="AccessDenied") as caught:
        await redrive(context)
    assert caught.value.reason is Reason.UNAVAILABLE
    await context.sleep(60)
    run = await redrive(context)
    assert run.receipt.data["moved"] == 5


@pytest.mark.parametrize("params", [{}, {"max": 1000}, {"rate": 50}])
async def test_where_aws_refuses_it_moves_them_by_hand(world, params):
    """A dead-letter queue of a Lambda function, or a limit that a task can't keep."""
    sqs = Sqs(sources=() if "max" not in params else ("orders",), tasks=False)
    sqs.fill(37)
    run = await redrive(world(sqs), to="spare", **params)
    assert sqs.bodies("spare") == sorted(f"body-{n}" for n in range(37))
    assert sqs.queues["orders-dlq"] == []
    assert run.receipt.data == {
        "method": "by_hand", "moved": 37, "remaining": 0, "returned": 0, "maybe_doubled": []
    }  # fmt: skip
    assert "body" not in str(run.receipt)
    assert "body" not in str(run.context.memory)


async def test_a_copy_keeps_body_attributes_group_and_trace(world):
    """What the consumer sees is the same message."""
    sqs = Sqs(tasks=False)
    attributes = {
        "n": {"DataType": "Number", "StringValue": "1", "StringListValues": []},
        "b": {"DataType": "Binary", "BinaryValue": b"\x00"},
    }
    sqs.fill(1, attributes=attributes, trace="Root=1-2-3", group="tenant-7")
    await redrive(world(sqs))
    (copy,) = sqs.queues["orders"]
    assert copy["extra"] == {
        "MessageAttributes": {
            "n": {"DataType": "Number", "StringValue": "1"},
            "b": {"DataType": "Binary", "BinaryValue": b"\x00"},
        },
        "MessageSystemAttributes": {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-2-3"}},
        "MessageGroupId": "tenant-7",
    }


async def test_a_fifo_copy_keeps_its_group_and_order_and_is_deduplicated_by_the_original(world):
    """So that even a doubled send arrives once."""
    sqs = Sqs(fifo=True, tasks=False)
    sqs.fill(5, group="g")
    context = world(sqs)
    await run_action(ACTION, {"queue": "orders-dlq.fifo"}, context.aws, context)
    copies = sqs.queues["orders.fifo"]
    assert [copy["body"] for copy in copies] == [f"body-{n}" for n in range(5)]
    assert [copy["extra"]["MessageDeduplicationId"] for copy in copies] == [f"id-{n}" for n in range(1, 6)]
    assert {copy["extra"]["MessageGroupId"] for copy in copies} == {"g"}


async def test_a_killed_fifo_redrive_sends_the_second_copy_under_the_same_deduplication_id(world):
    """SQS drops it if it follows within five minutes; the receipt names it all the same."""
    sqs = Sqs(fifo=True, tasks=False)
    sqs.fill(2, group="g")
    context = world(sqs)
    heal = kill_after(context, 3)  # the refused task, a receive, a send
    with pytest.raises(Killed):
        await redrive(context, queue="orders-dlq.fifo")
    run = await redrive(heal(), queue="orders-dlq.fifo")
    assert [copy["extra"]["MessageDeduplicationId"] for copy in sqs.queues["orders.fifo"]] == ["id-1", "id-1", "id-2"]
    assert run.receipt.data["maybe_doubled"] == ["id-1"]


async def test_max_is_a_hard_limit(world):
    """Never one more, also when what was received is more."""
    sqs = Sqs()
    sqs.fill(30)
    run = await redrive(world(sqs), max=12)
    assert (len(sqs.queues["orders"]), len(sqs.queues["orders-dlq"])) == (12, 18)
    assert (run.receipt.data["moved"], run.receipt.data["remaining"]) == (12, 18)


async def test_rate_spaces_the_messages(world):
    """Ten per second: thirty take three seconds."""
    sqs = Sqs(tasks=False)
    sqs.fill(30)
    context = world(sqs)
    began = context.now()
    await redrive(context, rate=10)
    assert 2.9 <= (context.now() - began).total_seconds() <= 3.5
    assert context.steps[9] == (10, 20)


async def test_poison_that_comes_back_is_left(world):
    """Else a redrive would go round for ever."""
    sqs = Sqs(tasks=False)
    sqs.fill(10)
    sqs.poison = {"body-3", "body-4"}
    run = await redrive(world(sqs), rate=1)
    assert sqs.bodies("orders-dlq") == ["body-3", "body-4"]
    assert len(sqs.queues["orders"]) == 8
    assert (run.receipt.data["moved"], run.receipt.data["returned"]) == (10, 2)
    assert "2 came back" in run.receipt.detail


@pytest.mark.parametrize("after", range(1, 26, 2))
@pytest.mark.parametrize("params", [{}, {"max": 20}])
async def test_a_kill_loses_nothing_and_doubles_at_most_one_which_it_names(world, after, params):
    """Killed before any of the calls receive, send, delete; then resumed."""
    sqs = Sqs(tasks=False)
    sqs.fill(12)
    before = {message["id"]: message["body"] for message in sqs.queues["orders-dlq"]}
    context = world(sqs)
    heal = kill_after(context, after)
    with pytest.raises(Killed):
        await redrive(context, **params)
    run = await redrive(heal(), **params)
    arrived = sqs.bodies("orders")
    assert set(arrived) == set(before.values()), "none is lost"
    twice = {body for body in arrived if arrived.count(body) > 1}
    assert len(arrived) - len(set(arrived)) <= 1
    assert twice <= {before[original] for original in run.receipt.data["maybe_doubled"]}
    assert len(run.receipt.data["maybe_doubled"]) <= 1
    assert run.receipt.data["remaining"] == 0


async def test_a_gate_that_closes_between_send_and_delete_is_a_kill_too(world):
    """The message may be doubled, and is named."""
    sqs = Sqs(tasks=False)
    sqs.fill(3)
    context = world(sqs)
    real = context.aws.mutate

    async def gated(service, operation, **params):
        if operation == "DeleteMessage":
            raise Held("kill_switch", "off")
        return await real(service, operation, **params)

    context.aws.mutate = gated
    with pytest.raises(Held):
        await redrive(context)
    context.aws.mutate = real
    run = await redrive(context)
    assert sqs.bodies("orders") == ["body-0", "body-0", "body-1", "body-2"]
    assert run.receipt.data["maybe_doubled"] == ["id-1"]
    assert "one may be doubled" in run.receipt.detail


@pytest.mark.parametrize(
    ("sources", "params", "message"),
    [
        ((), {}, "say where `to`"),
        (("a", "b"), {}, r"serves 2 queues \(a, b\)"),
        (("orders",), {"to": "orders-dlq"}, "into itself"),
    ],
)
async def test_an_unclear_destination_is_refused(world, sources, params, message):
    """Nothing is moved on a guess."""
    sqs = Sqs(sources=sources)
    sqs.fill(1)
    context = world(sqs)
    with pytest.raises(ActionError, match=message) as caught:
        await redrive(context, **params)
    assert caught.value.reason is Reason.INVALID
    assert context.aws.mutations == []


async def test_an_aws_that_is_down_is_no_reason_to_move_by_hand(world):
    """Only a refusal is: a timeout may have started the task."""
    sqs = Sqs()
    sqs.fill(1)
    context = world(sqs)
    context.aws.replies["sqs.StartMessageMoveTask"] = ProbeError(Reason.TIMEOUT, "no answer")
    with pytest.raises(ActionError):
        await redrive(context)
    assert context.aws.count("sqs.ReceiveMessage") == 0


def test_the_plan_reads_as_a_sentence():
    """Names only, whatever form the queue was given in."""
    plan = lambda **params: ACTION.plan(ACTION.params(**params), None)  # noqa: E731
    assert plan(queue=URL + "orders-dlq").summary == "move the messages of orders-dlq to their source queue"
    change = plan(queue=ARN + "orders-dlq", to="spare", rate=10, max=5)
    assert change.summary == "move at most 5 messages of orders-dlq to spare at 10 per second"
    assert change.resource == "sqs/orders-dlq"
