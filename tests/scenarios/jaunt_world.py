"""The city jobs of Jaunt Data Scout, as their runbook names them."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from typing import Any

from scene import Scene, Span

from monitor.demo.emulator.child import ACCOUNT, REGION

FRONTIER, DEAD = "jaunt-dev-frontier", "jaunt-dev-frontier-dlq"
MACHINE_NAME, RULE = "jaunt-city-discovery", "jaunt-city-starts"
MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{MACHINE_NAME}"
FETCH, EXTRACT = "jaunt-web-fetch", "jaunt-extract"
FLAGS = "/jaunt/dev"
DEFINITION = {
    "StartAt": "Geocode",
    "States": {
        "Geocode": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Next": "Fetch"},
        "Fetch": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True},
    },
}


@dataclass(slots=True)
class Jaunt:
    """What exists, and looks at it."""

    scene: Scene

    async def queues(self) -> None:
        """The frontier and its dead letters."""
        sqs = await self.scene.aws("sqs")
        await sqs.create_queue(QueueName=DEAD)
        redrive = {"deadLetterTargetArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{DEAD}", "maxReceiveCount": 3}
        await sqs.create_queue(QueueName=FRONTIER, Attributes={"RedrivePolicy": json.dumps(redrive)})

    async def functions(self) -> None:
        """The two functions, unreserved."""
        iam, functions = await self.scene.aws("iam"), await self.scene.aws("lambda")
        role = (await iam.create_role(RoleName="jaunt", AssumeRolePolicyDocument="{}"))["Role"]["Arn"]
        for name in (FETCH, EXTRACT):
            await functions.create_function(
                FunctionName=name,
                Runtime="python3.11",
                Role=role,
                Handler="a.b",
                Code={"ZipFile": bundle()},
                Timeout=60,
            )

    async def logs(self) -> None:
        """Their log groups."""
        logs = await self.scene.aws("logs")
        for name in (FETCH, EXTRACT):
            await logs.create_log_group(logGroupName=f"/aws/lambda/{name}")
            await logs.create_log_stream(logGroupName=f"/aws/lambda/{name}", logStreamName="s")

    async def machine(self, name: str = MACHINE_NAME) -> None:
        """A machine of that name, and the rule that starts city jobs."""
        machines = await self.scene.aws("stepfunctions")
        await machines.create_state_machine(
            name=name, definition=json.dumps(DEFINITION), roleArn=f"arn:aws:iam::{ACCOUNT}:role/jaunt"
        )

    async def rule(self) -> None:
        """Starts city jobs by schedule."""
        events = await self.scene.aws("events")
        await events.put_rule(Name=RULE, ScheduleExpression="rate(1 hour)", State="ENABLED")

    async def say(self, function: str, *lines: str) -> None:
        """Log lines now."""
        logs = await self.scene.aws("logs")
        at = int(self.scene.clock.now().timestamp() * 1000)
        events = [{"timestamp": at, "message": line} for line in lines]
        await logs.put_log_events(logGroupName=f"/aws/lambda/{function}", logStreamName="s", logEvents=events)

    async def start(self, name: str, machine: str = MACHINE, **given: Any) -> str:
        """An execution, running."""
        machines = await self.scene.aws("stepfunctions")
        reply = await machines.start_execution(stateMachineArn=machine, name=name, input=json.dumps(given))
        return str(reply["executionArn"])

    async def running(self, machine: str = MACHINE) -> list[dict[str, Any]]:
        """What runs, with inputs."""
        machines = await self.scene.aws("stepfunctions")
        rows = (await machines.list_executions(stateMachineArn=machine, statusFilter="RUNNING"))["executions"]
        return [await machines.describe_execution(executionArn=row["executionArn"]) for row in rows]

    async def succeed_canaries(self) -> None:
        """What runs ends well."""
        await self.scene.side.post("executions/finish", state_machine=MACHINE_NAME)

    async def flag(self, name: str) -> str | None:
        """A flag's value; None: unset."""
        parameters = await self.scene.aws("ssm")
        found = await parameters.get_parameters(Names=[f"{FLAGS}/{name}"])
        return next((one["Value"] for one in found["Parameters"]), None)

    async def depth(self, queue: str) -> int:
        """Messages, in flight ones too."""
        return len((await self.scene.side.get("sqs/messages", queue=queue))["messages"])

    async def reserved(self) -> int | None:
        """Of jaunt-web-fetch; None: unset."""
        told = await (await self.scene.aws("lambda")).get_function_concurrency(FunctionName=FETCH)
        reserved: int | None = told.get("ReservedConcurrentExecutions")
        return reserved

    async def rule_state(self) -> str:
        """ENABLED or DISABLED."""
        return str((await (await self.scene.aws("events")).describe_rule(Name=RULE))["State"])

    async def connector(self, name: str, calls: float, errors: float, since: Span = 0) -> None:
        """Calls and errors of a connector per minute."""
        await self.scene.meter("JauntDataScout", "Calls", calls, since=since, Connector=name)
        await self.scene.meter("JauntDataScout", "Errors", errors, since=since, Connector=name)


def bundle() -> bytes:
    """A deployment package that never runs."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.py", "")
    return packed.getvalue()
