"""Renders deploy/kubernetes with kubectl's kustomize, and finds its objects."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from support.checkout import CHECKOUT
from support.new_secrets import new_secrets

Object = dict[str, Any]
_SECRETS = "/run/secrets/"


@dataclass(frozen=True)
class Manifests:
    """The rendered objects of one folder."""

    objects: list[Object]

    def all(self, kind: str) -> dict[str, Object]:
        """Return the objects of a kind by name."""
        return {one["metadata"]["name"]: one for one in self.objects if one["kind"] == kind}

    def containers(self) -> dict[str, Object]:
        """Return the container of each Deployment, by the Deployment's name without `gatepost-`."""
        found = {name: pod(one)["containers"] for name, one in self.all("Deployment").items()}
        return {name.removeprefix("gatepost-"): only for name, [only] in found.items()}

    def selected(self, selector: Object) -> set[str]:
        """Return the Deployments whose pods a selector of labels matches."""
        deployments = self.all("Deployment").items()
        return {name.removeprefix("gatepost-") for name, one in deployments if matches(selector, labels_of_pods(one))}

    def environment(self, name: str) -> dict[str, str]:
        """Return the variables of a Deployment's container; the pod's address is 127.0.0.1."""
        container = self.containers()[name]
        settings = self.all("ConfigMap")
        given: dict[str, str] = {}
        for source in container.get("envFrom", ()):
            given |= settings[source["configMapRef"]["name"]]["data"]
        for one in container.get("env", ()):
            given[one["name"]] = one["value"] if "value" in one else _field(one["valueFrom"]["fieldRef"]["fieldPath"])
        return given

    def mounted_secrets(self, name: str) -> dict[str, set[str]]:
        """Return the paths at which a Deployment mounts Secrets, with the names of the files there."""
        deployment = self.all("Deployment")[f"gatepost-{name}"]
        secrets = {one["metadata"]["name"]: set(one["data"]) for one in self.objects if one["kind"] == "Secret"}
        volumes = {
            one["name"]: {item["path"] for item in one["secret"].get("items", ())}
            or secrets[one["secret"]["secretName"]]
            for one in pod(deployment)["volumes"]
            if "secret" in one
        }
        mounts = self.containers()[name]["volumeMounts"]
        return {one["mountPath"]: volumes[one["name"]] for one in mounts if one["name"] in volumes}


def pod(deployment: Object) -> Object:
    """Return the specification of a Deployment's pods."""
    found: Object = deployment["spec"]["template"]["spec"]
    return found


def labels_of_pods(deployment: Object) -> dict[str, str]:
    """Return the labels of a Deployment's pods."""
    found: dict[str, str] = deployment["spec"]["template"]["metadata"]["labels"]
    return found


def matches(selector: Object, labels: dict[str, str]) -> bool:
    """Whether a selector with `matchLabels` and `In` expressions matches."""
    expressions = selector.get("matchExpressions", ())
    assert all(one["operator"] == "In" for one in expressions)
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(one["key"]) in one["values"] for one in expressions
    )


def copied(directory: Path) -> Path:
    """Return a copy of deploy/kubernetes with new secrets in the example."""
    place = directory / "kubernetes"
    shutil.copytree(CHECKOUT / "deploy" / "kubernetes", place)
    new_secrets(place / "example" / "secrets")
    (place / "example" / "secrets" / "console_client").write_text("the console's at its provider", encoding="utf-8")
    return place


def example_beside(folder: Path, name: str) -> Path:
    """Return a copy of the example beside it."""
    place = folder / name
    shutil.copytree(folder / "example", place)
    return place


def with_options(folder: Path, name: str = "example-with-options") -> Path:
    """Return a copy of the example beside it, in which the optional lines are no comments."""
    place = example_beside(folder, name)
    file = place / "kustomization.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(re.sub(r"^# ( {2,}.*|components:)$", r"\1", text, flags=re.MULTILINE), encoding="utf-8")
    return place


def rendered(folder: Path) -> Manifests:
    """Return the objects that `kubectl apply -k` would send."""
    kubectl = Path(sys.executable).with_name("kubectl")
    done = subprocess.run(
        [kubectl, "kustomize", folder],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.defpath, "HOME": str(folder)},
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return Manifests(list(yaml.safe_load_all(done.stdout)))


def _field(path: str) -> str:
    assert path == "status.podIP"
    return "127.0.0.1"
