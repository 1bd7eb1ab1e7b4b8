"""deploy/kubernetes: valid objects that fit together, confined as the services of docker-compose.yml."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import kubernetes_validate
import pytest
from pydantic import BaseModel, ConfigDict

from gatepost_core.kinds import Queue
from gatepost_core.settings import environment_names
from gatepost_operations.monitoring import names as metrics
from support.checkout import CHECKOUT
from support.dockerfile import read_stages
from support.kubernetes_manifests import Manifests, Object, copied, labels_of_pods, matches, pod, rendered

if TYPE_CHECKING:
    from pathlib import Path

    from support.compose_file import Service

# The oldest and the newest that the manifests support.
VERSIONS = ("1.29", "1.37")
OF_OTHERS = {"redis", "kube-dns", "prometheus"}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Target(_Strict):
    name: str


class _Fallback(_Strict):
    failureThreshold: int  # noqa: N815 - KEDA's name
    replicas: int


class _Trigger(_Strict):
    type: Literal["prometheus"]
    metadata: dict[str, str]


class ScaledObject(_Strict):
    """The part of KEDA's ScaledObject, keda.sh/v1alpha1, that is used here."""

    scaleTargetRef: _Target  # noqa: N815 - KEDA's name
    minReplicaCount: int  # noqa: N815 - as above
    maxReplicaCount: int  # noqa: N815 - as above
    pollingInterval: int  # noqa: N815 - as above
    advanced: dict[str, Any]
    fallback: _Fallback
    triggers: list[_Trigger]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of deploy/kubernetes, with secrets."""
    return copied(tmp_path_factory.mktemp("manifests"))


@pytest.fixture(scope="module")
def example(folder: Path) -> Manifests:
    """The example as it is."""
    return rendered(folder / "example")


@pytest.fixture(scope="module")
def scaled(folder: Path) -> Manifests:
    """The example with the component for KEDA, whose lines are comments in it."""
    file = folder / "example" / "kustomization.yaml"
    before = file.read_text(encoding="utf-8")
    file.write_text(before.replace("# components:\n#   - ", "components:\n  - "), encoding="utf-8")
    found = rendered(folder / "example")
    file.write_text(before, encoding="utf-8")
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_fits_the_schema_of_kubernetes(scaled: Manifests, version: str) -> None:
    """Strictly: a misspelt field is an error. KEDA's object has a schema of its own here."""
    of_keda = [one for one in scaled.objects if one["apiVersion"] == "keda.sh/v1alpha1"]
    for one in scaled.objects:
        if one not in of_keda:
            kubernetes_validate.validate(one, version, strict=True)

    assert len(scaled.objects) > len(of_keda) == 1
    assert ScaledObject.model_validate(of_keda[0]["spec"])


def test_the_base_stands_alone(folder: Path) -> None:
    """It has all Deployments, and neither a tenant nor a secret."""
    base = rendered(folder / "base")
    settings = {name for one in base.all("ConfigMap").values() for name in one["data"]}

    assert set(base.containers()) == {"worker", "worker-bulk", "beat", "metrics", "operator"}
    assert settings == {"GATEPOST_NAMESPACE"}
    assert base.all("Secret") == {}


def test_each_selector_finds_the_pods_that_it_means(example: Manifests) -> None:
    """A Deployment finds its own pods and no others, and each policy and budget finds at least one Deployment."""
    deployments = example.all("Deployment")
    found = {name: example.selected(one["spec"]["selector"]) for name, one in deployments.items()}
    budgets = {
        name: example.selected(one["spec"]["selector"]) for name, one in example.all("PodDisruptionBudget").items()
    }
    policies = [example.selected(one["spec"]["podSelector"]) for one in example.all("NetworkPolicy").values()]
    spreads = [
        matches(spread["labelSelector"], labels_of_pods(one))
        for one in deployments.values()
        for spread in pod(one).get("topologySpreadConstraints", ())
    ]

    assert found == {name: {name.removeprefix("gatepost-")} for name in deployments}
    assert budgets == {f"gatepost-{name}": {name} for name in ("worker", "worker-bulk")}
    assert all(policies)
    assert spreads == [True, True]


def test_every_name_that_is_used_exists(example: Manifests) -> None:
    """ConfigMaps, Secrets with their files, volumes, service accounts and ports; and each variable is a setting."""
    settings = set(environment_names())
    known = settings | {f"{name}_FILE" for name in settings}
    accounts = set(example.all("ServiceAccount"))
    for name, container in example.containers().items():
        deployment = example.all("Deployment")[f"gatepost-{name}"]
        environment = example.environment(name)
        files = {f"{path}/{file}" for path, names in example.mounted_secrets(name).items() for file in names}
        named = {value for variable, value in environment.items() if variable.endswith("_FILE")}
        volumes = {one["name"] for one in pod(deployment)["volumes"]}
        ports = {one["name"] for one in container.get("ports", ())}
        probes = [container[kind] for kind in ("readinessProbe", "livenessProbe") if kind in container]
        probed = {one[kind]["port"] for one in probes for kind in ("httpGet", "tcpSocket") if kind in one}

        assert environment.keys() <= known, name
        assert named == files, name
        assert {one["name"] for one in container["volumeMounts"]} == volumes, name
        assert pod(deployment)["serviceAccountName"] in accounts
        assert probed <= ports, name
        assert all(isinstance(value, str) for value in environment.values())


