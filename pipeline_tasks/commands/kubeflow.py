"""`defectline kubeflow compile`: the stage graph as a file that Kubeflow Pipelines runs."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer


class Action(StrEnum):
    """What can be done."""

    COMPILE = "compile"


def kubeflow(
    action: Annotated[Action, typer.Argument(help="compile: write the pipeline")],
    out: Annotated[Path, typer.Argument(help="file to write, NAME.yaml")],
    image_cpu: Annotated[str, typer.Option(help="image of stages without a GPU; kfp is in it")],
    image_gpu: Annotated[str, typer.Option(help="image of stages with a GPU; kfp is in it")],
    remote: Annotated[str, typer.Option(help="DVC remote that all steps share, for example s3://bucket/path")],
    repository: Annotated[str | None, typer.Option(help="URL of the git repository; origin's if not given")] = None,
    branch: Annotated[str, typer.Option(help="branch that is refreshed, and takes the release")] = "main",
    mlflow: Annotated[str, typer.Option(help="MLflow's tracking URI, unless a secret has it")] = "",
    secret: Annotated[
        list[str] | None, typer.Option(help="Secret and its keys, each a variable of the same name: NAME:KEY,KEY")
    ] = None,
    gpus: Annotated[int, typer.Option(min=1, help="GPUs of a stage that uses them")] = 1,
    gpu_node: Annotated[list[str] | None, typer.Option(help="label of nodes with GPUs: KEY=VALUE")] = None,
) -> None:
    """Write the stage graph as a pipeline for Kubeflow Pipelines, which runs each stage as a pod."""
    from pipeline_tasks.lineage.graph import load_graph
    from pipeline_tasks.lineage.kubeflow import Cluster, Defaults, write_pipeline

    _check(out, {"--repository": repository or "", "--remote": remote, "--mlflow": mlflow})
    secrets = {name: keys.split(",") for name, keys in _pairs("--secret", secret, ":", "NAME:KEY,KEY").items()}
    cluster = Cluster(image_cpu, image_gpu, gpus, _pairs("--gpu-node", gpu_node, "=", "KEY=VALUE"), secrets)
    graph = load_graph(Path.cwd())
    write_pipeline(out, graph, cluster, Defaults(repository or _origin(Path.cwd()), branch, remote, mlflow))
    print(f"{out}: {len(graph.stages)} stages, and publish")


def _check(out: Path, urls: dict[str, str]) -> None:
    """Raise ConfigError for a name that KFP does not take, or credentials, which the file would show to everybody."""
    from pipeline_tasks.errors import ConfigError

    if out.suffix != ".yaml":
        raise ConfigError(f"{out}: KFP reads pipelines from .yaml files; name it {out.with_suffix('.yaml')}")
    for option, url in urls.items():
        if _has_credentials(url):
            raise ConfigError(f"{option}: it has credentials, which {out} would show; keep them in a Secret (--secret)")


def _has_credentials(url: str) -> bool:
    """Tell whether a URL has a password or a token; ssh's user alone is a part of the address."""
    parts = urlsplit(url)
    return bool(parts.password or (parts.username and parts.scheme != "ssh"))


def _pairs(option: str, given: list[str] | None, mark: str, form: str) -> dict[str, str]:
    """Return what an option says, by name. Raises ConfigError where that is not of its form."""
    from pipeline_tasks.errors import ConfigError

    pairs = {name: value for name, _, value in (each.partition(mark) for each in given or [])}
    for name, value in pairs.items():
        if not name or not value:
            raise ConfigError(f"{option}: '{name}{mark if value else ''}{value}' is not of the form {form}")
    return pairs


def _origin(root: Path) -> str:
    """Return where pods clone from. Raises ConfigError where nobody but this machine knows it."""
    from pipeline_tasks.errors import ConfigError
    from pipeline_tasks.lineage.dvc_files import repository_of

    url = repository_of(root)
    if url.startswith("file:"):
        raise ConfigError(f"{root}: has no origin that pods could clone; name the repository: --repository URL")
    return url
