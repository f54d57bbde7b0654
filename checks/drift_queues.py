"""Rules over queues and the functions that read them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from pydantic import Field

from checks.drift_rule import Finding, Rule, look_at, seconds_of, spelled
from checks.reading import number
from monitor.plugin import (
    Duration,
    Permission,
    ProbeContext,
    ProbeError,
    Reason,
    Resource,
    ResourceKind,
    Selector,
    discovery,
    need,
    target_name,
)


async def queue_attributes(queue: Resource, ctx: ProbeContext) -> Mapping[str, str]:
    """All attributes of a queue."""
    url = queue.facts.get("url") or str((await ctx.aws.call("sqs", "GetQueueUrl", QueueName=queue.name))["QueueUrl"])
    reply = await ctx.aws.call("sqs", "GetQueueAttributes", QueueUrl=url, AttributeNames=["All"])
    return dict(reply.get("Attributes", {}))


async def _queue(arn: str, ctx: ProbeContext) -> Mapping[str, str]:
    (queue,) = await ctx.aws.find(ResourceKind.QUEUE, Selector(names=(arn,)))
    return await queue_attributes(queue, ctx)


async def _mappings(function: Resource, ctx: ProbeContext) -> list[Mapping[str, Any]]:
    """Its event source mappings on queues."""
    pages = ctx.aws.pages("lambda", "ListEventSourceMappings", FunctionName=function.name)
    found = [one async for page in pages for one in page.get("EventSourceMappings", ())]
    queues = [one for one in found if ":sqs:" in str(one.get("EventSourceArn", ""))]
    if not queues:
        raise ProbeError(Reason.NOT_FOUND, f"{function.name} reads no queue")
    return queues


class VisibilityTimeout(Rule):
    """A queue hides a message at least `factor` times the timeout of the function that reads it.

    AWS (Lambda developer guide, SQS as an event source): six times the timeout, plus the batching window.
    """

    lambda_functions: Selector = Field(description="Functions that read queues.")
    factor: float = Field(6, ge=1, description="Least visibility timeout over the function's timeout.")

    def needs(self) -> list[Permission]:
        """For IAM."""
        found = discovery(ResourceKind.FUNCTION, self.lambda_functions)
        found.append(need("lambda:GetFunctionConfiguration", function=self.lambda_functions))
        # Which queues they read is known only to AWS.
        return [*found, need("lambda:ListEventSourceMappings"), need("sqs:GetQueueAttributes", queue=None)]

    async def inspect(self, ctx: ProbeContext) -> list[Finding]:
        """By function; its queues are found through its mappings."""

        async def look(function: Resource) -> Sequence[str]:
            settings = await ctx.aws.call("lambda", "GetFunctionConfiguration", FunctionName=function.name)
            timeout = number(settings.get("Timeout"), f"the timeout of {function.name}")
            wrong = []
            for mapping in await _mappings(function, ctx):
                attributes = await _queue(mapping["EventSourceArn"], ctx)
                hidden = number(attributes.get("VisibilityTimeout"), "VisibilityTimeout")
                least = self.factor * timeout + float(mapping.get("MaximumBatchingWindowInSeconds") or 0)
                if hidden < least:
                    queue = target_name(mapping["EventSourceArn"])
                    wrong.append(
                        f"{queue} hides messages for {spelled(hidden)}, its reader may take {spelled(timeout)}: "
                        f"set VisibilityTimeout to {least:g}"
                    )
            return wrong

        return await look_at(await ctx.aws.find(ResourceKind.FUNCTION, self.lambda_functions), look)


class BatchSize(Rule):
    """A function takes at most `at_most` messages at once: one bad message fails its whole batch."""

    lambda_functions: Selector = Field(description="Functions that read queues.")
    at_most: int = Field(10, ge=1, description="Largest batch.")

    def needs(self) -> list[Permission]:
        """For IAM."""
        return [*discovery(ResourceKind.FUNCTION, self.lambda_functions), need("lambda:ListEventSourceMappings")]

    async def inspect(self, ctx: ProbeContext) -> list[Finding]:
        """By function."""

        async def look(function: Resource) -> Sequence[str]:
            return [
                f"takes {mapping['BatchSize']} messages of {target_name(mapping['EventSourceArn'])} at once: "
                f"set BatchSize to {self.at_most} or less"
                for mapping in await _mappings(function, ctx)
                if int(mapping.get("BatchSize") or 0) > self.at_most
            ]

        return await look_at(await ctx.aws.find(ResourceKind.FUNCTION, self.lambda_functions), look)


class Retention(Rule):
    """Queues keep messages long enough to outlive a weekend's outage."""

    queues: Selector = Field(description="Queues by name, ARN, glob or tag.")
    at_least: Duration = Field(timedelta(days=4), description="Shortest retention.")

    def needs(self) -> list[Permission]:
        """For IAM."""
        return [*discovery(ResourceKind.QUEUE, self.queues), need("sqs:GetQueueAttributes", queue=self.queues)]

    async def inspect(self, ctx: ProbeContext) -> list[Finding]:
        """By queue."""

        async def look(queue: Resource) -> Sequence[str]:
            kept = number((await queue_attributes(queue, ctx)).get("MessageRetentionPeriod"), "MessageRetentionPeriod")
            least = seconds_of(self.at_least)
            if kept >= least:
                return []
            return [f"keeps messages for {spelled(kept)} only: set MessageRetentionPeriod to {least}"]

        return await look_at(await ctx.aws.find(ResourceKind.QUEUE, self.queues), look)


