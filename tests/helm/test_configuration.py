"""The configuration that ends up in a pod is one that the sidecar there takes, and what it reads is mounted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from proxy.cli.finding import admin_target
from proxy.config import load
from proxy.config.model import Value
from tests.certificates import Authority
from tests.helm import rig
from tests.helm.rig import CASES, Document
from tests.processes import run_command

WITH_SIDECAR = [name for name in CASES if name != "monitoring"]


class Placed(NamedTuple):
    """A pod's sidecar as its files and variables make it, in a folder instead of a container."""

    container: Document
    config_file: Path
    env: dict[str, str]


def _place(pod: Document, found: list[Document], folder: Path) -> Placed:
    """Lay out what the pod mounts. A path that no volume is mounted at fails the test."""
    container = rig.sidecar(pod)
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounted = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
    maps = {one["metadata"]["name"]: one["data"] for one in found if one["kind"] == "ConfigMap" and "data" in one}
    text = maps[mounted["/etc/cognito-sidecar"]["configMap"]["name"]]["config.yaml"]
    authority = Authority(folder, "authority")
    certificate = authority.issue("client.test")
    pems = {"ca.crt": authority.ca_file, "tls.crt": certificate.cert, "tls.key": certificate.key}

    def placed(match: re.Match[str]) -> str:
        path = Path(match[2])
        assert any(path.is_relative_to(place) for place in mounted), f"{path} is in no volume of the container"
        local = folder / path.relative_to("/")
        local.parent.mkdir(parents=True, exist_ok=True)
        local.write_bytes(Path(pems[path.name]).read_bytes() if path.name in pems else b"a-value\n")
        return f"{match[1]}{local}"

    config_file = folder / "config.yaml"
    config_file.write_text(re.sub(r"((?:file|ca_file|cert_file|key_file): )(/[^\s}]+)", placed, text), encoding="utf-8")
    env = {one["name"]: one["value"] for one in container.get("env", ())}
    return Placed(container, config_file, env)


@pytest.mark.parametrize("name", WITH_SIDECAR)
async def test_check_has_nothing_to_say(name: str, tmp_path: Path) -> None:
    found = await rig.rendered(CASES[name])
    placed, configurations = [], set()
    for number, pod in enumerate(rig.pods(found)):
        if any(
            container["name"] == "cognito-sidecar" for container in [*pod.get("initContainers", ()), *pod["containers"]]
        ):
            (tmp_path / str(number)).mkdir()
            placed.append(_place(pod, found, tmp_path / str(number)))
            volumes = {volume["name"]: volume for volume in pod["volumes"]}
            configurations.add(volumes["cognito-sidecar-config"]["configMap"]["name"])
    assert len(configurations) == len(rig.configurations(found))
    for one in placed:
        code, stdout, stderr = await run_command("check", "--config", str(one.config_file), env=one.env)
        assert code == 0, (stdout + stderr).decode()
        _assert_ports(one.container, one.config_file)


def _assert_ports(container: Document, config_file: Path) -> None:
    """Probes by HTTP, and Prometheus, come to the port that the configuration says."""
    admin = admin_target(None, str(config_file))
    ports = {port["name"]: port["containerPort"] for port in container.get("ports", ())}
    if "httpGet" in container["startupProbe"]:
        assert ports["cognito-metrics"] == admin.port
        assert yaml.safe_load(config_file.read_text())["admin"]["listen"].startswith(("0.0.0.0:", "[::]:"))
    else:
        assert "cognito-metrics" not in ports


async def test_values_arrive_as_they_were_written(tmp_path: Path) -> None:
    # On their way they are YAML, JSON, Go's numbers and YAML again.
    found = await rig.rendered(CASES["consumer"])
    web, worker = rig.pods(found)
    placed = _place(web, found, tmp_path)
    config = load(str(placed.config_file), environ=placed.env).config
    orders, billing = config.upstreams["orders"], config.upstreams["billing"]
    assert orders.max_body == 10_485_760
    assert (float(orders.timeouts.connect), float(orders.timeouts.response)) == (0.5, 3600)
    assert billing.auth.extra_params == {"file": Value("yes")}
    assert {name: value.reveal() for name, value in orders.headers.set.items()} == {
        "X-Tenant": "007",
        "env": "a header of that name",
    }
    assert (billing.listen.unix, len(orders.auth.client_secret)) == ("/run/cognito-sidecar/billing.sock", 2)
    (tmp_path / "worker").mkdir()
    other = load(str(_place(worker, found, tmp_path / "worker").config_file), environ={}).config
    assert other.upstreams["orders"].auth.client_id.reveal() == "0123"


@pytest.mark.parametrize("name", ["smallest", "namespace"])
async def test_the_service_s_names_pass_the_guard(name: str, tmp_path: Path) -> None:
    found = await rig.rendered(CASES[name])
    config = load(str(_place(rig.pods(found)[0], found, tmp_path).config_file), environ={}).config
    (service,) = (one["metadata"]["name"] for one in found if one["kind"] == "Service" and not rig.of_helm_test(one))
    names = [service, f"{service}.shop", f"{service}.shop.svc", f"{service}.shop.svc.cluster.local"]
    for upstream in config.upstreams.values():
        assert list(upstream.hosts) == names
