"""Stops the running executions of Step Functions state machines, and proves that none is left.

Stops what started before the drain began plus a settle time of 60 s, oldest first, and lists again until two listings
in a row are empty; if something started after the drain began, it keeps listing until the settle time is over. Cut the
source first: a loop starts faster than AWS lets anyone stop. If newer executions still run at the end, it ends as
"source not cut". It can't be undone; `rerun: true` starts each stopped execution once more with the same input.

Blast radius: every RUNNING execution of the selected Standard machines (Express ones can't be stopped), up to `limit`.
"""

from __future__ import annotations

from datetime import datetime

from monitor.actions.drain import SETTLE, Drain, StopParams, window_of
from monitor.actions.executions import READS, reads_of, running, standard_machines
from monitor.plugin import (
    Action,
    ActionContext,
    Change,
    Json,
    Permission,
    Receipt,
    ResourceKind,
    Risk,
    need,
)

_NAMED = 5


def plan(params: StopParams, now: datetime) -> Change:
    """Pure; what runs is not known before AWS is asked."""
    chosen = [
        *params.state_machines.names,
        *(f"tag {key}={value}" for key, value in params.state_machines.tags.items()),
    ]
    names = ", ".join(name.rsplit(":", 1)[-1] for name in chosen[:_NAMED])
    if len(chosen) > _NAMED:
        names += f" and {len(chosen) - _NAMED} more"
    age = f" older than {params.model_dump(mode='json')['older_than']}" if params.older_than is not None else ""
    if params.state_older_than is not None:
        age += f" for {params.model_dump(mode='json')['state_older_than']} or longer in one state"
    most = f", at most {params.limit}" if params.limit else ""
    again = ", then start each once more with its input" if params.rerun else ""
    return Change(
        action="stop_executions",
        resource=f"states/{names}",
        wanted=None,
        summary=f"stop the running executions{age} of {names}{most}{again}",
        params=params.model_dump(mode="json"),
    )


async def capture(change: Change, ctx: ActionContext) -> Json:
    """How many run, for the journal: {"running": N}. Refuses named Express machines."""
    machines, _ = await standard_machines(StopParams.model_validate(change.params).state_machines, ctx)
    return {"running": await running(machines, ctx)}


async def apply(change: Change, ctx: ActionContext) -> Receipt:
    """Drains; resumable at any point. `data`: stopped, remaining, source_not_cut, reruns."""
    params = StopParams.model_validate(change.params)
    machines, express = await standard_machines(params.state_machines, ctx)
    window = await window_of(params, ctx)
    drain = Drain(params, ctx, machines, window)
    last = await drain.run()
    data: dict[str, Json] = {"stopped": drain.stopped, "remaining": drain.beyond}
    if express:
        data["express_skipped"] = express[:20]
    if params.rerun:
        data |= drain.reruns.data()
    if last.newer and drain.judges_source:
        data |= {"source_not_cut": True, "newer": last.newer}
        detail = (
            f"source not cut: {drain.stopped} stopped, but {last.newer} that started more than"
            f" {SETTLE.seconds} s after the drain began are running"
        )
        return Receipt(change=change, changed=drain.stopped > 0, verified=False, detail=detail, data=data)
    detail = f"{drain.stopped} stopped" + (f", {drain.beyond} left beyond the limit" if drain.beyond else ", none left")
    return Receipt(change=change, changed=drain.stopped > 0, detail=detail, data=data)


def needs(params: StopParams) -> list[Permission]:
    """For IAM: what one step asks, undo included."""
    machines = params.state_machines
    found = [*reads_of(machines), need("states:StopExecution", execution=machines)]
    if params.rerun:
        found.append(need("states:StartExecution", machine=machines))
    if params.state_older_than is not None:
        found.append(need("states:GetExecutionHistory", execution=machines))
    return found


ACTION = Action(
    name="stop_executions",
    summary="Stops running Step Functions executions at the pace AWS allows, until none is left.",
    params=StopParams,
    risk=Risk.DISRUPTIVE,
    plan=plan,
    capture=capture,
    apply=apply,
    undo=None,
    permissions=(*READS, "states:GetExecutionHistory", "states:StopExecution", "states:StartExecution"),
    example="stop_executions: {state_machines: [etl-workflow], cause: Event loop mitigation}",
    blast_radius="Every running execution of the selected Standard state machines, up to `limit`.",
    resource_field="state_machines",
    resource_kind=ResourceKind.STATE_MACHINE,
    takes_many=True,
    needs=needs,
)
