"""The charts' values.schema.json: what may stand in values, with the sidecar's own schema for `config`.

`python -m helm.values_schema --write` writes both files, `--check` says whether they are up to date. Helm 3 knows
JSON Schema up to draft 7, so that is what they are. A key that is not known here is a mistake, in Kubernetes' own small
structures as well: a misspelt limit is no limit. The large ones (affinity, volumes, …) are left to the API server. What
lies between values is checked by the templates (`_checks.tpl`).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

from helm.writing import write_or_check
from proxy.config import json_schema

Schema = dict[str, Any]

HERE: Final = Path(__file__).parent

_NAME: Final = "^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"
_SHORT_NAME: Final = "^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$"
"""It becomes a part of a volume's name."""


def _about(description: str, schema: Schema) -> Schema:
    return {"description": description, **schema}


def _object(properties: Schema, **keywords: Any) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False, **keywords}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _table(keys: str, items: Schema) -> Schema:
    return {"type": "object", "propertyNames": {"pattern": keys}, "additionalProperties": items}


_FLAG: Final[Schema] = {"type": "boolean"}
_TEXT: Final[Schema] = {"type": "string"}
_WORD: Final[Schema] = {"type": "string", "minLength": 1}
_OPTIONAL_NAME: Final[Schema] = {"type": "string", "pattern": f"^$|{_NAME}"}
_KUBERNETES: Final[Schema] = {"type": "object"}
_OPTIONAL_KUBERNETES: Final[Schema] = {"type": ["object", "null"]}
_KUBERNETES_LIST: Final[Schema] = _list(_KUBERNETES)
_NAMED_LIST: Final[Schema] = _list({"type": "object", "properties": {"name": _WORD}, "required": ["name"]})
_PEER: Final[Schema] = _object(
    dict.fromkeys(("podSelector", "namespaceSelector", "ipBlock"), _KUBERNETES), minProperties=1
)
_PEERS: Final[Schema] = {"type": "array", "items": _PEER, "minItems": 1}
"""Of a NetworkPolicy, where an empty list would stand for everybody."""
_LABELS: Final[Schema] = {"type": "object", "additionalProperties": _TEXT}
_QUANTITY: Final[Schema] = {
    "type": "string",
    "pattern": "^([0-9]*[1-9][0-9]*(\\.[0-9]+)?|0?\\.[0-9]*[1-9][0-9]*)m?$",
}
"""More than nothing."""
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_SECONDS: Final[Schema] = {"type": "integer", "minimum": 1}
_AMOUNT: Final[Schema] = {"type": ["integer", "string", "null"], "minimum": 0, "pattern": "^([0-9]{1,2}|100)%$"}
"""Pods, or a share of them."""
_OPTIONAL_FLAG: Final[Schema] = {"type": ["boolean", "null"]}
_OPTIONAL_ID: Final[Schema] = {"type": ["integer", "null"], "minimum": 0}


def _resources() -> Schema:
    """What the container asks for; extended resources have names of their own."""
    quantity = {
        "type": ["string", "number", "null"],
        "minimum": 0,
        "pattern": "^[0-9]*\\.?[0-9]+([numkMGTPE]|[KMGTPE]i|[eE][-+]?[0-9]+)?$",
    }
    amounts = {"type": ["object", "null"], "additionalProperties": quantity}
    return _object({"requests": amounts, "limits": amounts, "claims": _NAMED_LIST})


def _security(of_a_pod: bool) -> Schema:
    """A security context: of a pod, or of a container. Null takes a default away."""
    shared = {
        **dict.fromkeys(
            ("appArmorProfile", "seLinuxOptions", "seccompProfile", "windowsOptions"), _OPTIONAL_KUBERNETES
        ),
        **dict.fromkeys(("runAsUser", "runAsGroup"), _OPTIONAL_ID),
        "runAsNonRoot": _OPTIONAL_FLAG,
    }
    if of_a_pod:
        names = ("fsGroupChangePolicy", "seLinuxChangePolicy", "supplementalGroupsPolicy")
        groups = _list({"type": "integer", "minimum": 0})
        own = {
            "fsGroup": _OPTIONAL_ID,
            "supplementalGroups": groups,
            "sysctls": _NAMED_LIST,
            **dict.fromkeys(names, _WORD),
        }
    else:
        flags = ("readOnlyRootFilesystem", "allowPrivilegeEscalation", "privileged")
        drops = _object({"add": _list(_WORD), "drop": _list(_WORD)})
        own = {**dict.fromkeys(flags, _OPTIONAL_FLAG), "capabilities": drops, "procMount": _WORD}
    return _object({**shared, **own})


def _strategy() -> Schema:
    rolling = _object({"maxSurge": _AMOUNT, "maxUnavailable": _AMOUNT})
    rolling["type"] = ["object", "null"]
    return _object({"type": {"enum": ["RollingUpdate", "Recreate"]}, "rollingUpdate": rolling})


_VARIABLES: Final[Schema] = _list(_object({"name": _WORD, "value": _TEXT, "valueFrom": _KUBERNETES}, required=["name"]))
"""Numbers and `true` need quotes: a variable is text."""


def _probe(successes: Schema) -> Schema:
    numbers = dict.fromkeys(("periodSeconds", "timeoutSeconds", "failureThreshold"), _SECONDS)
    numbers["successThreshold"] = successes
    return _object({"enabled": _FLAG, "initialDelaySeconds": _COUNT, **numbers}, required=["enabled"])


def _config() -> tuple[Schema, Schema]:
    """The schema of `config` and the definitions it refers to. An empty one is the templates' to explain."""
    schema = json.loads(json.dumps(json_schema()).replace("#/$defs/", "#/definitions/"))
    config = {"type": "object", "properties": schema["properties"], "additionalProperties": False}
    del config["properties"]["upstreams"]["minProperties"]
    return _about("the sidecar's own configuration, as its file has it", config), schema["$defs"]


