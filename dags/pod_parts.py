"""What a pod is made of besides its command, in Kubernetes' words: what it gets, what it sees and what it may do.

Plain data: the Kubernetes client takes ten times as long to build it from its own classes as all else in a DAG's parse.
"""

from typing import Any, NamedTuple

from pod_settings import TEMPORARY, Nodes, PodSettings

from pipeline_tasks.lineage.stage_image import SHARED_MEMORY, USER, WORKPLACE

CONTAINER = "base"
"""Name of the only container, which the operator expects."""
GIT_CREDENTIALS = '!f() { test "$1" = get && echo "username=$GIT_USERNAME" && echo "password=$GIT_PASSWORD"; }; f'
"""Has git ask the environment, so that no file and no command line holds a password."""

Part = dict[str, Any]


class Needs(NamedTuple):
    """What one task needs of a node."""

    gpu: bool
    cpus: int
    memory: str
    disk: str
    """For the clone, data and unfinished work."""


def pod_template(settings: PodSettings, needs: Needs) -> Part:
    """Return a pod with these needs, in which a command is still lacking."""
    nodes: Nodes = settings.gpu if needs.gpu else settings.cpu
    spec = {
        "serviceAccountName": settings.service_account,
        "automountServiceAccountToken": False,
        "nodeSelector": nodes.node_selector,
        "tolerations": [toleration.model_dump(exclude_none=True) for toleration in nodes.tolerations],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": [{"name": name, **source} for name, _, source in _volumes(settings, needs)],
        "containers": [_container(settings, needs)],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": settings.namespace}, "spec": spec}


def _container(settings: PodSettings, needs: Needs) -> Part:
    amounts = _amounts(settings, needs)
    return {
        "name": CONTAINER,
        "image": settings.images.gpu if needs.gpu else settings.images.cpu,
        "workingDir": WORKPLACE,
        "env": [{"name": name, "value": value} for name, value in _variables(settings).items()],
        "envFrom": [{"secretRef": {"name": name}} for name in _secrets(settings)],
        # as much as is allowed: a pod that lives off what others have reserved is the first to be evicted
        "resources": {"requests": amounts, "limits": amounts},
        "volumeMounts": [
            {"name": name, "mountPath": path, "readOnly": "emptyDir" not in source}
            for name, path, source in _volumes(settings, needs)
        ],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def _amounts(settings: PodSettings, needs: Needs) -> dict[str, str]:
    amounts = {"cpu": str(needs.cpus), "memory": needs.memory, "ephemeral-storage": needs.disk}
    return amounts | ({settings.gpu.resource: str(settings.gpu.count)} if needs.gpu else {})


def _variables(settings: PodSettings) -> dict[str, str]:
    own = {
        "HOME": WORKPLACE,
        "TMPDIR": TEMPORARY,
        "DVC_SITE_CACHE_DIR": f"{WORKPLACE}/.site-cache",
        "DEFECTLINE_REMOTE": settings.remote,
    }
    git = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "credential.helper",
        "GIT_CONFIG_VALUE_0": GIT_CREDENTIALS,
    }
    return {**own, **(git if settings.git_secret else {}), **settings.env}


def _secrets(settings: PodSettings) -> list[str]:
    return list(dict.fromkeys([*settings.secrets, *filter(None, [settings.git_secret])]))


def _volumes(settings: PodSettings, needs: Needs) -> list[tuple[str, str, Part]]:
    """Return the name, the path and the source of every volume."""
    volumes: list[tuple[str, str, Part]] = [
        ("work", WORKPLACE, {"emptyDir": {"sizeLimit": needs.disk}}),
        ("temporary", TEMPORARY, {"emptyDir": {"sizeLimit": needs.disk}}),
    ]
    if needs.gpu:  # processes that share a batch talk through it; it counts as memory
        volumes.append(("shared-memory", SHARED_MEMORY, {"emptyDir": {"medium": "Memory", "sizeLimit": needs.memory}}))
    for number, volume in enumerate(settings.volumes):
        claim = {"claimName": volume.claim, "readOnly": True}
        volumes.append((f"raw-{number}", volume.path, {"persistentVolumeClaim": claim}))
    return volumes
