"""Values that must render: each feature alone, and the structural ones in pairs."""

from __future__ import annotations

import copy
import itertools
from typing import Any

Values = dict[str, Any]

PIPELINE: Values = {
    "pipeline": "first",
    "aws": {"region": "us-east-1"},
    "checks": {"dead-letters": {"kind": "queue_depth", "queues": ["*-dlq"]}},
}
BASE: Values = {"pipelines": {"first": PIPELINE}}
HARDENED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
SIDECAR = {"name": "side", "image": "registry.example.com/side:1", "securityContext": HARDENED}
ROLE = "arn:aws:iam::123456789012:role/tripswitch"
DIGEST = "sha256:" + "0123456789abcdef" * 4
SHARED = {"replicaCount": 3, "store": {"url": "dynamodb://tripswitch"}}
RELABELING = {"sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node", "action": "replace"}

#: Name -> values, laid over BASE. These shape the objects and are also rendered in pairs.
STRUCTURAL: dict[str, Values] = {
    "no volume": {"persistence": {"enabled": False}},
    "a claim of one's own": {"persistence": {"existingClaim": "mine"}},
    "three replicas": SHARED,
    "stopped": {"replicaCount": 0},
    "IRSA": {"aws": {"roleArn": ROLE, "region": "eu-west-1"}},
    "a service account of one's own": {"serviceAccount": {"create": False, "name": "mine"}},
    "a digest of a global registry": {
        "global": {"imageRegistry": "registry.example.com", "imagePullSecrets": ["global-pull"]},
        "image": {"digest": DIGEST, "pullSecrets": ["pull", {"name": "pull-too"}]},
    },
    "another name": {"nameOverride": "watcher", "fullnameOverride": "the-watcher"},
    "labels everywhere": {"commonLabels": {"team": "data"}, "podLabels": {"pod": "yes"}, "podAnnotations": {"a": "b"}},
    "config rolls": {"rollOnChange": True},
    "secret files": {"secretFiles": [{"secretName": "slack", "mountPath": "/etc/secrets/slack", "optional": True}]},
    "network policy": {"networkPolicy": {"enabled": True}},
    "budget": {"podDisruptionBudget": {"enabled": True, "unhealthyPodEvictionPolicy": "AlwaysAllow"}},
    "ServiceMonitor": {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}},
    "rules": {"prometheusRule": {"enabled": True}},
    "dashboards": {"dashboards": {"enabled": True}},
    "OpenShift": {"podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None}},
    "no liveness": {"probes": {"liveness": {"enabled": False}}},
    "spread": {
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}
        ]
    },
    "sidecars": {"extraContainers": [SIDECAR], "extraInitContainers": [{**SIDECAR, "name": "before"}]},
}

