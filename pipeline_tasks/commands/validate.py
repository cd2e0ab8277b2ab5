"""`defectline validate`: pairs, masks and samples -> result.json and Data Docs; a failed gate stops the refresh."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline_tasks.commands.names import Name

if TYPE_CHECKING:
    from pipeline_tasks.params import Params
    from pipeline_tasks.quality.expected import Expected
    from pipeline_tasks.stages.validate import Gate

REFUSED = ".refused.json"


def validate(
    product: Name,
    base: Annotated[Path, typer.Option()],
    test: Annotated[Path, typer.Option()],
    masks: Annotated[Path, typer.Option()],
    pairs: Annotated[Path, typer.Option()],
    result: Annotated[Path, typer.Option()],
    docs: Annotated[Path, typer.Option()],
) -> None:
    """Check the pairs of a product with Great Expectations."""
    import shutil

    from pipeline_tasks.commands.work import WORK
    from pipeline_tasks.params import load_params
    from pipeline_tasks.quality.pair_table import PairTable
    from pipeline_tasks.stages import validate as stage
    from pipeline_tasks.storage import atomic_folder, write_json

    params = load_params()
    expected = _expected(params, product, base, test, pairs)
    rejected, refused = _rejected(pairs), _refused(masks)
    scratch = WORK / "validate" / product
    table = PairTable.of(sorted(pairs.glob("*/*.parquet")), scratch / "pairs.parquet")
    gate = stage.run(params.validate_, expected, table, rejected, refused)
    shutil.rmtree(scratch)
    page = docs / "index.html"
    with atomic_folder(docs) as folder:
        (folder / page.name).write_text(gate.docs)
    write_json(result, gate.result)
    _announce(gate, page)


def _expected(params: "Params", product: str, base: Path, test: Path, pairs: Path) -> "Expected":
    from pipeline_tasks.manifest import read_manifest
    from pipeline_tasks.quality.expected import Expected
    from pipeline_tasks.schema import GOOD, Sample
    from pipeline_tasks.storage import PARTIAL, sample_files

    base_files = sample_files(base)
    own = [file.stem for file in base_files if file.stem != GOOD]
    defects = [folder.name for folder in pairs.iterdir() if folder.is_dir() and folder.suffix != PARTIAL]
    return Expected(
        product,
        own,
        read_manifest(base_files, Sample).to_pandas(),
        read_manifest(sorted(test.glob("*.parquet")), Sample).to_pandas(),
        params.masks.pairs_per_defect,
        params.generate.keep,
        params.masks.placement_spread,
        sorted(defect for defect in defects if defect not in own),
    )


def _rejected(pairs: Path) -> dict[str, Counter[str]]:
    """Return how many pairs of each defect generate gave up, by reason."""
    from pipeline_tasks.manifest import read_manifest
    from pipeline_tasks.schema import Rejected

    given_up = read_manifest(sorted(pairs.glob("*/rejected/*.parquet")), Rejected)
    counts: dict[str, Counter[str]] = {}
    for defect, reason in zip(given_up["defect"].to_pylist(), given_up["reason"].to_pylist(), strict=True):
        counts.setdefault(defect, Counter())[reason] += 1
    return counts


def _refused(masks: Path) -> dict[str, dict[str, int]]:
    """Return how many masks of each defect could not be placed, by reason."""
    from pipeline_tasks.storage import read_json

    files = {file.name.removesuffix(REFUSED): file for file in sorted(masks.glob(f"*{REFUSED}"))}
    counts = {defect: read_json(file)["refused"] for defect, file in files.items()}
    return {defect: reasons for defect, reasons in counts.items() if reasons}


def _announce(gate: "Gate", page: Path) -> None:
    """Print how it went. Raises ValidationFailed if the gate refused the pairs."""
    from pipeline_tasks.errors import ValidationFailed

    if gate.refusals:
        reasons = "; ".join(f"{outcome} ({outcome.rule.key})" for outcome in gate.refusals)
        raise ValidationFailed(f"the pairs of '{gate.product}' failed the quality gate: {reasons}. Details: {page}")
    print(f"{gate.product}: gate passed, {len(gate.outcomes)} expectations, {len(gate.warnings)} warnings; {page}")
    for line in [*gate.counts["shortfall"].values(), *gate.warnings]:
        print(f"warning: {line}")
