"""The runbook's ETL pipeline in a scene, and what happens to it."""

from __future__ import annotations

import json
from typing import Any

from scene import Scene

from monitor.demo.world import INGEST, PROCESSED, TABLE, World

ROLE, POLICY = "lambda-execution-role", "etl-access"
KEY = "arn:aws:kms:us-east-1:123456789012:key/abc"
WRITE = {"Effect": "Allow", "Action": ["s3:PutObject"], "Resource": [f"arn:aws:s3:::{PROCESSED}/*"]}
ENCRYPT = {"Effect": "Allow", "Action": ["kms:GenerateDataKey"], "Resource": [KEY]}
REFUSED = (
    "[ERROR] ClientError: An error occurred (AccessDenied) when calling the PutObject operation: User: "
    "arn:aws:sts::123456789012:assumed-role/lambda-execution-role/transform-handler is not authorized to perform: "
    'kms:GenerateDataKey on resource: "arn:aws:kms:us-east-1:123456789012:key/abc" because no identity-based policy '
    "allows the kms:GenerateDataKey action"
)


async def etl(scene: Scene) -> World:
    """The runbook's pipeline, healthy."""
    world = await scene.stack.enter_async_context(World(scene.url))
    await world.build()
    return world


async def throttles(scene: Scene, count: float, **more: str) -> None:
    """`count` throttles of the ingest function a minute, with the traffic that causes them."""
    names = {"FunctionName": INGEST}
    await scene.meter("AWS/Lambda", "Throttles", count, **more, **names)
    await scene.meter("AWS/Lambda", "Invocations", 600, **more, **names)
    await scene.meter("AWS/Lambda", "ConcurrentExecutions", 100 if count else 60, **more, **names)


async def finish(scene: Scene, world: World, arns: list[str]) -> None:
    """The executions succeed: an object each in the processed bucket, a row each in the table."""
    s3, tables = await scene.aws("s3"), await scene.aws("dynamodb")
    for arn in arns:
        name = arn.rsplit(":", 1)[-1]
        await s3.put_object(Bucket=PROCESSED, Key=f"{name}.parquet", Body=b"parquet")
        await tables.put_item(TableName=TABLE, Item={"key": {"S": name}})
    await world.side.post("executions/finish", arn=arns)


async def say(scene: Scene, function: str, *texts: str) -> None:
    """Lines in the function's log, now."""
    logs, group = await scene.aws("logs"), f"/aws/lambda/{function}"
    stream = f"s{scene.clock.tick():.3f}"
    await logs.create_log_stream(logGroupName=group, logStreamName=stream)
    at = int(scene.clock.now().timestamp() * 1000)
    events = [{"timestamp": at, "message": text} for text in texts]
    await logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


async def grant(scene: Scene, *statements: dict[str, Any]) -> None:
    """The functions' role may do this, by its inline policy; CloudTrail tells that somebody wrote it."""
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    iam = await scene.aws("iam")
    await iam.put_role_policy(RoleName=ROLE, PolicyName=POLICY, PolicyDocument=json.dumps(document))


async def granted(scene: Scene) -> dict[str, Any]:
    """What the role's inline policy says."""
    told = await (await scene.aws("iam")).get_role_policy(RoleName=ROLE, PolicyName=POLICY)
    document = told["PolicyDocument"]
    found: dict[str, Any] = json.loads(document) if isinstance(document, str) else document
    return found
