"""What the charts render to, by Helm 3 and Helm 4: golden files, and what the pieces have to do with each other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.config.model import Shutdown
from proxy.version import __version__
from tests.helm import rig
from tests.helm.golden import GOLDEN
from tests.helm.rig import APPLICATION, CASES, CHART_CASES, EXAMPLES, HELMS, LIBRARY, Case, Helm


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize("name", CHART_CASES)
async def test_it_renders_to_its_golden_file(name: str, helm: Helm) -> None:
    assert rig.written(await rig.rendered(CASES[name], helm=helm)) == _golden(name), "see what changed: make golden"


@pytest.mark.parametrize("name", sorted(CASES.keys() - set(CHART_CASES)))
async def test_without_helm_too(name: str) -> None:
    assert rig.written(await rig.rendered(CASES[name])) == _golden(name), "see what changed: make golden"


def _golden(name: str) -> str:
    return (GOLDEN / f"{name}.yaml").read_text(encoding="utf-8")


def test_each_golden_file_is_compared() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == CASES.keys()


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize(
    "arguments",
    [
        (str(LIBRARY),),
        (str(APPLICATION),),  # without any values: for whoever lints what they downloaded
        *((str(CASES[name].path), *(f"--values={path}" for path in CASES[name].values)) for name in CHART_CASES),
    ],
    ids=lambda arguments: "-".join(Path(argument).stem for argument in arguments),
)
async def test_lint_has_nothing_to_say(helm: Helm, arguments: tuple[str, ...]) -> None:
    code, stdout, stderr = await rig.run(helm, "lint", "--strict", *arguments)
    assert code == 0, stderr.decode()
    said = [line for line in stdout.decode().splitlines() if line.startswith("[")]
    assert said == ["[INFO] Chart.yaml: icon is recommended"]


# ------------------------------------------------------------------------------------------------- how it is had


@pytest.mark.parametrize("helm", HELMS)
async def test_a_packaged_chart_is_whole(helm: Helm, tmp_path: Path) -> None:
    # Its library is a link in the repository, and has to be more than that in a package.
    packed = await rig.run(helm, "package", str(APPLICATION), "--destination", str(tmp_path))
    assert packed.code == 0, packed.stderr.decode()
    case = CASES["smallest"]._replace(path=tmp_path / f"cognito-sidecar-{__version__}.tgz")
    assert rig.written(await rig.rendered(case, helm=helm)) == _golden("smallest")


@pytest.mark.parametrize("helm", HELMS)
async def test_a_team_gets_the_library_by_its_dependency(helm: Helm, tmp_path: Path) -> None:
    shutil.copytree(LIBRARY, tmp_path / LIBRARY.name)
    chart = tmp_path / "examples" / "legacy-app"
    shutil.copytree(EXAMPLES / "legacy-app", chart, ignore=shutil.ignore_patterns("charts"))
    updated = await rig.run(helm, "dependency", "update", str(chart))
    assert updated.code == 0, updated.stderr.decode()
    assert [path.name for path in (chart / "charts").iterdir()] == [f"cognito-sidecar-lib-{__version__}.tgz"]
    assert rig.written(await rig.rendered(Case(chart), helm=helm)) == _golden("legacy-app")


@pytest.mark.parametrize("helm", HELMS)
async def test_both_charts_can_be_in_one_release(helm: Helm, tmp_path: Path) -> None:
    both = tmp_path / "shop"
    shutil.copytree(EXAMPLES / "legacy-app", both, symlinks=False)
    shutil.copytree(APPLICATION, both / "charts" / APPLICATION.name)
    about = yaml.safe_load((both / "Chart.yaml").read_text(encoding="utf-8"))
    about["dependencies"].append({"name": APPLICATION.name, "version": __version__})
    (both / "Chart.yaml").write_text(yaml.safe_dump(about), encoding="utf-8")
    (smallest,) = CASES["smallest"].values
    values = yaml.safe_load((both / "values.yaml").read_text(encoding="utf-8"))
    values[APPLICATION.name] = yaml.safe_load(smallest.read_text(encoding="utf-8"))
    (both / "values.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    found = await rig.rendered(Case(both), helm=helm)
    names = [(one["kind"], one["metadata"]["name"]) for one in found]
    assert len(rig.configurations(found)) == 2
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("chart", [LIBRARY, APPLICATION], ids=lambda chart: chart.name)
def test_a_chart_is_for_this_version_of_the_program(chart: Path) -> None:
    about = yaml.safe_load((chart / "Chart.yaml").read_text(encoding="utf-8"))
    assert (about["appVersion"], about["version"]) == (__version__, __version__)


async def test_the_image_is_of_that_version_unless_named() -> None:
    async def image(**settings: str) -> Any:
        (pod, _) = rig.pods(await rig.rendered(CASES["smallest"].having(**settings)))
        return rig.sidecar(pod)["image"]

    assert await image() == f"cognito-sidecar:{__version__}"
    assert await image(image__repository='"registry.test/sidecar"', image__tag='"2"') == "registry.test/sidecar:2"
    digest = f"sha256:{'0' * 64}"
    assert await image(image__tag='"2"', image__digest=f'"{digest}"') == f"cognito-sidecar@{digest}"


# ------------------------------------------------------------------------------------------------ the sidecar itself


async def test_without_helm_the_container_is_the_same() -> None:
    (pod,) = rig.pods(await rig.rendered(CASES["legacy-app"]))
    for other in ("plain", "kustomize"):
        for theirs in rig.pods(await rig.rendered(CASES[other])):
            assert rig.sidecar(theirs) == rig.sidecar(pod)
            names = {volume["name"]: volume for volume in theirs["volumes"]}
            assert names["cognito-sidecar-secret"]["secret"]["defaultMode"] == 0o444
            assert names.keys() == {volume["name"] for volume in pod["volumes"]}


async def test_the_component_is_for_every_kind_of_workload_that_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "kustomize"
    shutil.copytree(EXAMPLES / "kustomize", folder)
    (workload,) = yaml.safe_load_all((folder / "base" / "deployment.yaml").read_text(encoding="utf-8"))
    others = [
        {**workload, "kind": kind, "apiVersion": version, "metadata": {**workload["metadata"], "name": kind.lower()}}
        for kind, version in (("StatefulSet", "apps/v1"), ("DaemonSet", "apps/v1"), ("Job", "batch/v1"))
    ]
    unasked = {**workload, "metadata": {"name": "unasked"}}
    (folder / "base" / "deployment.yaml").write_text(yaml.safe_dump_all([workload, *others, unasked]), encoding="utf-8")
    found = await rig.rendered(Case(folder / "overlay"))
    has = {
        (one["kind"], one["metadata"]["name"]): pod["initContainers"][0]["name"] == "cognito-sidecar"
        for one in found
        for pod in rig.pods([one])
    }
    assert has == {
        ("CronJob", "nightly-export"): True,
        ("DaemonSet", "daemonset"): True,
        ("Deployment", "legacy-app"): True,
        ("Deployment", "unasked"): False,
        ("Job", "job"): True,
        ("StatefulSet", "statefulset"): True,
    }


@pytest.mark.parametrize("name", ["legacy-app", "cronjob", "consumer", "plain", "kustomize"])
async def test_a_native_sidecar_is_the_first_of_the_init_containers(name: str) -> None:
    for pod in rig.pods(await rig.rendered(CASES[name])):
        container = rig.sidecar(pod)
        assert pod["initContainers"][0] == container
        assert container["restartPolicy"] == "Always"
        assert container["startupProbe"]
        assert "lifecycle" not in container


async def test_before_native_sidecars_it_is_a_container_like_others() -> None:
    for pod in rig.pods(await rig.rendered(CASES["consumer-before-1.29"])):
        assert "initContainers" not in pod
        assert "restartPolicy" not in rig.sidecar(pod)


@pytest.mark.parametrize("name", ["legacy-app", "smallest"])
async def test_a_cluster_can_hand_out_the_user(name: str) -> None:
    # As OpenShift does, which refuses pods that ask for one.
    path = "cognitoSidecar__securityContext" if name == "legacy-app" else "securityContext"
    case = CASES[name].having(**{f"{path}__runAsUser": "null", f"{path}__runAsGroup": "null"})
    context = rig.sidecar(rig.pods(await rig.rendered(case))[0])["securityContext"]
    assert context.keys() & {"runAsUser", "runAsGroup"} == set()
    assert context["runAsNonRoot"] is True


async def test_it_is_the_image_s_user_and_program() -> None:
    image = (rig.ROOT / "Dockerfile").read_text(encoding="utf-8")
    (pod,) = rig.pods(await rig.rendered(CASES["legacy-app"]))
    container = rig.sidecar(pod)
    context = container["securityContext"]
    assert f"\nUSER {context['runAsUser']}:{context['runAsGroup']}\n" in image
    assert f'\nENTRYPOINT ["{container["startupProbe"]["exec"]["command"][0]}"]\n' in image
    assert "command" not in container


async def test_the_sidecar_alone_mounts_the_secret() -> None:
    for name in CASES:
        for pod in rig.pods(await rig.rendered(CASES[name])):
            containers = [*pod.get("initContainers", ()), *pod["containers"]]
            mounts = [
                (container["name"], mount)
                for container in containers
                for mount in container.get("volumeMounts", ())
                if mount["name"].startswith("cognito-sidecar-secret")
            ]
            assert {container for container, _ in mounts} <= {"cognito-sidecar"}
            # A subPath would never see a new secret.
            assert all(mount["readOnly"] and "subPath" not in mount for _, mount in mounts)


# ------------------------------------------------------------------------------------------------ the Deployment


@pytest.mark.parametrize("listen", ["unix:/run/cognito-sidecar/a.sock", {"unix": "/run/cognito-sidecar/a.sock"}])
async def test_an_admin_socket_has_a_place_and_is_asked_within_the_container(listen: Any) -> None:
    found = await rig.rendered(CASES["smallest"].having(config__admin=json.dumps({"listen": listen})))
    (pod,) = rig.pods(found)  # and none of `helm test`, which would be another
    assert rig.writable(pod) == {"/run/cognito-sidecar"}
    container = rig.sidecar(pod)
    assert all("exec" in container[f"{kind}Probe"] for kind in ("startup", "liveness", "readiness"))
    assert [port["name"] for port in container["ports"]] == ["http-8080"]


async def test_autoscaling_leaves_replicas_alone() -> None:
    for enabled in ("true", "false"):
        found = await rig.rendered(CASES["smallest"].having(autoscaling__enabled=enabled))
        (deployment,) = (one for one in found if one["kind"] == "Deployment")
        assert ("replicas" in deployment["spec"]) is (enabled == "false")
        assert ("HorizontalPodAutoscaler" in {one["kind"] for one in found}) is (enabled == "true")


@pytest.mark.parametrize(
    ("shutdown", "seconds"),
    [("{}", 35), ('{"delay": "0s"}', 30), ('{"delay": 1.5, "grace": "2m"}', 127), ('{"grace": "250ms"}', 11)],
)
async def test_a_pod_has_the_time_that_its_end_takes(shutdown: str, seconds: int) -> None:
    (pod, _) = rig.pods(await rig.rendered(CASES["smallest"].having(config__shutdown=shutdown)))
    assert pod["terminationGracePeriodSeconds"] == seconds
    assert float(Shutdown().grace) == 25  # which the chart assumes where nothing is said


@pytest.mark.parametrize(
    ("url", "ports"),
    [
        ("redis://cache.example", [6379]),
        ("rediss://cache.example:6380/2", [6380]),
        ("rediss://[2001:db8::1]:6380", [6380]),
        ("rediss+cluster://cache.example:7000", [7000]),
        ("redis+sentinel://a.example:5000,b.example/mymaster", [5000, 26379, 6379]),
        ("unix:///run/cache.sock", None),
    ],
)
async def test_the_engine_of_the_token_cache_may_be_reached(url: Any, ports: list[int] | None) -> None:
    case = CASES["smallest"].having(config__token_cache=json.dumps({"url": url}))
    (policy,) = (one for one in await rig.rendered(case) if one["kind"] == "NetworkPolicy")
    rules = [[port["port"] for port in rule["ports"]] for rule in policy["spec"]["egress"]]
    assert rules == [[53, 53], [443], *([] if ports is None else [ports])]


@pytest.mark.parametrize(
    "url", [{"file": "/var/run/secrets/cognito-sidecar/cache_url"}, "redis+sentinel://a.example/mymaster"]
)
async def test_the_engine_s_ports_can_be_named(url: Any) -> None:
    case = CASES["smallest"].having(
        config__token_cache=json.dumps({"url": url}),
        networkPolicy__tokenCachePorts="[26380, 6380]",
        networkPolicy__tokenCacheTo='[{"ipBlock": {"cidr": "192.0.2.0/24"}}]',
    )
    (policy,) = (one for one in await rig.rendered(case) if one["kind"] == "NetworkPolicy")
    peers = [{"ipBlock": {"cidr": "192.0.2.0/24"}}]
    assert policy["spec"]["egress"][2:] == [{"ports": [{"port": 26380}, {"port": 6380}], "to": peers}]


async def test_helm_test_asks_the_pods_that_are_not_ready() -> None:
    found = await rig.rendered(CASES["smallest"])
    (test,) = (one for one in found if one["kind"] == "Pod")
    (deployment,) = (one for one in found if one["kind"] == "Deployment")
    service, own = sorted((one for one in found if one["kind"] == "Service"), key=rig.of_helm_test, reverse=True)
    assert rig.of_helm_test(service)
    spec = service["spec"]
    assert spec["publishNotReadyAddresses"] is True
    assert spec["selector"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    (port,) = spec["ports"]
    assert test["spec"]["containers"][0]["args"][-1] == f"{service['metadata']['name']}.shop:{port['port']}"
    # It is there first, and is neither where callers come nor what Prometheus would scrape twice.
    weights = [int(one["metadata"]["annotations"].get("helm.sh/hook-weight", "0")) for one in (service, test)]
    assert weights[0] < weights[1]
    assert "publishNotReadyAddresses" not in own["spec"]
    assert not own["spec"]["selector"].items() <= service["metadata"]["labels"].items()


@pytest.mark.parametrize("admin", ["0.0.0.0:9090", "127.0.0.1:9090"])
async def test_a_pod_for_others_is_not_begun_anew_for_lack_of_a_token(admin: str) -> None:
    found = await rig.rendered(CASES["smallest"].having(config__admin__listen=json.dumps(admin)))
    container = rig.sidecar(rig.pods(found)[0])
    asked = [json.dumps(container[f"{kind}Probe"]) for kind in ("startup", "liveness", "readiness")]
    assert ["live" in one for one in asked] == [True, True, False]
    assert "ready" in asked[2]


async def test_helm_test_gets_in_whoever_else_may_read_metrics() -> None:
    monitoring = '[{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]'
    found = await rig.rendered(CASES["smallest"].having(networkPolicy__metricsFrom=monitoring))
    (policy,) = (one for one in found if one["kind"] == "NetworkPolicy")
    (test,) = (one for one in found if one["kind"] == "Pod")
    calls, metrics = policy["spec"]["ingress"]
    assert metrics["ports"] == [{"port": "cognito-metrics"}]
    namespaces, pods = metrics["from"]
    assert namespaces == json.loads(monitoring)[0]
    assert pods["podSelector"]["matchLabels"].items() <= test["metadata"]["labels"].items()
    assert pods not in calls["from"]


async def test_no_ports_are_not_all_ports() -> None:
    # A rule without ports, which Kubernetes reads as any port of any address, is not what an empty list asks for.
    case = CASES["smallest"].having(
        config__upstreams__orders__url='{"env": "URL"}',
        config__upstreams__orders__auth__token_url='{"env": "TOKEN_URL"}',
        extraEnv='[{"name": "URL", "value": "https://a.test"}, {"name": "TOKEN_URL", "value": "https://b.test"}]',
        networkPolicy='{"egressPorts": [], "extraEgress": [{"ports": [{"port": 8443}]}]}',
    )
    (policy,) = (one for one in await rig.rendered(case) if one["kind"] == "NetworkPolicy")
    assert [[port["port"] for port in rule["ports"]] for rule in policy["spec"]["egress"]] == [[53, 53], [8443]]


async def test_an_upgrade_keeps_the_selectors() -> None:
    # What selects pods can never be changed: Kubernetes refuses the upgrade.
    def selectors(found: list[rig.Document]) -> list[Any]:
        kinds = ("Deployment", "PodDisruptionBudget", "NetworkPolicy", "Service")
        specs = {one["kind"]: one["spec"] for one in found if one["kind"] in kinds and not rig.of_helm_test(one)}
        return [specs[kind].get("selector") or specs[kind]["podSelector"] for kind in kinds]

    before = await rig.rendered(CASES["smallest"])
    everything = CASES["everything"]._replace(release=CASES["smallest"].release)
    after = await rig.rendered(everything)
    assert selectors(after) == selectors(before)
    # The Service finds the pods, labels that somebody adds or not.
    (deployment,) = (one for one in after if one["kind"] == "Deployment")
    assert selectors(after)[3].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()


async def test_no_pod_template_changes_with_the_configuration() -> None:
    # The sidecar reads it anew by itself; a restart would cost every connection.
    case = CASES["legacy-app"]
    before = await rig.rendered(case)
    after = await rig.rendered(case.having(cognitoSidecar__config__log='{"level": "debug"}'))
    assert rig.pods(before) == rig.pods(after)
    assert rig.configurations(before) != rig.configurations(after)


async def _notes(case: Case) -> str:
    ran = await rig.run(
        "helm4",  # Helm 3 asks a cluster even for a rehearsal
        *("install", case.release, str(case.path), "--namespace", rig.NAMESPACE),
        *(f"--values={path}" for path in case.values),
        *(f"--set-json={name}={value}" for name, value in case.settings),
        "--dry-run=client",
    )
    assert ran.code == 0, ran.stderr.decode()
    return ran.stdout.decode().partition("NOTES:")[2]


async def test_the_notes_say_what_to_do() -> None:
    notes = await _notes(CASES["namespace"])
    assert "orders: http://orders-api-cognito-sidecar.shop:8080/\n" in notes
    assert "billing: http://orders-api-cognito-sidecar.shop:8080/billing\n" in notes
    assert "Callers need no credentials but the header X-Sidecar-Key. From the pods" in notes
    assert '  curl --header "X-Sidecar-Key: $KEY"' in notes
    assert "$KEY is the key caller_key of the Secret orders-callers:\n" in notes
    assert """'go-template={{index .data "caller_key" | base64decode}}'\n""" in notes
    assert "without the key caller_key in it" in notes
    assert "without the keys client_id, client_secret in it" in notes
    assert "describe secret billing-cognito" in notes
    assert (
        "helm --namespace shop test orders-api ||\n  kubectl --namespace shop logs orders-api-cognito-sidecar-ready"
        in notes
    )
    assert "In no volume of this chart" not in notes


async def test_the_notes_speak_of_what_there_is() -> None:
    notes = await _notes(
        CASES["smallest"].having(
            config__admin__listen='"unix:/run/cognito-sidecar/admin.sock"',
            config__upstreams__orders__tls='{"cert_file": "/vault/secrets/tls.pem"}',
        )
    )
    assert "Callers need no credentials. From the pods that" in notes
    assert "403" not in notes
    assert "without the key client_secret in it" in notes
    assert "for the image or an injector to bring:\n  /vault/secrets/tls.pem\n" in notes
    assert "exec deployment/cognito-sidecar -- cognito-sidecar healthcheck --ready" in notes
    assert "helm --namespace" not in notes  # which would find nothing to run