#: Name -> values, laid over BASE, rendered alone.
SINGLE: dict[str, Values] = {
    "defaults": {},
    "a pipeline as text": {"pipelines": {"text": "pipeline: text\nchecks: {}\n# ${NOT_HELM} {{ nor this }}\n"}},
    "two pipelines": {"pipelines": {"second": {**PIPELINE, "pipeline": "second"}}},
    "an armed pipeline": {
        "pipelines": {
            "first": {
                **PIPELINE,
                "breakers": {
                    "dead-letters": {
                        "trip_when": "dead-letters.visible",
                        "mode": "approve",
                        "on_trip": [{"redrive_queue": {"rate": 10}}, {"wait": "5m"}],
                    }
                },
            }
        }
    },
    "a ConfigMap of one's own": {"existingConfigMap": "mine", "pipelines": None},
    "a ConfigMap of one's own that can't roll": {"existingConfigMap": "mine", "pipelines": None, "rollOnChange": True},
    "variables": {"env": {"ACCOUNT_ID": "123456789012", "COUNT": 3, "RATIO": 0.5, "FLAG": True, "_X": ""}},
    "a large number": {"env": {"ACCOUNT_ID": 123456789012}},
    "a secret": {"existingSecret": "tripswitch"},
    "a token from SSM": {"settings": {"tokenFrom": "ssm:/tripswitch/token"}},
    "a token from Secrets Manager": {"settings": {"tokenFrom": "secretsmanager:tripswitch#token"}},
    "a token from a file": {
        "settings": {"tokenFrom": "file:/etc/secrets/t/token"},
        "secretFiles": [{"secretName": "t", "mountPath": "/etc/secrets/t"}],
    },
    "two secret files": {
        "secretFiles": [
            {"secretName": "a", "mountPath": "/etc/a"},
            {"secretName": "b", "mountPath": "/etc/tripswitches"},
        ]
    },
    "debug": {"settings": {"logLevel": "debug", "actions": "off", "concurrency": 8, "readShare": 1}},
    "a short grace": {"settings": {"grace": "500ms"}, "terminationGracePeriodSeconds": 11},
    "a long grace": {"settings": {"grace": "1m30s"}, "terminationGracePeriodSeconds": 100},
    "a file elsewhere on the volume": {"store": {"url": "sqlite:////var/lib/tripswitch/other.db"}},
    "memory": {"store": {"url": "memory:"}},
    "one replica on DynamoDB": {"store": {"url": "dynamodb://tripswitch?region=eu-west-1"}},
    "a region of many parts": {"aws": {"region": "us-gov-west-1"}},
    "a role in another partition": {"aws": {"roleArn": "arn:aws-us-gov:iam::123456789012:role/path/tripswitch"}},
    "the global STS": {"aws": {"roleArn": ROLE, "regionalSts": False}},
    "an annotated service account": {"serviceAccount": {"name": "n", "annotations": {"a": "b"}, "labels": {"c": "d"}}},
    "the default service account": {"serviceAccount": {"create": False}},
    "a large volume of a class": {"persistence": {"size": "10Gi", "storageClass": "gp3", "annotations": {"a": "b"}}},
    "a volume that goes": {"persistence": {"keep": False}},
    "a node port": {"service": {"type": "NodePort", "nodePort": 30108}},
    "a node port that Kubernetes chooses": {"service": {"type": "NodePort"}},
    "a load balancer": {
        "service": {
            "type": "LoadBalancer",
            "port": 80,
            "annotations": {"service.beta.kubernetes.io/aws-load-balancer-scheme": "internal"},
            "labels": {"edge": "yes"},
            "loadBalancerSourceRanges": ["10.0.0.0/8"],
        }
    },
    "no probes": {"probes": {name: {"enabled": False} for name in ("startup", "liveness", "readiness")}},
    "patient probes": {"probes": {"startup": {"failureThreshold": 300}, "liveness": {"timeoutSeconds": 10}}},
    "late probes": {"probes": {"readiness": {"initialDelaySeconds": 5, "periodSeconds": 30}}},
    "resources": {"resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}}},
    "a hook before the end": {"lifecycle": {"preStop": {"exec": {"command": ["tripswitch", "status"]}}}},
    "a node of its own": {
        "nodeSelector": {"kubernetes.io/arch": "arm64"},
        "tolerations": [{"key": "dedicated", "operator": "Equal", "value": "ops", "effect": "NoSchedule"}],
        "priorityClassName": "high",
    },
    "affinity": {
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}]
                }
            }
        }
    },
    "spread by a selector of one's own": {
        "topologySpreadConstraints": [
            {
                "maxSkew": 2,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": {"a": "b"}},
            }
        ]
    },
    "budget with a floor": {**SHARED, "podDisruptionBudget": {"enabled": True, "minAvailable": 2}},
    "budget with a share": {**SHARED, "podDisruptionBudget": {"enabled": True, "minAvailable": "50%"}},
    "budget with a ceiling": {**SHARED, "podDisruptionBudget": {"enabled": True, "maxUnavailable": "30%"}},
    "budget of one": {"podDisruptionBudget": {"enabled": True, "minAvailable": 0}},
    "budget of one in percent": {"podDisruptionBudget": {"enabled": True, "minAvailable": "0%"}},
    "network policy for nobody": {
        "networkPolicy": {"enabled": True, "monitoringNamespace": ""},
        "tests": {"enabled": False},
    },
    "network policy without egress": {"networkPolicy": {"enabled": True, "egress": {"enabled": False}}},
    "network policy for a VPC": {
        "networkPolicy": {
            "enabled": True,
            "egress": {"httpsCidrs": ["10.0.0.0/16"], "podIdentity": False, "imds": False},
            "extraEgress": [{"to": [{"namespaceSelector": {}}], "ports": [{"port": 9093}]}],
            "extraIngress": [{"from": [{"podSelector": {"matchLabels": {"a": "b"}}}], "ports": [{"port": "http"}]}],
        }
    },
    "network policy without HTTPS": {"networkPolicy": {"enabled": True, "egress": {"httpsCidrs": []}}},
    "ServiceMonitor with everything": {
        "serviceMonitor": {
            "enabled": True,
            "namespace": "monitoring",
            "labels": {"release": "prometheus"},
            "annotations": {"a": "b"},
            "interval": "1m",
            "scrapeTimeout": "30s",
            "honorLabels": True,
            "jobLabel": "app.kubernetes.io/name",
            "targetLabels": ["team"],
            "relabelings": [RELABELING],
            "metricRelabelings": [{"sourceLabels": ["__name__"], "regex": "python_.*", "action": "drop"}],
        }
    },
    "PodMonitor": {"podMonitor": {"enabled": True}},
    "PodMonitor with everything": {
        "podMonitor": {
            "enabled": True,
            "namespace": "monitoring",
            "labels": {"release": "prometheus"},
            "annotations": {"a": "b"},
            "interval": "15s",
            "honorLabels": True,
            "jobLabel": "app.kubernetes.io/name",
            "podTargetLabels": ["team"],
            "relabelings": [RELABELING],
            "metricRelabelings": [RELABELING],
        }
    },
    "rules with wishes": {
        "prometheusRule": {
            "enabled": True,
            "namespace": "monitoring",
            "labels": {"release": "prometheus"},
            "annotations": {"a": "b"},
            "runbookBaseUrl": "https://wiki.example.com/runbooks/",
            "alerts": {
                "TripswitchAbsent": {"enabled": False},
                "TripswitchBillAbovePlan": {
                    "threshold": 200,
                    "for": "6h",
                    "severity": "info",
                    "labels": {"team": "data"},
                },
            },
            "extraRules": [{"alert": "Mine", "expr": "up == 0", "for": "1m", "labels": {"severity": "info"}}],
        }
    },
    "dashboards elsewhere": {
        "dashboards": {
            "enabled": True,
            "namespace": "grafana",
            "label": "dash",
            "labelValue": "yes",
            "folderAnnotation": "k8s-sidecar-target-directory",
            "folder": "/tmp/dashboards/ops",
            "labels": {"a": "b"},
            "annotations": {"c": "d"},
        }
    },
    "dashboards without a folder": {"dashboards": {"enabled": True, "folder": ""}},
    "no test pod": {"tests": {"enabled": False}},
    "extras": {
        "extraEnv": [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "extraEnvFrom": [{"configMapRef": {"name": "more", "optional": True}}],
        "extraArgs": ["--kill-file", "/etc/kill/off"],
        "extraVolumes": [{"name": "kill", "configMap": {"name": "kill", "optional": True}}],
        "extraVolumeMounts": [{"name": "kill", "mountPath": "/etc/kill", "readOnly": True}],
    },
    "a secret and more": {"existingSecret": "a", "extraEnvFrom": [{"secretRef": {"name": "b"}}]},
    "extra objects": {
        "extraObjects": [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "one"},
                "data": {"release": "{{ .Release.Name }}"},
            },
            'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "{{ .Release.Name }}-two"}\n',
        ]
    },
    "a tag that looks like a number": {
        "image": {"registry": "registry.example.com/", "repository": "a/b", "tag": "1.10"}
    },
    "always pull": {"image": {"pullPolicy": "Always"}},
    "a parent's globals": {"global": {"clusterName": "prod", "nested": {"a": 1}}},
    "few old ReplicaSets": {"revisionHistoryLimit": 0},
    "everything of Prometheus": {
        "serviceMonitor": {"enabled": True},
        "prometheusRule": {"enabled": True},
        "dashboards": {"enabled": True},
    },
}

#: Pairs that are refused, and rightly.
CONTRADICTORY = {
    frozenset(("IRSA", "a service account of one's own")),
}


def over(below: Values, above: Values) -> Values:
    """`above` laid over `below`, as Helm lays a values file over another."""
    merged = copy.deepcopy(below)
    for name, value in above.items():
        merged[name] = (
            over(merged[name], value) if isinstance(merged.get(name), dict) and isinstance(value, dict) else value
        )
    return merged


def cases() -> dict[str, Values]:
    """Name -> values."""
    found = {name: over(BASE, values) for name, values in (SINGLE | STRUCTURAL).items()}
    for one, other in itertools.combinations(STRUCTURAL, 2):
        # "stopped" and "three replicas" both name a number of replicas: the later one holds.
        if frozenset((one, other)) not in CONTRADICTORY:
            found[f"{one} + {other}"] = over(over(BASE, STRUCTURAL[one]), STRUCTURAL[other])
    return found


CASES = cases()
#: Cases whose pipelines are not those of all others: for them the schema of a pipeline file matters.
WITH_PIPELINES = [name for name, values in CASES.items() if values.get("pipelines") != BASE["pipelines"]]
