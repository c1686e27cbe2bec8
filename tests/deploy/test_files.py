"""The files in deploy/ are what their own linters take, and agree with the program that they start."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from core.settings import Settings
from tests.deploy.commands import verbs

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
OURS = ("workbench", "worker", "scorer")
VARIABLES = {f"WORKBENCH_{name.upper()}" for name in Settings.model_fields} | {"WORKBENCH_SECRETS_FOLDER"}


def need(program: str) -> str:
    """Return where a linter is; without one the test is skipped by name, and in CI, which installs them, it fails."""
    found = shutil.which(program)
    if found is None and os.environ.get("CI"):
        pytest.fail(f"{program} is not installed")
    if found is None:
        pytest.skip(f"{program} is not on this machine")
    return found


def manifests() -> Iterator[dict[str, Any]]:
    for path in MANIFESTS:
        if path.name != "kustomization.yaml":
            yield from yaml.safe_load_all(path.read_text())


def pods() -> dict[str, dict[str, Any]]:
    return {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]
        for one in manifests()
        if one["kind"] in {"Deployment", "StatefulSet"}
    }


def test_compose_follows_its_specification(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    for content, is_right in ((COMPOSE, True), ({**COMPOSE, "service": {}}, False)):
        path = tmp_path / "compose.json"
        path.write_text(json.dumps(content))
        ended = subprocess.run([*command, str(path)], capture_output=True, text=True, env=environment, check=False)
        assert (ended.returncode == 0) == is_right, ended.stdout + ended.stderr


@pytest.mark.parametrize("manifest", list(manifests()), ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_kubernetes_takes_each_manifest(manifest: dict[str, Any]) -> None:
    for version in ("1.29", kubernetes_validate.latest_version()):
        kubernetes_validate.validate(manifest, version, strict=True)
    broken = {**manifest, "spec": {**manifest.get("spec", {}), "replica": 2}}
    if manifest["kind"] != "Namespace":
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(broken, "1.29", strict=True)


def test_the_kustomization_names_every_manifest() -> None:
    named = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())["resources"]
    assert sorted([*named, "kustomization.yaml"]) == [path.name for path in MANIFESTS]


def test_kubectl_builds_the_kustomization() -> None:
    built = subprocess.run(
        [need("kubectl"), "kustomize", str(DEPLOY / "kubernetes")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    kinds = sorted(one["kind"] for one in yaml.safe_load_all(built.stdout))
    assert kinds == sorted(one["kind"] for one in manifests())


def test_shellcheck_takes_each_script() -> None:
    scripts = [*DEPLOY.glob("*.sh"), *(DEPLOY.parent / "docs" / "examples").glob("*.sh")]
    assert len(scripts) >= 4
    ended = subprocess.run(
        [need("shellcheck"), *map(str, scripts)], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stdout


def test_systemd_takes_each_unit(tmp_path: Path) -> None:
    analyze = need("systemd-analyze")
    program = tmp_path / "workbench"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for path in UNITS:
        content = path.read_text().replace("/opt/workbench/bin/workbench", str(program))
        (tmp_path / path.name).write_text(content)
    command = [analyze, "verify", "--man=no", "--recursive-errors=no", *(str(tmp_path / path.name) for path in UNITS)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    ours = [line for line in ended.stderr.splitlines() if str(tmp_path) in line or "workbench" in line]
    assert (ended.returncode, ours) == (0, []), ended.stderr


def test_every_command_is_one_of_the_program() -> None:
    started = [COMPOSE["services"][name]["command"] for name in OURS]
    started += [container["args"] for name, pod in pods().items() if name in OURS for container in pod["containers"]]
    started += [
        re.search(r"^ExecStart=/opt/workbench/bin/(.*)$", path.read_text(), re.MULTILINE)[1].split() for path in UNITS
    ]
    started += [json.loads(found) for found in re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)]
    assert len(started) == 3 + 3 + 3 + 2
    assert {command[0] for command in started} == {"workbench"}
    assert {command[1] for command in started} <= verbs()


def test_every_variable_is_one_that_is_read() -> None:
    text = "".join(path.read_text() for path in [*MANIFESTS, *UNITS, DEPLOY / "compose.yaml", DEPLOY / "Dockerfile"])
    assert set(re.findall(r"WORKBENCH_[A-Z_]+", text)) <= VARIABLES


def test_each_part_takes_further_settings_from_one_place() -> None:
    """So that a time zone, months of the score log or a scheduler need no change of the files here."""
    for name in OURS:
        assert COMPOSE["services"][name]["env_file"] == [{"path": "workbench.env", "required": False}]
        (container,) = pods()[name]["containers"]
        assert container["envFrom"] == [{"configMapRef": {"name": "workbench-settings", "optional": True}}]
    assert all("EnvironmentFile=-/etc/workbench/environment" in path.read_text().splitlines() for path in UNITS)


def test_every_setting_stands_in_the_table_of_settings() -> None:
    rows = re.findall(r"^\| (`WORKBENCH_.*?) \|", (ROOT / "docs" / "operations.md").read_text("utf-8"), re.MULTILINE)
    stated = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert stated >= VARIABLES - {"WORKBENCH_SECRETS_FOLDER"}


def test_nothing_of_ours_runs_as_root_or_can_write_where_it_need_not() -> None:
    for name in OURS:
        service = COMPOSE["services"][name]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert not service["user"].startswith("0")
    for pod in pods().values():
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            inside = container["securityContext"]
            assert inside["readOnlyRootFilesystem"]
            assert inside["allowPrivilegeEscalation"] is False
            assert inside["capabilities"] == {"drop": ["ALL"]}
    for path in UNITS:
        lines = path.read_text().splitlines()
        assert {"User=workbench", "ProtectSystem=strict", "NoNewPrivileges=true", "CapabilityBoundingSet="} <= set(
            lines
        )
    for image in ("workbench", "scorer"):
        stage = re.search(rf"^FROM base AS {image}$(.*?)(?=^FROM|\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL)[1]
        assert re.search(r"^USER 10001:10001$", stage, re.MULTILINE)


def test_secrets_come_by_file_and_never_stand_in_a_file_here() -> None:
    for name in OURS:
        assert {"workbench_database_url", "workbench_secret_key"} <= set(COMPOSE["services"][name]["secrets"])
    for pod in pods().values():
        for container in pod["containers"]:
            assert not any("secretKeyRef" in str(one.get("valueFrom")) for one in container.get("env", ()))
    text = "".join(path.read_text() for path in DEPLOY.rglob("*") if path.is_file())
    assert not re.search(r"PASSWORD\s*[:=]\s*['\"]?\w", text)
    assert not re.search(r"DATABASE_URL\s*[:=]", text)


def test_what_listens_is_probed_where_it_answers_and_everything_asks_for_resources() -> None:
    for name, pod in pods().items():
        for container in pod["containers"]:
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert "memory" in container["resources"]["limits"]
            probes = {kind for kind in ("startupProbe", "readinessProbe", "livenessProbe") if kind in container}
            assert len(probes) == (0 if name == "worker" else 3)
    scorer = pods()["scorer"]["containers"][0]
    assert scorer["readinessProbe"]["httpGet"]["path"] == "/readyz"
    # A scorer whose registry is away goes on answering: it must not be killed for it.
    assert scorer["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_a_stop_is_given_the_time_that_the_service_takes() -> None:
    from serving.workers import STOP_SECONDS

    stops = [
        float(COMPOSE["services"]["scorer"]["stop_grace_period"].removesuffix("s")),
        float(pods()["scorer"]["terminationGracePeriodSeconds"]),
        float(re.search(r"TimeoutStopSec=(\d+)", (DEPLOY / "systemd" / "workbench-scorer.service").read_text())[1]),
    ]
    assert min(stops) > STOP_SECONDS


def test_compose_itself_takes_the_file() -> None:
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip("docker compose is not on this machine; the file is held against its specification above")
    subprocess.run(["docker", "compose", "-f", str(DEPLOY / "compose.yaml"), "config", "-q"], check=True)