class DeadLetterQueue(Rule):
    """Queues have a dead-letter queue that exists and keeps messages longer than they do.

    Messages of a standard queue keep the time they were first sent when they move: a dead-letter queue with the same
    retention drops them before anybody looks (SQS developer guide, dead-letter queues).
    """

    queues: Selector = Field(description="Queues by name, ARN, glob or tag.")
    max_receives: int | None = Field(None, ge=1, description="Most attempts before a message is set aside.")

    def needs(self) -> list[Permission]:
        """For IAM."""
        # The dead-letter queues are looked at too.
        return [*discovery(ResourceKind.QUEUE, self.queues), need("sqs:GetQueueAttributes", queue=None)]

    async def inspect(self, ctx: ProbeContext) -> list[Finding]:
        """By source queue."""

        async def look(queue: Resource) -> Sequence[str]:
            attributes = await queue_attributes(queue, ctx)
            if "RedrivePolicy" not in attributes:
                return ["has no dead-letter queue: set RedrivePolicy"]
            return [*await self._policy(queue.name, attributes, ctx)]

        return await look_at(await ctx.aws.find(ResourceKind.QUEUE, self.queues), look)

    async def _policy(self, queue: str, attributes: Mapping[str, str], ctx: ProbeContext) -> list[str]:
        policy = json.loads(attributes["RedrivePolicy"])
        dead, wrong = target_name(policy["deadLetterTargetArn"]), []
        receives = int(policy.get("maxReceiveCount") or 0)
        if self.max_receives is not None and receives > self.max_receives:
            wrong.append(f"tries {receives} times: set maxReceiveCount to {self.max_receives} or less")
        try:
            dead_attributes = await _queue(policy["deadLetterTargetArn"], ctx)
        except ProbeError as error:
            if error.reason is not Reason.NOT_FOUND:
                raise
            return [*wrong, f"its dead-letter queue {dead} does not exist: create it"]
        kept, own = (
            number(one.get("MessageRetentionPeriod"), "MessageRetentionPeriod") for one in (dead_attributes, attributes)
        )
        if not queue.endswith(".fifo") and kept <= own:
            wrong.append(
                f"{dead} keeps messages for {spelled(kept)}, no longer than {queue}: "
                "set its MessageRetentionPeriod higher (at most 1209600)"
            )
        return wrong
