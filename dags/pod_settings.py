"""The file that DEFECTLINE_PODS names: in which cluster, from which images and with which secrets tasks run as pods.

It holds no secret: a pod takes them from Secrets of the cluster, by name. Read without Airflow.
"""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveInt, ValidationError

from pipeline_tasks.errors import ConfigError
from pipeline_tasks.lineage.stage_image import WORKPLACE
from pipeline_tasks.section import Section
from pipeline_tasks.yaml_files import describe, read_yaml

TEMPORARY = "/tmp"  # noqa: S108 - a volume of the pod's own
_SECRET_WORDS = re.compile(r"(^|_)(PASSWORD|SECRET|TOKEN|KEY)(_|$)", re.IGNORECASE)


def _without_password(url: str) -> str:
    user = re.search(r"://([^/@\s]*)@", url)
    if user and (":" in user[1] or url.startswith("http")):
        raise ValueError("the URL holds a user or password, and this file is no place for secrets; put it in a Secret")
    return url


def _plain_name(name: str) -> str:
    if _SECRET_WORDS.search(name):
        raise ValueError(f"'{name}' sounds like a secret; put it in a Secret and name that in `secrets`")
    return name


def _beside_the_work(path: str) -> str:
    own = (WORKPLACE, TEMPORARY)
    if not path.startswith("/") or path in own or path.startswith(tuple(f"{place}/" for place in own)):
        raise ValueError(f"'{path}' should be absolute and outside of {' and '.join(own)}, as catalog.yaml names it")
    return path


ObjectName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
NamespaceName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
Url = Annotated[str, Field(pattern=r"^[^-\s]\S*$"), AfterValidator(_without_password)]
Value = Annotated[str, AfterValidator(_without_password)]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"), AfterValidator(_plain_name)]
Quantity = Annotated[str, Field(pattern=r"^[1-9]\d*(Mi|Gi|Ti)$")]


class Images(Section):
    """What pods run: everything that stages need is installed in these, the code comes from git."""

    cpu: Annotated[str, Field(pattern=r"^\S+$")]
    gpu: Annotated[str, Field(pattern=r"^\S+$")]


class Toleration(Section):
    """A taint of nodes that pods do not mind, as Kubernetes has it."""

    key: str
    operator: Literal["Exists", "Equal"] = "Equal"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None


class Nodes(Section):
    """Where pods without a GPU may run."""

    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: list[Toleration] = Field(default_factory=list)


class GpuNodes(Nodes):
    """Where pods with GPUs may run, and what they ask for there."""

    resource: str = "nvidia.com/gpu"
    count: PositiveInt = 1
    """Of each pod, and so its slots of the pool `gpu`; a training uses more than one if `processes` says so."""


class Whole(Section):
    """What a pod gets that has all data of a version at hand: to publish, retrain or audit."""

    cpus: PositiveInt = 1
    memory: Quantity = "16Gi"
    disk: Quantity = "100Gi"


class Volume(Section):
    """Raw data that git and DVC do not carry: a claim on a volume, mounted read-only in every pod."""

    claim: ObjectName
    path: Annotated[str, AfterValidator(_beside_the_work)]


class PodSettings(Section):
    """The whole file."""

    namespace: NamespaceName
    service_account: ObjectName
    repository: Url
    """What pods clone, and publish to."""
    branch: Annotated[str, Field(pattern=r"^[^-\s][^\s:]*$")]
    images: Images
    remote: Url
    """DVC's, which all pods share."""
    env: dict[VariableName, Value] = Field(default_factory=dict)
    secrets: list[ObjectName] = Field(default_factory=list)
    """Secrets whose keys become environment variables."""
    git_secret: ObjectName | None = None
    """A Secret with the keys GIT_USERNAME and GIT_PASSWORD."""
    cpu: Nodes = Nodes()
    gpu: GpuNodes = GpuNodes()
    whole: Whole = Whole()
    volumes: list[Volume] = Field(default_factory=list)
    start_minutes: PositiveInt = 60
    """How long a pod waits at most for a node, and then for its image; what is left of that is for clone and data."""


def load_pod_settings(path: Path) -> PodSettings:
    """Read and check the file. Raises ConfigError naming it and the offending keys, never a value that is a secret."""
    try:
        return PodSettings.model_validate(read_yaml(path, "correct or unset the environment variable DEFECTLINE_PODS"))
    except ValidationError as error:
        raise ConfigError(describe(path, error)) from error
