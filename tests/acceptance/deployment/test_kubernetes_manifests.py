"""deploy/kubernetes: valid objects that fit together, confined as the services of docker-compose.yml."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

import kubernetes_validate
import pytest
from pydantic import BaseModel, ConfigDict

from gatepost_core.kinds import Queue
from gatepost_core.settings import environment_names
from gatepost_operations.monitoring import names as metrics
from gatepost_operations.web.console.security.settings import console_environment_names
from support.checkout import CHECKOUT
from support.dockerfile import read_stages
from support.kubernetes_manifests import (
    Manifests,
    Object,
    copied,
    example_beside,
    labels_of_pods,
    matches,
    pod,
    rendered,
    with_options,
)

if TYPE_CHECKING:
    from pathlib import Path

    from support.compose_file import Service

# The oldest and the newest that the manifests support.
VERSIONS = ("1.29", "1.37")
OF_OTHERS = {"redis", "kube-dns", "prometheus", "ingress-nginx"}


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
def whole(folder: Path) -> Manifests:
    """The example with its optional lines: the components for KEDA and for the web."""
    return rendered(with_options(folder))


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_fits_the_schema_of_kubernetes(whole: Manifests, version: str) -> None:
    """Strictly: a misspelt field is an error. KEDA's object has a schema here."""
    of_keda = [one for one in whole.objects if one["apiVersion"] == "keda.sh/v1alpha1"]
    for one in whole.objects:
        if one not in of_keda:
            kubernetes_validate.validate(one, version, strict=True)

    assert len(whole.objects) > len(of_keda) == 1
    assert ScaledObject.model_validate(of_keda[0]["spec"])


def test_the_base_stands_alone(folder: Path) -> None:
    """It has all Deployments, and neither a tenant nor a secret."""
    base = rendered(folder / "base")
    settings = {name for one in base.all("ConfigMap").values() for name in one["data"]}

    assert set(base.containers()) == {"worker", "worker-bulk", "beat", "metrics", "operator"}
    assert settings == {"GATEPOST_NAMESPACE", "GATEPOST_CREDENTIAL_PATIENCE"}
    assert base.all("Secret") == {}


def test_each_selector_finds_the_pods_that_it_means(whole: Manifests) -> None:
    """A Deployment finds its own pods and no others, and each policy and budget finds at least one Deployment."""
    deployments = whole.all("Deployment")
    found = {name: whole.selected(one["spec"]["selector"]) for name, one in deployments.items()}
    budgets = {name: whole.selected(one["spec"]["selector"]) for name, one in whole.all("PodDisruptionBudget").items()}
    policies = [whole.selected(one["spec"]["podSelector"]) for one in whole.all("NetworkPolicy").values()]
    services = {
        name: whole.selected({"matchLabels": one["spec"]["selector"]}) for name, one in whole.all("Service").items()
    }
    targets = {port["targetPort"] for one in whole.all("Service").values() for port in one["spec"]["ports"]}
    spreads = [
        matches(spread["labelSelector"], labels_of_pods(one))
        for one in deployments.values()
        for spread in pod(one).get("topologySpreadConstraints", ())
    ]

    assert found == {name: {name.removeprefix("gatepost-")} for name in deployments}
    assert budgets == {f"gatepost-{name}": {name} for name in ("worker", "worker-bulk")}
    assert services == {"gatepost-api": {"api"}, "gatepost-console": {"console"}}
    assert targets == {"http"}
    assert all(policies)
    assert spreads == [True, True]


def test_every_name_that_is_used_exists(whole: Manifests) -> None:
    """ConfigMaps, Secrets with their files, volumes, service accounts and ports; and each variable is a setting."""
    settings = {*environment_names(), *console_environment_names()}
    known = settings | {f"{name}_FILE" for name in settings}
    accounts = set(whole.all("ServiceAccount"))
    for name, container in whole.containers().items():
        deployment = whole.all("Deployment")[f"gatepost-{name}"]
        environment = whole.environment(name)
        files = {f"{path}/{file}" for path, names in whole.mounted_secrets(name).items() for file in names}
        named = {value for variable, value in environment.items() if variable.endswith("_FILE")}
        volumes = {one["name"] for one in pod(deployment)["volumes"]}
        ports = {one["name"] for one in container.get("ports", ())}
        probes = [container[kind] for kind in ("readinessProbe", "livenessProbe") if kind in container]
        account = pod(deployment)["serviceAccountName"]
        probed = {one[kind]["port"] for one in probes for kind in ("httpGet", "tcpSocket") if kind in one}

        assert environment.keys() <= known, name
        assert named == files, name
        assert {one["name"] for one in container["volumeMounts"]} == volumes, name
        assert account in accounts
        assert probed <= ports, name
        assert all(isinstance(value, str) for value in environment.values())


def test_there_is_exactly_one_scheduler(whole: Manifests) -> None:
    """One replica, the old pod ends before the new one starts, no budget blocks a drain, and nothing scales it."""
    beat = whole.all("Deployment")["gatepost-beat"]

    assert (beat["spec"]["replicas"], beat["spec"]["strategy"]) == (1, {"type": "Recreate"})
    assert "gatepost-beat" not in whole.all("PodDisruptionBudget")
    assert [one["spec"]["scaleTargetRef"]["name"] for one in whole.all("ScaledObject").values()] == [
        "gatepost-worker-bulk"
    ]


def test_pods_are_confined_as_the_services_of_compose(whole: Manifests, services: dict[str, Service]) -> None:
    """The image's user, a read-only file system but for /tmp, no capability, no token of Kubernetes, a limit of memory."""
    user = read_stages((CHECKOUT / "Dockerfile").read_text(encoding="utf-8"))["runtime"].all("USER")[0].split(":")
    for deployment in whole.all("Deployment").values():
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
    assert whole.all("Namespace")["gatepost"]["metadata"]["labels"] == {
        "pod-security.kubernetes.io/enforce": "restricted"
    }


