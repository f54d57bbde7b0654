"""StopDeployment, which moto lacks: a deployment that has not ended is Stopped at once.

Source: CodeDeploy API reference, StopDeployment (status: Succeeded, nothing more to do), and its errors
DeploymentDoesNotExistException and DeploymentAlreadyCompletedException. That CodeDeploy then rolls back by a deployment
of its own is not emulated.
"""

from __future__ import annotations

from collections.abc import Mapping

from moto.codedeploy.models import codedeploy_backends
from moto.core.utils import utcnow

from monitor.demo.emulator.calls import Call, Reply, answer, refuse
from monitor.demo.emulator.state import Answerer, Emulator

_ENDED = ("Succeeded", "Failed", "Stopped")


def install(emulator: Emulator) -> Mapping[str, Answerer]:
    """The operation answered here."""
    return {"codedeploy:StopDeployment": stop}


def stop(call: Call) -> Reply | None:
    """StopDeployment."""
    wanted = str(call.json().get("deploymentId"))
    deployment = codedeploy_backends[call.account][call.region].deployments.get(wanted)
    if deployment is None:
        return refuse(call, "DeploymentDoesNotExistException", f"There is no deployment {wanted}.")
    if deployment.status in _ENDED:
        return refuse(call, "DeploymentAlreadyCompletedException", f"The deployment {wanted} has completed.")
    deployment.status, deployment.complete_time = "Stopped", utcnow()
    return answer(call, {"status": "Succeeded", "statusMessage": "No more events"})