def _shared() -> Schema:
    """What both charts take."""
    source = _object(
        {"configMap": {"type": "string", "pattern": _NAME}, "secret": {"type": "string", "pattern": _NAME}}
    )
    once = {"enum": [1]}  # Kubernetes' own rule
    digest = {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"}
    image = {
        "repository": _WORD,
        "tag": _TEXT,
        "digest": digest,
        "pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    }
    return {
        "existingSecret": _about(
            "the Secret whose keys are files below /var/run/secrets/cognito-sidecar/", _OPTIONAL_NAME
        ),
        "existingSecrets": _about(
            "several of them, each below a directory of its own",
            _table(_SHORT_NAME, {"type": "string", "pattern": _NAME}),
        ),
        "caBundles": _about(
            "directories of authorities below /etc/cognito-sidecar-ca/",
            _table(_SHORT_NAME, {**source, "minProperties": 1, "maxProperties": 1}),
        ),
        "image": _object(image),
        "resources": _resources(),
        "probes": _object({"startup": _probe(once), "liveness": _probe(once), "readiness": _probe(_SECONDS)}),
        "securityContext": _security(of_a_pod=False),
        "extraEnv": _VARIABLES,
        "extraEnvFrom": _KUBERNETES_LIST,
        "extraVolumes": _NAMED_LIST,
        "extraVolumeMounts": _list({"type": "object", "required": ["name", "mountPath"]}),
        "global": _about("Helm's, for all charts of a release; not used here", _KUBERNETES),
    }


def library() -> Schema:
    """Of cognito-sidecar-lib: what stands below `cognitoSidecar` in the values of a chart that includes it."""
    return _schema(
        "values of cognito-sidecar-lib",
        {
            "native": _about("a native sidecar: an init container that goes on running", _FLAG),
            "appContainer": _about("the container that kubectl logs and exec choose", _OPTIONAL_NAME),
            "prometheusAnnotations": _about("annotations prometheus.io/…", _FLAG),
            "configMapName": _about("by default the release's name and -cognito-sidecar", _OPTIONAL_NAME),
        },
    )


def application() -> Schema:
    """Of the chart cognito-sidecar."""
    positive = {"type": "integer", "minimum": 1}
    port = {"type": "integer", "minimum": 1, "maximum": 65535}
    monitor = {"enabled": _FLAG, "interval": {"type": "string", "pattern": "^[0-9]+(ms|s|m|h)$"}, "labels": _LABELS}
    policy = {"enabled": _FLAG, "from": _PEERS, "metricsFrom": _PEERS, "egressPorts": _list(port)}
    cache = {"tokenCacheTo": _list(_PEER), "tokenCachePorts": _list(port)}
    scaling = {"enabled": _FLAG, "minReplicas": positive, "maxReplicas": positive, "cpu": _QUANTITY}
    return _schema(
        "values of cognito-sidecar",
        {
            "networkPolicy": _object({**policy, **cache, "extraEgress": _KUBERNETES_LIST}),
            "anyCaller": _about("on purpose: every pod of the cluster may use the credential", _FLAG),
            "deployment": _object({"enabled": _about("false: monitors, alerts and dashboard only", _FLAG)}),
            "imagePullSecrets": _NAMED_LIST,
            "replicas": _about("not used with autoscaling", _COUNT),
            "autoscaling": _object({**scaling, "behavior": _KUBERNETES}),
            "podDisruptionBudget": _object({"enabled": _FLAG, "maxUnavailable": _AMOUNT, "minAvailable": _AMOUNT}),
            "topologySpread": _about("keys of nodes' labels, over which pods are spread", _list(_WORD)),
            "strategy": _strategy(),
            "terminationGracePeriodSeconds": {"type": ["integer", "null"], "minimum": 1},
            "podSecurityContext": _security(of_a_pod=True),
            "serviceAccount": _object({"create": _FLAG, "name": _OPTIONAL_NAME, "annotations": _LABELS}),
            "service": _object({"annotations": _LABELS, "clusterDomain": _WORD}),
            "serviceMonitor": _object(monitor),
            "podMonitor": _object({**monitor, "namespaces": _list(_WORD)}),
            "prometheusRule": _object(
                {
                    "enabled": _FLAG,
                    "labels": _LABELS,
                    "runbookUrl": _about("of docs/runbook.md", {"type": "string", "pattern": "^$|^https?://[^#]+$"}),
                }
            ),
            "dashboard": _object({"enabled": _FLAG, "labels": _LABELS}),
            "fullnameOverride": {"type": "string", "pattern": "^$|^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$"},
            "podLabels": _LABELS,
            "podAnnotations": _LABELS,
            "priorityClassName": _OPTIONAL_NAME,
            "nodeSelector": _LABELS,
            "tolerations": _KUBERNETES_LIST,
            "affinity": _KUBERNETES,
            "extraObjects": _about(
                "whole objects, or text; templates are expanded", _list({"type": ["object", "string"]})
            ),
        },
    )


def _schema(title: str, own: Schema) -> Schema:
    config, definitions = _config()
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": title,
        **_object({"config": config, **own, **_shared()}, required=["config"]),
        "definitions": definitions,
    }


FILES: Final = {
    HERE / "cognito-sidecar" / "values.schema.json": application,
    HERE / "cognito-sidecar-lib" / "values.schema.json": library,
}


def main(arguments: list[str]) -> int:
    """Write the files, or say which of them are not what they would be written as."""
    return write_or_check(FILES, arguments, HERE.parent)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