def test_a_stop_takes_as_long_as_in_compose(whole: Manifests, services: dict[str, Service]) -> None:
    """Calls under way finish and are settled before the kubelet kills the process."""
    common = ("worker", "worker-bulk", "beat")
    graces = {
        name: pod(whole.all("Deployment")[f"gatepost-{name}"])["terminationGracePeriodSeconds"] for name in common
    }

    assert graces == {name: services[name].grace_s for name in common}


def test_only_those_who_seal_or_send_hold_keys_and_the_credential(whole: Manifests) -> None:
    """Beat and metrics mount the URLs of Redis and the broker alone, and the console no key that seals. Whole directories, so that a new secret appears in them."""
    holders = {name for name in whole.containers() if "/run/secrets/gatepost-keys" in whole.mounted_secrets(name)}
    mounts = [one for container in whole.containers().values() for one in container["volumeMounts"]]

    callers = {"worker", "worker-bulk", "operator"}
    credential = {name for name in whole.containers() if "auth0_credential" in _files(whole, name)}
    named = {name for name in whole.containers() if "AUTH0_CLIENT_SECRET_FILE" in whole.environment(name)}
    assert holders == callers | {"api"}
    assert credential == named == callers
    assert whole.mounted_secrets("beat").keys() == {"/run/secrets/gatepost-redis"}
    assert not any("subPath" in one for one in mounts)


def _files(whole: Manifests, name: str) -> set[str]:
    return set().union(*whole.mounted_secrets(name).values())


def test_the_patch_for_a_private_key_reaches_every_pod_with_the_credential(folder: Path) -> None:
    """The page's patch, in the example with the components and without them."""
    page = (CHECKOUT / "docs" / "how-to" / "deploy-on-kubernetes.md").read_text(encoding="utf-8")
    [patches] = re.findall(r"^```yaml\n(patches:\n.*?)^```$", page, re.MULTILINE | re.DOTALL)
    for place, expected in (
        (example_beside(folder, "signs"), {"worker", "worker-bulk", "operator"}),
        (with_options(folder, "signs-with-options"), {"worker", "worker-bulk", "operator"}),
    ):
        file = place / "kustomization.yaml"
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace("patches:\n", patches), encoding="utf-8")
        made = rendered(place)
        variables = {name: made.environment(name) for name in made.containers()}
        signing = {name: given.get("AUTH0_CLIENT_SIGNING_KEY_FILE") for name, given in variables.items()}

        assert {name for name, path in signing.items() if path} == expected
        assert set(filter(None, signing.values())) == {"/run/secrets/gatepost-keys/auth0_credential"}
        assert not any("AUTH0_CLIENT_SECRET_FILE" in given for given in variables.values())


def test_a_pod_reaches_only_what_it_needs(whole: Manifests) -> None:
    """Redis and names for all, Auth0 for those who call it, and Prometheus comes in; nothing else does."""
    out = {name: _reached(whole, name, "egress") for name in whole.containers()}
    into = {name: _reached(whole, name, "ingress") for name in whole.containers()}
    denied = whole.all("NetworkPolicy")["gatepost-deny"]["spec"]
    everyone = {("10.20.0.0/16", 6379), ("kube-dns", 53)}
    auth0 = {("0.0.0.0/0", 443), ("::/0", 443)}

    assert out == {
        "worker": everyone | auth0,
        "worker-bulk": everyone | auth0,
        "operator": everyone | auth0,
        "beat": everyone,
        "metrics": everyone,
        "api": everyone,
        "console": everyone | auth0 | {("api", "http")},
    }
    scraped = {("prometheus", "metrics")}
    assert into == {
        "worker": scraped,
        "worker-bulk": scraped,
        "metrics": scraped,
        "beat": set(),
        "operator": set(),
        "api": {("ingress-nginx", "http"), ("console", "http")},
        "console": {("ingress-nginx", "http")},
    }
    assert whole.selected(denied["podSelector"]) == set(whole.containers())
    assert (denied["policyTypes"], denied.keys() & {"ingress", "egress"}) == (["Ingress", "Egress"], set())


def test_the_base_finds_a_redis_beside_it(folder: Path) -> None:
    """Kustomize's labels do not change the selector of Redis's own pods."""
    base = rendered(folder / "base")

    assert _reached(base, "beat", "egress") == {("redis", 6379), ("kube-dns", 53)}


def test_keda_scales_on_a_metric_that_is_exported(whole: Manifests, example: Manifests) -> None:
    """It alone sets the number of workers for campaigns, by the age of the oldest message on their queue."""
    [trigger] = whole.all("ScaledObject")["gatepost-worker-bulk"]["spec"]["triggers"]

    assert trigger["metadata"]["query"] == f'max({metrics.QUEUE_OLDEST.name}{{queue="{Queue.BULK.value}"}})'
    assert metrics.QUEUE_OLDEST.labels == ("queue",)
    assert "replicas" not in whole.all("Deployment")["gatepost-worker-bulk"]["spec"]
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
    if "podSelector" not in end:
        [value] = end["namespaceSelector"]["matchLabels"].values()
        assert value in OF_OTHERS
        return str(value)
    labels = end["podSelector"]["matchLabels"]
    if labels.get("app.kubernetes.io/name") == "gatepost":
        return str(labels["app.kubernetes.io/component"])
    [value] = labels.values()
    assert value in OF_OTHERS
    return str(value)