def test_there_is_exactly_one_scheduler(scaled: Manifests) -> None:
    """One replica, the old pod ends before the new one starts, no budget blocks a drain, and nothing scales it."""
    beat = scaled.all("Deployment")["gatepost-beat"]

    assert (beat["spec"]["replicas"], beat["spec"]["strategy"]) == (1, {"type": "Recreate"})
    assert "gatepost-beat" not in scaled.all("PodDisruptionBudget")
    assert [one["spec"]["scaleTargetRef"]["name"] for one in scaled.all("ScaledObject").values()] == [
        "gatepost-worker-bulk"
    ]


def test_pods_are_confined_as_the_services_of_compose(example: Manifests, services: dict[str, Service]) -> None:
    """The image's user, a read-only file system but for /tmp, no capability, no token of Kubernetes, a limit of memory."""
    user = read_stages((CHECKOUT / "Dockerfile").read_text(encoding="utf-8"))["runtime"].all("USER")[0].split(":")
    for deployment in example.all("Deployment").values():
        context = pod(deployment)["securityContext"]
        [container] = pod(deployment)["containers"]
        writable = [one["mountPath"] for one in container["volumeMounts"] if not one.get("readOnly")]

        assert [str(context["runAsUser"]), str(context["runAsGroup"])] == user
        assert context["runAsNonRoot"]
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert writable == services["worker"].definition["tmpfs"]
        assert pod(deployment)["automountServiceAccountToken"] is False
        assert container["resources"]["limits"].keys() == {"memory"}
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    assert example.all("Namespace")["gatepost"]["metadata"]["labels"] == {
        "pod-security.kubernetes.io/enforce": "restricted"
    }


def test_a_stop_takes_as_long_as_in_compose(example: Manifests, services: dict[str, Service]) -> None:
    """Calls under way finish and are settled before the kubelet kills the process."""
    common = ("worker", "worker-bulk", "beat")
    graces = {
        name: pod(example.all("Deployment")[f"gatepost-{name}"])["terminationGracePeriodSeconds"] for name in common
    }

    assert graces == {name: services[name].grace_s for name in common}


def test_only_workers_and_operators_hold_keys_and_the_credential(example: Manifests) -> None:
    """Beat and metrics mount the URLs of Redis and the broker alone. Whole directories, so that a new secret appears in them."""
    holders = {name for name in example.containers() if "/run/secrets/gatepost-keys" in example.mounted_secrets(name)}
    mounts = [one for container in example.containers().values() for one in container["volumeMounts"]]

    assert holders == {"worker", "worker-bulk", "operator"}
    assert example.mounted_secrets("beat").keys() == {"/run/secrets/gatepost-redis"}
    assert not any("subPath" in one for one in mounts)


def test_a_pod_reaches_only_what_it_needs(example: Manifests) -> None:
    """Redis and names for all, Auth0 for those who call it, and Prometheus comes in; nothing else does."""
    out = {name: _reached(example, name, "egress") for name in example.containers()}
    into = {name: _reached(example, name, "ingress") for name in example.containers()}
    denied = example.all("NetworkPolicy")["gatepost-deny"]["spec"]
    everyone = {("10.20.0.0/16", 6379), ("kube-dns", 53)}
    auth0 = {("0.0.0.0/0", 443), ("::/0", 443)}

    assert out == {
        "worker": everyone | auth0,
        "worker-bulk": everyone | auth0,
        "operator": everyone | auth0,
        "beat": everyone,
        "metrics": everyone,
    }
    assert {name for name, found in into.items() if found} == {"worker", "worker-bulk", "metrics"}
    assert set().union(*into.values()) == {("prometheus", "metrics")}
    assert example.selected(denied["podSelector"]) == set(example.containers())
    assert (denied["policyTypes"], denied.keys() & {"ingress", "egress"}) == (["Ingress", "Egress"], set())


def test_the_base_finds_a_redis_beside_it(folder: Path) -> None:
    """Kustomize's labels do not change the selector of Redis's own pods."""
    base = rendered(folder / "base")

    assert _reached(base, "beat", "egress") == {("redis", 6379), ("kube-dns", 53)}


def test_keda_scales_on_a_metric_that_is_exported(scaled: Manifests, example: Manifests) -> None:
    """It alone sets the number of workers for campaigns, by the age of the oldest message on their queue."""
    [trigger] = scaled.all("ScaledObject")["gatepost-worker-bulk"]["spec"]["triggers"]

    assert trigger["metadata"]["query"] == f'max({metrics.QUEUE_OLDEST.name}{{queue="{Queue.BULK.value}"}})'
    assert metrics.QUEUE_OLDEST.labels == ("queue",)
    assert "replicas" not in scaled.all("Deployment")["gatepost-worker-bulk"]["spec"]
    assert "replicas" in example.all("Deployment")["gatepost-worker-bulk"]["spec"]


def _reached(manifests: Manifests, name: str, direction: str) -> set[tuple[str, Any]]:
    """Return the ends of the rules that apply to a Deployment's pods, with their ports."""
    labels = labels_of_pods(manifests.all("Deployment")[f"gatepost-{name}"])
    policies = [one["spec"] for one in manifests.all("NetworkPolicy").values()]
    rules = [rule for one in policies if matches(one["podSelector"], labels) for rule in one.get(direction, ())]
    key = "to" if direction == "egress" else "from"
    return {(_end(end), port["port"]) for rule in rules for end in rule[key] for port in rule["ports"]}


def _end(end: Object) -> str:
    if "ipBlock" in end:
        found: str = end["ipBlock"]["cidr"]
        return found
    [value] = end["podSelector"]["matchLabels"].values()
    assert value in OF_OTHERS
    return str(value)
