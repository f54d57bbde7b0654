"""Application Auto Scaling: a target and its policies belong together.

Sources: API_DeregisterScalableTarget ("deletes the scaling policies"; an unknown target is ObjectNotFoundException),
API_PutScalingPolicy (needs a registered target; one target-tracking policy per predefined metric).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.applicationautoscaling.models import ApplicationAutoscalingBackend, applicationautoscaling_backends

from monitor.demo.emulator.calls import Call, Reply, refuse
from monitor.demo.emulator.state import Answerer, Emulator, patch


def install(emulator: Emulator) -> Mapping[str, Answerer]:
    """Mend deregistering; the operations checked here."""
    patch(ApplicationAutoscalingBackend, "deregister_scalable_target", _with_policies)
    return {
        "application-autoscaling:PutScalingPolicy": check_policy,
        "application-autoscaling:DeregisterScalableTarget": check_target,
    }


def check_policy(call: Call) -> Reply | None:
    """PutScalingPolicy on something registered, the only one for its metric."""
    asked = call.json()
    if not _registered(call, asked):
        return _unknown(call, asked)
    metric = _metric(asked.get("TargetTrackingScalingPolicyConfiguration"))
    for policy in _policies(call, asked):
        if policy.policy_name != asked.get("PolicyName") and metric == _metric(policy._policy_body) is not None:
            text = f"Only one TargetTrackingScaling policy for a given metric specification is allowed: {metric}"
            return refuse(call, "ValidationException", text)
    return None


def check_target(call: Call) -> Reply | None:
    """DeregisterScalableTarget."""
    asked = call.json()
    return None if _registered(call, asked) else _unknown(call, asked)


def _with_policies(original: Any) -> Any:
    def deregister(backend: Any, namespace: str, r_id: str, dimension: str) -> None:
        original(backend, namespace, r_id, dimension)
        where = (r_id, dimension)
        for policy in [p for p in backend.policies.values() if (p.resource_id, p.scalable_dimension) == where]:
            backend.delete_scaling_policy(policy.policy_name, namespace, r_id, dimension)

    return deregister


def _registered(call: Call, asked: Mapping[str, Any]) -> bool:
    targets = applicationautoscaling_backends[call.account][call.region].targets
    return asked.get("ResourceId") in targets.get(str(asked.get("ScalableDimension")), {})


def _policies(call: Call, asked: Mapping[str, Any]) -> list[Any]:
    policies = applicationautoscaling_backends[call.account][call.region].policies.values()
    where = (asked.get("ResourceId"), asked.get("ScalableDimension"))
    return [policy for policy in policies if (policy.resource_id, policy.scalable_dimension) == where]


def _metric(config: Any) -> str | None:
    found = ((config or {}).get("PredefinedMetricSpecification") or {}).get("PredefinedMetricType")
    return None if found is None else str(found)


def _unknown(call: Call, asked: Mapping[str, Any]) -> Reply:
    text = (
        f"No scalable target registered for service namespace: {asked.get('ServiceNamespace')}, resource ID: "
        f"{asked.get('ResourceId')}, scalable dimension: {asked.get('ScalableDimension')}"
    )
    return refuse(call, "ObjectNotFoundException", text)
