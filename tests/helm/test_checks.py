"""Mistakes that lie between values: each is refused with its path and with what to do, and all at once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.helm.rig import CASES, HELMS, Case, Helm, refusal, rendered

_SECRETS = "/var/run/secrets/cognito-sidecar"
_SIDECAR = "cognitoSidecar__config__upstreams__orders"
_ORDERS = "config__upstreams__orders"

LIBRARY = [
    (
        {"cognitoSidecar__existingSecret": '""'},
        f"orders.auth.client_id: {_SECRETS}/client_id is in no Secret: set cognitoSidecar.existingSecret to",
    ),
    (
        {"cognitoSidecar__existingSecret": '""', "cognitoSidecar__existingSecrets": '{"orders": "orders-cognito"}'},
        "cognitoSidecar.existingSecrets.orders: nothing in cognitoSidecar.config reads it",
    ),
    (
        {"cognitoSidecar__existingSecrets": '{"orders": "orders-cognito"}'},
        "cognitoSidecar.existingSecrets: existingSecret is set as well",
    ),
    (
        {f"{_SIDECAR}__auth__client_id": f'{{"file": "{_SECRETS}/orders/client_id"}}'},
        f"{_SECRETS}/orders/client_id is in no Secret: set cognitoSidecar.existingSecrets.orders to",
    ),
    (
        {f"{_SIDECAR}__auth__client_id": '"id"', f"{_SIDECAR}__auth__client_secret": '{"file": "/vault/secret"}'},
        "cognitoSidecar.existingSecret: nothing in cognitoSidecar.config reads it",
    ),
    (
        {f"{_SIDECAR}__auth__client_id": '{"file": "client_id"}'},
        "auth.client_id: client_id is relative to /etc/cognito-sidecar",
    ),
    (
        {f"{_SIDECAR}__headers": '{"set": {"X-Tenant": {"env": "CLIENT_ID"}}}'},
        "headers.set.X-Tenant: nothing sets the environment variable CLIENT_ID: add it to cognitoSidecar.extraEnv",
    ),
    (
        {f"{_SIDECAR}__auth__client_secret": f'[{{"file": "{_SECRETS}/client_secret"}}, {{"env": "NEXT"}}]'},
        "auth.client_secret[1]: nothing sets the environment variable NEXT",
    ),
    (
        {f"{_SIDECAR}__tls": '{"ca_file": "/etc/cognito-sidecar-ca/corporate/ca.crt"}'},
        "/etc/cognito-sidecar-ca/corporate/ca.crt is in no bundle: set cognitoSidecar.caBundles.corporate to",
    ),
    (
        {"cognitoSidecar__caBundles": '{"corporate": {"configMap": "ca"}}'},
        "cognitoSidecar.caBundles.corporate: nothing in cognitoSidecar.config reads it",
    ),
    (
        {f"{_SIDECAR}__listen": '"0.0.0.0:8080"'},
        "orders.listen: 0.0.0.0 is not loopback, and whoever reaches it can use the credential",
    ),
    (
        {f"{_SIDECAR}__listen": '{"unix": "/tmp/orders.sock", "mode": "0666"}'},
        "orders.listen: /tmp cannot be written to: listen on /run/cognito-sidecar/orders.sock",
    ),
    (
        {f"{_SIDECAR}__listen": '"unix:/run/cognito-sidecar/orders.sock"'},
        'own user could connect: write {unix: /run/cognito-sidecar/orders.sock, mode: "0666"}',
    ),
    (
        {"cognitoSidecar__resources__requests__memory": '"200Mi"'},
        "cognitoSidecar.resources.limits.memory: 128Mi is less than what resources.requests asks for, 200Mi",
    ),
    ({"cognitoSidecar__prometheusAnnotations": "true"}, "cognitoSidecar.prometheusAnnotations: "),
    ({f"{_SIDECAR}__auth__client_secret": '"abc"'}, "orders.auth.client_secret: whoever reads the ConfigMap"),
    (
        {f"{_SIDECAR}__auth__client_secret": f'[{{"file": "{_SECRETS}/client_secret"}}, "abc"]'},
        "orders.auth.client_secret: whoever reads the ConfigMap",
    ),
    ({f"{_SIDECAR}__egress_proxy": '"http://me:abc@proxy:3128"'}, "orders.egress_proxy: whoever reads the ConfigMap"),
    ({f"{_SIDECAR}__headers": '{"set": {"X-Api-Key": "abc"}}'}, "orders.headers.set.X-Api-Key: whoever reads"),
    (
        {"cognitoSidecar__config__require_header": '{"name": "X-Key", "value": "abc"}'},
        "cognitoSidecar.config.require_header.value: whoever reads the ConfigMap",
    ),
    ({f"{_SIDECAR}__headers": '{"set": {"X-Auth-Token": "abc"}}'}, "orders.headers.set.X-Auth-Token: whoever reads"),
    (
        {f"{_SIDECAR}__auth__extra_params": '{"client_assertion": "abc"}'},
        "orders.auth.extra_params.client_assertion: whoever reads the ConfigMap",
    ),
    ({f"{_SIDECAR}__url": '"https://me:abc@orders.test/v1"'}, "orders.url: whoever reads the ConfigMap would read the"),
    ({f"{_SIDECAR}__auth__token_url": '"https://me:abc@a.test/t"'}, "orders.auth.token_url: whoever reads the Config"),
    (
        {"cognitoSidecar__config__token_cache": '{"url": "rediss://cache.test", "password": "abc"}'},
        "cognitoSidecar.config.token_cache.password: whoever reads the ConfigMap would read it: put it into the Secret",
    ),
    (
        {"cognitoSidecar__config__token_cache": '{"url": "rediss://me:abc@cache.test"}'},
        "cognitoSidecar.config.token_cache.url: whoever reads the ConfigMap would read the password: write the user as",
    ),
    (
        {"cognitoSidecar__config__admin__listen": '"unix:/tmp/admin.sock"'},
        "config.admin.listen: /tmp cannot be written to: listen on /run/cognito-sidecar/admin.sock",
    ),
    (
        {
            "cognitoSidecar__config__admin__listen": '{"unix": "/run/cognito-sidecar/a.sock"}',
            f"{_SIDECAR}__listen": '{"unix": "/run/cognito-sidecar/a.sock", "mode": "0666"}',
        },
        "orders.listen: /run/cognito-sidecar/a.sock is the socket of cognitoSidecar.config.admin.listen",
    ),
    (
        {f"{_SIDECAR}__url": '"HTTP://Orders.test/"'},
        "orders.url: plain http to a host that is not loopback sends a credential in clear: use https, or set",
    ),
    ({f"{_SIDECAR}__auth__token_url": '"http://orders.test/"'}, "orders.auth.token_url: plain http to a host that"),
    (
        {f"{_SIDECAR}__allow_peers": '{"uids": [1]}'},
        "orders.allow_peers: peers are known on unix sockets only, and cognitoSidecar.config.upstreams.orders",
    ),
    (
        {"cognitoSidecar__config__allow_peers": '{"gids": [1]}'},
        "listen is 127.0.0.1:8080: listen on a unix socket, or set this to {}, for everybody",
    ),
    (
        {"cognitoSidecar__extraVolumes": '[{"name": "cognito-sidecar-config", "emptyDir": {}}]'},
        "cognitoSidecar.extraVolumes: there is a volume cognito-sidecar-config already, the chart's own: give this one",
    ),
    (
        {"cognitoSidecar__extraVolumes": '[{"name": "a", "emptyDir": {}}, {"name": "a", "emptyDir": {}}]'},
        "cognitoSidecar.extraVolumes: there is a volume a already: give this one another name",
    ),
    (
        {"cognitoSidecar__extraVolumeMounts": '[{"name": "a", "mountPath": "/etc/cognito-sidecar/"}]'},
        "cognitoSidecar.extraVolumeMounts: /etc/cognito-sidecar is mounted already, by the chart: mount a at another",
    ),
]

APPLICATION = [
    ({"existingSecret": '""'}, "config.upstreams.orders.auth.client_secret: "),
    ({f"{_ORDERS}__listen": '"127.0.0.1:8080"'}, "config.upstreams.orders.listen: no other pod reaches 127.0.0.1:8080"),
    ({f"{_ORDERS}__listen": '"[::1]:80"'}, "config.upstreams.orders.listen: no other pod reaches [::1]:80"),
    (
        {f"{_ORDERS}__listen": '"unix:/run/cognito-sidecar/orders.sock"'},
        "config.upstreams.orders.listen: no other pod reaches a unix socket",
    ),
    ({"config__allow_remote_clients": "false"}, "config.allow_remote_clients: callers of a Deployment"),
    ({"networkPolicy__enabled": "false"}, "networkPolicy.enabled: every pod of the cluster could use the credential"),
    (
        {f"{_ORDERS}__url": '"https://orders.test:8443"'},
        "networkPolicy.egressPorts: the upstream orders needs port 8443",
    ),
    ({f"{_ORDERS}__url": '"http://orders.test/v1"'}, "networkPolicy.egressPorts: the upstream orders needs port 80"),
    ({f"{_ORDERS}__auth__token_url": '"https://[2001:db8::1]:444/"'}, "the upstream orders needs port 444"),
    ({f"{_ORDERS}__egress_proxy": '"http://proxy.test:3128"'}, "the upstream orders needs port 3128"),
    (
        {"extraEnv": '[{"name": "https_proxy", "value": "http://proxy.test:3128/"}]'},
        "networkPolicy.egressPorts: https_proxy of extraEnv needs port 3128: add it",
    ),
    (
        {"config__admin__listen": '"127.0.0.1:9090"', "serviceMonitor__enabled": "true"},
        "serviceMonitor.enabled: config.admin.listen is on loopback",
    ),
    (
        {"autoscaling": '{"enabled": true, "minReplicas": 5, "maxReplicas": 4}'},
        "autoscaling.minReplicas: 5 is more than maxReplicas, 4",
    ),
    (
        {"config__token_cache": f'{{"url": {{"file": "{_SECRETS}/cache_url"}}}}'},
        "networkPolicy.tokenCachePorts: the port in config.token_cache.url is not in the values",
    ),
    (
        {"networkPolicy__tokenCacheTo": '[{"podSelector": {}}]'},
        "networkPolicy.tokenCacheTo: it is for config.token_cache, and there is none",
    ),
    ({"networkPolicy__tokenCachePorts": "[6379]"}, "networkPolicy.tokenCachePorts: it is for config.token_cache"),
    ({f"{_ORDERS}__listen": '"0.0.0.0:0"'}, "config.upstreams.orders.listen: callers have to know the port"),
    ({"config__admin__listen": '"0.0.0.0:0"'}, "config.admin.listen: probes and Prometheus have to know the port"),
    (
        {"config__admin__listen": '"0.0.0.0:8080"'},
        "config.upstreams.orders.listen: 8080 is the port of config.admin.listen: give one of them another",
    ),
    ({"securityContext__runAsUser": "0"}, "securityContext.runAsUser: 0 is root, and runAsNonRoot keeps the container"),
    (
        {"podSecurityContext__runAsUser": "0"},
        "podSecurityContext.runAsUser: 0 is root, and runAsNonRoot keeps the pods",
    ),
    (
        {"resources__requests__memory": '"1Gi"'},
        "resources.limits.memory: 256Mi is less than what resources.requests asks for, 1Gi: raise it",
    ),
    (
        {"resources__limits__cpu": "0.05"},
        "resources.limits.cpu: 0.05 is less than what resources.requests asks for, 100m",
    ),
    ({"extraVolumeMounts": '[{"name": "data", "mountPath": "/data"}]'}, "extraVolumeMounts: there is no volume data"),
    ({"strategy__type": '"Recreate"'}, "strategy.rollingUpdate: it is for the type RollingUpdate"),
    ({"podDisruptionBudget__maxUnavailable": "null"}, "podDisruptionBudget.maxUnavailable: it is null, and so is min"),
    ({"podDisruptionBudget__minAvailable": "1"}, "podDisruptionBudget.minAvailable: maxUnavailable is set as well"),
    (
        {"podDisruptionBudget": '{"maxUnavailable": null, "minAvailable": 2}'},
        "podDisruptionBudget.minAvailable: 2 of 2 pods would never let a node be drained",
    ),
    ({"podDisruptionBudget__maxUnavailable": "0"}, "podDisruptionBudget: no node could be drained"),
    ({"terminationGracePeriodSeconds": "30"}, "terminationGracePeriodSeconds: config.shutdown needs 35 s"),
    ({"deployment__enabled": "false", "autoscaling__enabled": "true"}, "autoscaling.enabled: it is for a Deployment"),
    (
        {"deployment__enabled": "false", "serviceMonitor__enabled": "true"},
        "and podMonitor.enabled to true for sidecars",
    ),
]


def _named(settings: dict[str, str]) -> str:
    return "-".join(settings).replace("cognitoSidecar__", "")


@pytest.mark.parametrize(("settings", "line"), LIBRARY, ids=[_named(settings) for settings, _ in LIBRARY])
async def test_in_a_team_s_own_chart(settings: dict[str, str], line: str) -> None:
    assert line in await refusal(CASES["legacy-app"].having(**settings))


@pytest.mark.parametrize(("settings", "line"), APPLICATION, ids=[_named(settings) for settings, _ in APPLICATION])
async def test_in_the_deployment(settings: dict[str, str], line: str) -> None:
    assert line in await refusal(CASES["smallest"].having(**settings))


@pytest.mark.parametrize(
    ("requests", "limits"),
    [
        ('{"cpu": "500m", "memory": "128Mi"}', '{"cpu": 1, "memory": 134217728}'),
        ('{"cpu": 0.5, "memory": "1e8"}', '{"cpu": "1", "memory": "0.1Gi"}'),
        ('{"cpu": "2", "memory": "100M"}', '{"cpu": null, "memory": "1E"}'),
    ],
)
@pytest.mark.parametrize("helm", HELMS)
async def test_quantities_are_read_as_kubernetes_reads_them(helm: Helm, requests: str, limits: str) -> None:
    case = CASES["smallest"].having(resources__requests=requests, resources__limits=limits)
    assert await rendered(case, helm=helm)


@pytest.mark.parametrize("helm", HELMS)
async def test_native_sidecars_need_a_cluster_that_has_them(helm: Helm) -> None:
    said = await refusal(CASES["legacy-app"], "--kube-version=1.28.4", helm=helm)
    assert "cognitoSidecar.native: native sidecars need Kubernetes 1.29, and this is v1.28.4: set it to false" in said
    # Vendors put words after the number.
    for version in ("1.29.0-eks-a1b2c3d", "1.29.0", "1.37.2+k3s1"):
        assert await rendered(CASES["legacy-app"], f"--kube-version={version}", helm=helm)
    assert await rendered(CASES["consumer-before-1.29"], "--kube-version=1.25.0", helm=helm)
    assert await rendered(CASES["everything"], "--kube-version=1.25.0", helm=helm)


@pytest.mark.parametrize("helm", HELMS)
async def test_everything_comes_at_once_and_once(helm: Helm) -> None:
    mistaken = CASES["smallest"].having(
        existingSecret='""',
        replicas="1",
        podDisruptionBudget='{"maxUnavailable": null, "minAvailable": 1}',
        config__upstreams__orders__listen='"127.0.0.1:8080"',
        networkPolicy__enabled="false",
    )
    said = await refusal(mistaken, helm=helm)
    told = [line.split(":")[0] for line in said.splitlines() if line.startswith("  ")]
    assert [line.strip() for line in told] == [
        "config.upstreams.orders.auth.client_secret",
        "config.upstreams.orders.listen",
        "networkPolicy.enabled",
        "podDisruptionBudget.minAvailable",
    ]


async def test_what_is_said_is_right() -> None:
    # Each fix of a message above, taken at its word.
    key = f'{{"name": "X-Key", "value": {{"file": "{_SECRETS}/key"}}}}'
    deployment, sidecar = CASES["smallest"], CASES["legacy-app"]
    for case in (
        deployment.having(networkPolicy__enabled="false", anyCaller="true"),
        deployment.having(networkPolicy__enabled="false", config__require_header=key),
        deployment.having(
            config__upstreams__orders__url='"https://orders.test:8443"',
            networkPolicy__egressPorts="[443, 8443]",
            terminationGracePeriodSeconds="35",
            podDisruptionBudget='{"maxUnavailable": null, "minAvailable": "50%"}',
        ),
        sidecar.having(
            cognitoSidecar__extraEnv='[{"name": "CLIENT_ID", "value": "x"}]',
            cognitoSidecar__config__upstreams__orders__headers='{"set": {"X-Tenant": {"env": "CLIENT_ID"}}}',
            cognitoSidecar__config__upstreams__orders__listen='{"unix": "/run/cognito-sidecar/a.sock", "group": 2000}',
            cognitoSidecar__config__admin='{"listen": "0.0.0.0:9090"}',
            cognitoSidecar__prometheusAnnotations="true",
        ),
    ):
        assert await rendered(case)


@pytest.mark.parametrize("case", ["smallest", "legacy-app"])
@pytest.mark.parametrize(
    ("listen", "prefix", "told"),
    [
        ("0.0.0.0:8080", "/", True),
        ("0.0.0.0:8080", None, True),
        ("0.0.0.0:8080", "/billing", False),
        ("0.0.0.0:8081", "/", False),
    ],
)
async def test_two_upstreams_in_one_place_are_told(case: str, listen: str, prefix: str | None, *, told: bool) -> None:
    at = "" if case == "smallest" else "cognitoSidecar."
    values = yaml.safe_load(CASES["smallest"].values[0].read_text(encoding="utf-8"))
    other = {**values["config"]["upstreams"]["orders"], "listen": listen}
    if prefix is not None:
        other["prefix"] = prefix
    settings = {
        "config__upstreams__other": json.dumps(other),
        "config__upstreams__orders__listen": '"0.0.0.0:8080"',
        "config__allow_remote_clients": "true",
    }
    mistaken = CASES[case].having(**{at.replace(".", "__") + name: value for name, value in settings.items()})
    line = f"{at}config.upstreams.other.prefix: {at}config.upstreams.orders has the same listen and prefix: give one of"
    if told:
        assert line in await refusal(mistaken)
    else:
        assert await rendered(mistaken)


async def test_what_is_no_secret_may_stand_in_the_values() -> None:
    # Nor is a path with an @ a password, nor one on this machine a way over the network.
    case = CASES["smallest"].having(
        config__upstreams__orders__auth__extra_params='{"aws_client_metadata": "{}", "resource": "orders"}',
        config__upstreams__orders__headers='{"set": {"X-Tenant": "007", "X-Token-Type": "access"}}',
        config__upstreams__orders__url='"https://orders.test/@me"',
        config__token_cache='{"url": "rediss://cache.test", "username": "sidecar"}',
    )
    assert await rendered(case)
    for url in ("http://localhost:8000", "http://127.1.2.3", "http://[::1]:8000"):
        assert await rendered(CASES["legacy-app"].having(**{f"{_SIDECAR}__url": json.dumps(url)}))
    for insecure, url in (("true", "http://orders.test"), ("false", "https://orders.test")):
        settings = {f"{_SIDECAR}__url": json.dumps(url), f"{_SIDECAR}__allow_insecure": insecure}
        assert await rendered(CASES["legacy-app"].having(**settings))


async def test_a_socket_mount_without_a_socket_is_a_mistake() -> None:
    on_a_port = {f"{_SIDECAR}__listen": '"127.0.0.1:8080"', f"{_SIDECAR}__allow_peers__uids": "[]"}
    said = await refusal(CASES["cronjob"].having(**on_a_port))
    assert "cognitoSidecar.config.upstreams: cognito-sidecar.socketMount is for listeners on unix sockets" in said


@pytest.mark.parametrize("helm", HELMS)
async def test_a_dependency_without_its_alias_is_named(helm: Helm, tmp_path: Path) -> None:
    chart = tmp_path / "legacy-app"
    shutil.copytree(CASES["legacy-app"].path, chart)
    about = (chart / "Chart.yaml").read_text(encoding="utf-8")
    (chart / "Chart.yaml").write_text(about.replace("    alias: cognitoSidecar\n", ""), encoding="utf-8")
    (chart / "values.yaml").write_text("{replicas: 1, image: app}", encoding="utf-8")
    said = await refusal(Case(chart), helm=helm)
    assert "cognitoSidecar: there are no such values: give the dependency cognito-sidecar-lib `alias: cog" in said


@pytest.mark.parametrize("helm", HELMS)
async def test_no_upstream_is_said_in_words(helm: Helm) -> None:
    # A chart as it comes: what is missing first is what everything else would be about.
    said = await refusal(CASES["smallest"]._replace(values=()), helm=helm)
    assert "  config.upstreams: at least one upstream is needed: write it as in config.example.yaml\n" in said
