"""`defectline audit`: a version, and all between MLflow and the raw samples -> a verdict on each link, and a page."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from pipeline_tasks.audit.chain import some
from pipeline_tasks.catalog import slug
from pipeline_tasks.commands.names import OptionalName
from pipeline_tasks.commands.versions import ALIASES, VERSION_HELP

if TYPE_CHECKING:
    from pipeline_tasks.audit.chain import Audit
    from pipeline_tasks.audit.walk import Subject
    from pipeline_tasks.tracking.models import Models, ModelVersion

PAGES = Path("reports/audits")


def audit(
    version: Annotated[str, typer.Argument(help=VERSION_HELP)] = "latest",
    regenerate: Annotated[int, typer.Option(min=0, help="pairs, drawn at random, to make again and compare")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of sentences")] = False,
    product: OptionalName = None,
) -> None:
    """Follow a version back to its raw samples and verify every link; the exit status is 1 if one is broken.

    Needs git and the DVC remote alone; MLflow is asked where it is known. `champion` takes champion detectors in.
    """
    from pipeline_tasks.errors import AuditFailed

    found = []
    with _models() as models:
        for subject in _subjects(version, product, models):
            found.append(_audited(subject, models, regenerate))
            _tell(found[-1], _write(found[-1]), as_json)
    if as_json:
        print(json.dumps([one.to_json() for one in found], indent=2, sort_keys=True))
    elif not found:
        print(f"{version}: MLflow has no {version} of {product or 'the product'}, so there is nothing to audit")
    if broken := {_page(one): [link.name for link in one.broken] for one in found if one.broken}:
        told = "; ".join(f"{some(names, ', ')} (see {page})" for page, names in broken.items())
        raise AuditFailed(f"broken: {told}")


@contextmanager
def _models() -> "Iterator[Models | str]":
    """Yield MLflow's registered models, or why there are none: an audit does without."""
    from pipeline_tasks.commands.versions import known_models
    from pipeline_tasks.errors import PublicationError

    with ExitStack() as stack:
        try:
            models = stack.enter_context(known_models())
        except PublicationError as error:
            models, reason = None, str(error)
        else:
            reason = "none is known here"
        yield models or reason


def _subjects(version: str, product: str | None, models: "Models | str") -> "Sequence[Subject | ModelVersion]":
    """Return what is to be audited: one version; for an alias, all that it names of a product, versions once each."""
    from pipeline_tasks.audit.walk import Subject
    from pipeline_tasks.commands.versions import only_product, resolve
    from pipeline_tasks.tracking.run import LOCK_TAG

    if version not in ALIASES or isinstance(models, str):
        return [Subject(version, *resolve(version, product))]
    begin = f"defectline-{product or only_product(version)}-"
    names = [name for name in models.names() if name.startswith(begin) and not name.endswith("-generator")]
    found = [one for name in names if (one := models.by_alias(name, version))]
    of_versions = {lock: one for one in reversed(found) if (lock := one.tags.get(LOCK_TAG))}
    uris = [f"models:/{one.model}@{version}" for one in of_versions.values()]
    return [*(Subject(uri, *resolve(uri)) for uri in uris), *(one for one in found if not one.tags.get(LOCK_TAG))]


def _audited(subject: "Subject | ModelVersion", models: "Models | str", regenerate: int) -> "Audit":
    from pipeline_tasks.audit.detector_links import audit_alone
    from pipeline_tasks.audit.walk import Means, Subject
    from pipeline_tasks.audit.walk import audit as walk
    from pipeline_tasks.lineage.objects import stored_objects
    from pipeline_tasks.progress import track

    root = Path.cwd()
    if not isinstance(subject, Subject):
        return audit_alone(subject.uri, cast("Models", models), subject)
    with stored_objects(root, cache=False) as objects, track([], f"audit {subject.asked}") as bar:

        def advance(what: str) -> None:
            bar.set_postfix_str(what, refresh=False)
            bar.update()

        return walk(subject, Means(root, objects, models, regenerate, bool(regenerate) and _has_gpu(), advance))


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _page(audit: "Audit") -> Path:
    """Return where the page of an audit is: by its version, or else by the registered model that it is of."""
    return PAGES / f"{audit.version or slug(audit.subject)}.html"


def _write(audit: "Audit") -> Path:
    """Write the page of an audit, and the same as JSON beside it; return the page's path."""
    from pipeline_tasks.report.audit_page import render
    from pipeline_tasks.storage import atomic_file, write_json

    page, values, now = _page(audit), audit.to_json(), datetime.now(UTC)
    write_json(page.with_suffix(".json"), values | {"audited": now.isoformat(timespec="seconds")})
    with atomic_file(page) as partial:
        partial.write_text(render(values, {"Audited": f"{now:%Y-%m-%d %H:%M} UTC"}), encoding="utf-8")
    return page


def _tell(audit: "Audit", page: Path, as_json: bool) -> None:
    from pipeline_tasks.audit.summary import lines

    verdict, *details = lines(audit)
    print(*details, f"page: {page}", verdict, sep="\n", file=sys.stderr if as_json else sys.stdout)
