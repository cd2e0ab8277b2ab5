"""containers/kubernetes: manifests that a cluster takes, that fit together, and that hold no secret."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "containers" / "kubernetes"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
MANIFESTS: list[dict[str, Any]] = [
    manifest for name in KUSTOMIZATION["resources"] for manifest in yaml.safe_load_all((FOLDER / name).read_text())
]
PODS = yaml.safe_load((FOLDER / "pods.yaml").read_text())
VALUES = yaml.safe_load((FOLDER / "airflow-values.yaml").read_text())


def title(manifest: dict[str, Any]) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [manifest for manifest in MANIFESTS if manifest["kind"] == kind]


def named(node: Any, *keys: str) -> set[str]:
    """Return all strings under one of `keys`, at any depth."""
    if isinstance(node, list):
        return set().union(*(named(each, *keys) for each in node))
    if not isinstance(node, dict):
        return set()
    found = {value for key, value in node.items() if key in keys and isinstance(value, str)}
    return found.union(*(named(each, *keys) for each in node.values()))


@pytest.mark.parametrize("version", ["1.31", "1.37"])
@pytest.mark.parametrize("manifest", MANIFESTS, ids=title)
def test_manifest_is_valid(manifest: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_namespaces_refuse_pods_with_privileges_and_everything_is_in_one_of_them() -> None:
    namespaces = {each["metadata"]["name"]: each["metadata"]["labels"] for each in of_kind("Namespace")}
    assert {labels["pod-security.kubernetes.io/enforce"] for labels in namespaces.values()} == {"restricted"}
    assert {each["metadata"]["namespace"] for each in MANIFESTS if each["kind"] != "Namespace"} == {PODS["namespace"]}
    assert namespaces.keys() == {PODS["namespace"], "airflow"}


def test_mlflow_is_as_restricted_as_its_namespace_asks() -> None:
    pod = of_kind("Deployment")[0]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod["automountServiceAccountToken"]
    restricted = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    assert container["securityContext"] == restricted
    assert container["resources"]["requests"]["memory"] == container["resources"]["limits"]["memory"]
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/work", "/tmp"}  # noqa: S108


def test_mlflow_answers_to_the_address_that_pods_and_airflow_call() -> None:
    service = of_kind("Service")[0]
    address = PODS["env"]["MLFLOW_TRACKING_URI"].removeprefix("http://")
    assert (
        address
        == f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc:{service['spec']['ports'][0]['port']}"
    )
    assert address in of_kind("ConfigMap")[0]["data"]["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    assert {"name": "MLFLOW_TRACKING_URI", "value": f"http://{address}"} in VALUES["env"]


def test_selectors_meet_the_labels_of_their_pods() -> None:
    labels = of_kind("Deployment")[0]["spec"]["template"]["metadata"]["labels"]
    assert of_kind("Deployment")[0]["spec"]["selector"]["matchLabels"] == labels
    assert of_kind("Service")[0]["spec"]["selector"] == labels
    assert of_kind("PodDisruptionBudget")[0]["spec"]["selector"]["matchLabels"] == labels


def test_airflow_may_handle_pods_and_neither_secrets_nor_shells() -> None:
    rules = [(resource, set(rule["verbs"])) for rule in of_kind("Role")[0]["rules"] for resource in rule["resources"]]
    assert {resource for resource, _ in rules} == {"pods", "pods/log", "events"}
    assert dict(rules)["pods"] >= {"create", "delete", "get", "list", "patch", "watch"}
    subjects = {each["name"] for each in of_kind("RoleBinding")[0]["subjects"]}
    assert subjects == {VALUES[part]["serviceAccount"]["name"] for part in ("scheduler", "triggerer")}


def test_stages_have_no_token_and_run_as_the_account_that_pods_yaml_names() -> None:
    accounts = {each["metadata"]["name"]: each for each in of_kind("ServiceAccount")}
    assert accounts[PODS["service_account"]]["automountServiceAccountToken"] is False


def test_images_are_those_of_pods_yaml() -> None:
    image = KUSTOMIZATION["images"][0]
    assert f"{image['name']}:{image['newTag']}" == PODS["images"]["cpu"]
    assert of_kind("Deployment")[0]["spec"]["template"]["spec"]["containers"][0]["image"] == image["name"]


def test_every_secret_that_is_asked_for_is_in_the_list() -> None:
    listed = set(re.findall(r"\| (?:defectline|airflow) \| `([\w-]+)`", (FOLDER / "SECRETS.md").read_text()))
    chart = named(VALUES, "metadataSecretName", "credentialsSecret", "secretName") | {
        VALUES[key] for key in VALUES if key.endswith("SecretName")
    }
    chart |= set(re.findall(r"name: ([\w-]+)", VALUES["extraEnvFrom"]))
    own = {
        each["secretRef"]["name"]
        for each in of_kind("Deployment")[0]["spec"]["template"]["spec"]["containers"][0]["envFrom"]
        if "secretRef" in each
    }
    assert chart - {"airflow-tls"} | own | {*PODS["secrets"], PODS["git_secret"]} == listed


def test_no_manifest_is_a_secret() -> None:
    assert not of_kind("Secret")
    assert not [each for each in of_kind("ConfigMap") if re.search(r"PASSWORD|SECRET|TOKEN", str(list(each["data"])))]


def test_traffic_is_refused_unless_it_is_named() -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in of_kind("NetworkPolicy")}
    assert policies["nothing-by-default"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    stage = {"matchLabels": {"app.kubernetes.io/name": "defectline"}}
    assert policies["stages"]["podSelector"] == stage
    assert "ingress" not in policies["stages"]
    assert {"podSelector": stage} in policies["mlflow"]["ingress"][0]["from"]
