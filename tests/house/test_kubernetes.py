"""What can be known of the Kubernetes manifests without a cluster."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from app import __version__
from tests.house.container_files import ROOT, setting_names
from tests.house.test_docs import find_command

MANIFESTS = sorted((ROOT / "deploy/kubernetes").glob("*.yaml"))

every_manifest = pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)


def containers(node: Any) -> list[dict[str, Any]]:
    """The containers of a manifest, however deep they are."""
    if isinstance(node, dict):
        own = list(node.get("containers", []))
        return own + [one for value in node.values() for one in containers(value)]
    return [one for value in node for one in containers(value)] if isinstance(node, list) else []


@every_manifest
def test_a_manifest_starts_a_command_that_there_is_in_the_image_of_this_release(path: Any) -> None:
    found = [one for document in yaml.safe_load_all(path.read_text()) for one in containers(document)]

    assert found
    for container in found:
        assert container["image"] == f"itechsmart-license-server:{__version__}"
        words: list[str] = container["args"]
        options = {option for parameter in find_command(words).params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options
        assert {one["name"] for one in container.get("env", [])} <= setting_names()


def test_the_cron_job_looks_every_five_minutes_and_never_twice_at_once() -> None:
    spec = yaml.safe_load((ROOT / "deploy/kubernetes/cronjob-maintenance.yaml").read_text())["spec"]

    assert (spec["schedule"], spec["timeZone"], spec["concurrencyPolicy"]) == ("*/5 * * * *", "Etc/UTC", "Forbid")
    assert spec["jobTemplate"]["spec"]["backoffLimit"] == 0
    [container] = containers(spec)
    assert container["args"][:2] == ["schedules", "run-due"]


@pytest.mark.parametrize("name", ["ARCHIVE_DIR", "BACKUP_DIR"])
def test_what_the_cron_job_archives_and_backs_up_outlives_its_pod(name: str) -> None:
    manifest = yaml.safe_load((ROOT / "deploy/kubernetes/cronjob-maintenance.yaml").read_text())
    pod = manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    [container] = pod["containers"]

    claims = {volume["name"] for volume in pod["volumes"] if "persistentVolumeClaim" in volume}
    kept = [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] in claims]
    [folder] = [one["value"] for one in container["env"] if one["name"] == name]
    assert pod["securityContext"]["fsGroup"] == 10001
    assert any(folder.startswith(f"{path}/") for path in kept)
