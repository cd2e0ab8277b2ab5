"""`defectline validate`: pairs and samples -> result.json and Data Docs; a failed gate stops the refresh."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline_tasks.commands.names import Name


def validate(
    product: Name,
    base: Annotated[Path, typer.Option()],
    test: Annotated[Path, typer.Option()],
    pairs: Annotated[Path, typer.Option()],
    result: Annotated[Path, typer.Option()],
    docs: Annotated[Path, typer.Option()],
) -> None:
    """Check the pairs of a product with Great Expectations."""
    from pipeline_tasks.errors import ValidationFailed
    from pipeline_tasks.manifest import read_manifest
    from pipeline_tasks.params import load_params
    from pipeline_tasks.quality.rules import Expected
    from pipeline_tasks.schema import GOOD, Pair, Rejected, Sample
    from pipeline_tasks.stages import validate as stage
    from pipeline_tasks.storage import atomic_folder, sample_files, write_json

    base_files, params = sample_files(base), load_params()
    own = [file.stem for file in base_files if file.stem != GOOD]
    expected = Expected(
        product,
        own,
        read_manifest(base_files, Sample).to_pandas(),
        read_manifest(sorted(test.glob("*.parquet")), Sample).to_pandas(),
        params.masks.pairs_per_defect,
        sorted(folder.name for folder in pairs.iterdir() if folder.is_dir() and folder.name not in own),
    )
    made = read_manifest(sorted(pairs.glob("*/*.parquet")), Pair).to_pandas()
    rejected = read_manifest(sorted(pairs.glob("*/rejected/*.parquet")), Rejected).to_pandas()
    gate = stage.run(params.validate_, expected, made, rejected["defect"].value_counts().to_dict())
    page = docs / "index.html"
    with atomic_folder(docs) as folder:
        (folder / page.name).write_text(gate.docs)
    write_json(result, gate.result)
    if gate.refusals:
        reasons = "; ".join(f"{outcome} ({outcome.rule.key})" for outcome in gate.refusals)
        raise ValidationFailed(f"the pairs of '{product}' failed the quality gate: {reasons}. Details: {page}")
    print(f"{product}: gate passed, {len(gate.outcomes)} expectations, {len(gate.warnings)} warnings; {page}")
    for outcome in gate.warnings:
        print(f"warning: {outcome}")
