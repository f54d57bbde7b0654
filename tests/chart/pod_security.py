"""Pod Security Standards, level `restricted`, as the sentences a pod violates.

Source: Kubernetes' documentation, concepts/security/pod-security-standards, tables Baseline and Restricted (v1.34+ adds
the probes' host field).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip
_SYSCTLS = {
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
}  # fmt: skip
_SECCOMP = {"RuntimeDefault", "Localhost"}
_SELINUX = {None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
_APPARMOR = {None, "RuntimeDefault", "Localhost"}


def violations(pod: dict[str, Any]) -> list[str]:
    """What `restricted` refuses in a pod's spec; empty: admitted."""
    return list(_pod(pod))


def _pod(pod: dict[str, Any]) -> Iterator[str]:
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(name):
            yield name
    for volume in pod.get("volumes", []):
        kinds = set(volume) - {"name"}
        if not kinds <= _VOLUMES:
            yield f"volume {volume['name']}: {', '.join(sorted(kinds - _VOLUMES))}"
    context = pod.get("securityContext") or {}
    yield from _shared("pod", context)
    for sysctl in context.get("sysctls", []):
        if sysctl["name"] not in _SYSCTLS:
            yield f"sysctl {sysctl['name']}"
    for group in ("containers", "initContainers", "ephemeralContainers"):
        for container in pod.get(group, []):
            yield from _container(container, context)


def _shared(where: str, context: dict[str, Any]) -> Iterator[str]:
    """What is judged alike in a pod's and in a container's context."""
    if context.get("runAsUser") == 0:
        yield f"{where}: runs as root"
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield f"{where}: hostProcess"
    linux = context.get("seLinuxOptions") or {}
    if linux.get("type") not in _SELINUX or linux.get("user") or linux.get("role"):
        yield f"{where}: seLinuxOptions"
    if (context.get("appArmorProfile") or {}).get("type") not in _APPARMOR:
        yield f"{where}: appArmorProfile"
    if "seccompProfile" in context and context["seccompProfile"].get("type") not in _SECCOMP:
        yield f"{where}: seccompProfile"


def _container(container: dict[str, Any], pod: dict[str, Any]) -> Iterator[str]:
    name, context = container["name"], container.get("securityContext") or {}
    yield from _shared(name, context)
    if context.get("privileged"):
        yield f"{name}: privileged"
    if context.get("allowPrivilegeEscalation") is not False:
        yield f"{name}: allowPrivilegeEscalation"
    if context.get("procMount", "Default") != "Default":
        yield f"{name}: procMount"
    if not context.get("runAsNonRoot", pod.get("runAsNonRoot")):
        yield f"{name}: runAsNonRoot"
    if "seccompProfile" not in context and "seccompProfile" not in pod:
        yield f"{name}: no seccompProfile"
    capabilities = context.get("capabilities") or {}
    if "ALL" not in capabilities.get("drop", []):
        yield f"{name}: keeps capabilities"
    if set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield f"{name}: adds capabilities"
    if any(port.get("hostPort") for port in container.get("ports", [])):
        yield f"{name}: hostPort"
    handlers = [container.get(f"{probe}Probe") or {} for probe in ("startup", "liveness", "readiness")]
    handlers += list((container.get("lifecycle") or {}).values())
    for handler in handlers:
        if any((handler.get(kind) or {}).get("host") for kind in ("httpGet", "tcpSocket")):
            yield f"{name}: a probe's host"
