"""`defectline trace`: which published data sets and registered models depend on a real sample."""

import json
from pathlib import Path
from typing import Annotated

import typer


def trace(
    sample: Annotated[str, typer.Argument(help="source_path, PRODUCT/source_path, the begin of a SHA-256, or a file")],
    as_json: Annotated[bool, typer.Option("--json", help="print JSON values")] = False,
) -> None:
    """Show where a real sample is, over all published versions and registered models."""
    from pipeline_tasks.audit.trace import trace as trace_sample
    from pipeline_tasks.audit.trace_text import lines
    from pipeline_tasks.commands.registered_models import registered_models
    from pipeline_tasks.lineage.objects import stored_objects

    with stored_objects(Path.cwd(), cache=True) as objects:
        found = trace_sample(Path.cwd(), objects, sample, registered_models())
    print(json.dumps(found.to_json(), indent=2) if as_json else "\n".join(lines(found)))
