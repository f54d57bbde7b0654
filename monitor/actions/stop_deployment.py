"""Stops the CodeDeploy deployments under way of an application, and has CodeDeploy roll them back (row C3).

Deployments that are created, queued, in progress, baking or ready are stopped; with `rollback` CodeDeploy then deploys
the last good revision by itself, which is followed until it has ended. It can't be undone. Source: CodeDeploy API
reference, StopDeployment ("autoRollbackEnabled: updates the instances back to their previous version").

Blast radius: one application (or deployment group): its instances go back to the revision before.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from monitor.actions.polling import until
from monitor.plugin import (
    Action,
    ActionContext,
    Change,
    Json,
    Params,
    Permission,
    Receipt,
    Risk,
    need,
)

_GOING = ["Created", "Queued", "InProgress", "Baking", "Ready"]
_ENDED = frozenset({"Succeeded", "Failed", "Stopped"})
_MINUTES = 60


class StopDeploymentParams(Params):
    """Whose deployments."""

    application: str = Field(description="Name of the CodeDeploy application.", min_length=1)
    group: str = Field(description="Name of its deployment group.", min_length=1)
    rollback: bool = Field(default=True, description="Have CodeDeploy go back to the revision before.")


def plan(params: StopDeploymentParams, now: datetime) -> Change:
    """Pure."""
    back = " and go back to the revision before" if params.rollback else ""
    return Change(
        action="stop_deployment",
        resource=f"codedeploy/{params.application}/{params.group}",
        wanted=None,
        summary=f"stop the deployments of {params.application}/{params.group}{back}",
        params=params.model_dump(mode="json"),
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """The ids under way, for the journal."""
    params = StopDeploymentParams.model_validate(change.params)
    pages = ctx.aws.pages(
        "codedeploy", "ListDeployments", applicationName=params.application, deploymentGroupName=params.group,
        includeOnlyStatuses=_GOING,
    )  # fmt: skip
    return [str(one) async for page in pages for one in page.get("deployments", ())]


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Stops what went on when the step began, and follows the roll back. `data`: stopped, rollbacks (ids)."""
    params = StopDeploymentParams.model_validate(change.params)
    if "due" not in ctx.memory:
        await ctx.remember(due=await capture(change, ctx))
    due = [str(one) for one in _listed(ctx.memory["due"])]
    for one in due:
        if (await _info(one, ctx)).get("status") not in _ENDED:
            await ctx.aws.mutate("codedeploy", "StopDeployment", deploymentId=one, autoRollbackEnabled=params.rollback)
    for one in due:
        await _followed(one, ctx)
    backs = [
        str(back)
        for one in due
        if (back := (await _info(one, ctx)).get("rollbackInfo", {}).get("rollbackDeploymentId"))
    ]
    failed = [back for back in backs if await _followed(back, ctx) != "Succeeded"]
    detail = f"{len(due)} deployments stopped, {len(backs)} rolled back" if due else "no deployment was under way"
    detail += f"; the roll back {failed[0]} did not succeed" if failed else ""
    data: dict[str, Json] = {"stopped": list(due), "rollbacks": list(backs)}
    return Receipt(change=change, changed=bool(due), verified=not failed, detail=detail, data=data)


async def _followed(deployment: str, ctx: ActionContext) -> str:
    async def status() -> str:
        return str((await _info(deployment, ctx)).get("status"))

    return await until(status, lambda now: now in _ENDED, ctx, f"the deployment {deployment}", minutes=_MINUTES)


async def _info(deployment: str, ctx: ActionContext) -> dict[str, Any]:
    return dict((await ctx.aws.call("codedeploy", "GetDeployment", deploymentId=deployment))["deploymentInfo"])


def _listed(value: Json) -> list[Json]:
    return list(value) if isinstance(value, (list, tuple)) else []


def needs(params: StopDeploymentParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    group = f"{params.application}/{params.group}"
    return [
        need("codedeploy:ListDeployments", "codedeploy:GetDeployment", deployment_group=group),
        need("codedeploy:StopDeployment"),
    ]


ACTION = Action(
    name="stop_deployment",
    summary="Stops CodeDeploy deployments under way and has them rolled back.",
    params=StopDeploymentParams,
    risk=Risk.DISRUPTIVE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=None,
    permissions=("codedeploy:ListDeployments", "codedeploy:GetDeployment", "codedeploy:StopDeployment"),
    example="stop_deployment: {application: dataforge-api, group: prod}",
    blast_radius="The instances of one deployment group go back to the revision before.",
    needs=needs,
)
