"""`defectline evaluate FOLDER --protocol NAME`: a folder of raw images, evaluated as a paper does it."""

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline_tasks.commands.repro import CRASHED

if TYPE_CHECKING:
    from pipeline_tasks.catalog import Catalog
    from pipeline_tasks.lineage.protocol_files import Changes
    from pipeline_tasks.lineage.protocol_params import Experiment, Order, Variant
    from pipeline_tasks.lineage.protocol_runs import SideWorkspace

PLACE = Path(".work/protocols")
RESULTS = "results.json"


def evaluate(
    folder: Annotated[Path, typer.Argument(help="raw images: the folder of one product, or of several, or a list")],
    protocol: Annotated[str, typer.Option(help="a file in profiles/protocols/, without its ending")],
    generator: Annotated[
        list[str] | None, typer.Option(help="a profile whose generator is evaluated too, beside that of params.yaml")
    ] = None,
    ablation: Annotated[
        list[str] | None, typer.Option(help="a file in profiles/ablations/: the generators without one of their parts")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="detectors per arm, instead of evaluate.seeds")] = None,
    budget_minutes: Annotated[
        float, typer.Option(min=0, help="for training detectors, in all: choosing and testing share it; 0 = no limit")
    ] = 0.0,
    paper_budget: Annotated[
        bool, typer.Option("--paper-budget", help="the paper's epochs instead of equal steps for every arm")
    ] = False,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value of params.yaml, over all but an ablation")
    ] = None,
    layout: Annotated[str | None, typer.Option(help="how the folders lie, instead of what is detected")] = None,
) -> None:
    """Evaluate a folder of raw images by a protocol: all arms side by side. Called again, it repeats nothing."""
    from pipeline_tasks.lineage.protocol_params import Order

    order = Order(protocol, generator or (), ablation or (), seeds, budget_minutes, paper_budget, changes or ())
    evaluate_folder(folder, order, layout)


def evaluate_folder(folder: Path, order: "Order", layout: str | None = None) -> None:
    """Evaluate every product in `folder` as `order` says, and print what was found.

    The pipeline runs in workspaces below PLACE, one for each product and draw, and nothing twice: a call that was
    killed goes on where it was. One product of several that fails does not stop the others. Raises ConfigError for what
    is unknown or does not fit, DataError for a folder without a product, and what a stage raises.
    """
    from pipeline_tasks.layouts.discovery import discover
    from pipeline_tasks.lineage.protocol_params import Experiment
    from pipeline_tasks.lineage.repro import StageCrashed
    from pipeline_tasks.lineage.turns import in_turn

    root = Path.cwd()
    experiment = Experiment.read(root, order)
    catalog, notes = discover(folder.resolve(), shared=False, layout_name=layout)
    home = root / PLACE / order.protocol / _name(folder, layout, experiment)
    print(*(f"note: {note}" for note in notes), f"{order.protocol}: {experiment.protocol.about}", sep="\n")
    try:
        with in_turn(f"protocol-{home.name}"):
            _evaluate(experiment, catalog, root, home)
    except StageCrashed as crash:
        typer.echo(f"crashed: {crash}; run this again, what is done is not repeated", err=True)
        raise typer.Exit(CRASHED) from crash


def _name(folder: Path, layout: str | None, experiment: "Experiment") -> str:
    """Return the name of the place for what is learned of `folder`: another split of it has another place."""
    from pipeline_tasks.catalog import slug

    ingest = experiment.variants(0, {})[0].params.ingest.model_dump(mode="json")
    key = json.dumps([str(folder.resolve()), layout, ingest], sort_keys=True)
    return f"{slug(folder.resolve().name)}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def _evaluate(experiment: "Experiment", catalog: "Catalog", root: Path, home: Path) -> None:
    """Evaluate product after product; the results so far are in the file after each."""
    from pipeline_tasks.errors import DefectlineError, TransientError
    from pipeline_tasks.report.arms_text import product_text
    from pipeline_tasks.storage import write_json

    found: dict[str, Any] = {}
    failed = []
    for product in catalog.products:
        try:
            draws = _draws(experiment, catalog, product, root, home)
        except TransientError:
            raise
        except DefectlineError as error:
            print(f"{product}: not evaluated: {error}", file=sys.stderr)
            failed.append(product)
            continue
        found[product] = {"draws": draws, "summary": _summary(draws)}
        about = {"protocol": experiment.order.protocol, "about": experiment.protocol.about}
        write_json(home / RESULTS, about | {"products": found})
        print(f"\n{product_text(product, experiment.order.protocol, draws)}\n\nresults: {home / RESULTS}")
    if failed:
        raise DefectlineError(f"not evaluated: {', '.join(failed)}; correct the cause, then run this again")


def _draws(
    experiment: "Experiment", catalog: "Catalog", product: str, root: Path, home: Path
) -> list[list[dict[str, Any]]]:
    """Return the runs of every draw, in a workspace for each."""
    from pipeline_tasks.lineage.protocol_runs import SideWorkspace, one_product

    number, alone = experiment.protocol.draws, one_product(catalog, product)
    minutes = experiment.order.budget_minutes / (number * len(catalog.products))
    names = [f"{product}-draw-{draw}" if number > 1 else product for draw in range(number)]
    draws = [
        _Draw(experiment, alone, product, draw, SideWorkspace(root, home / name)) for draw, name in enumerate(names)
    ]
    return [draw.runs(minutes) for draw in draws]


def _summary(draws: list[list[dict[str, Any]]]) -> dict[str, Any]:
    from pipeline_tasks.report.over_draws import arms_by_detector, durations, likeness

    return {"detectors": arms_by_detector(draws), "likeness": likeness(draws), "durations": durations(draws)}


@dataclass(frozen=True)
class _Draw:
    """One draw of one product, which the catalog holds alone."""

    experiment: "Experiment"
    catalog: "Catalog"
    product: str
    number: int
    workspace: "SideWorkspace"

    def runs(self, minutes: float) -> list[dict[str, Any]]:
        """Return every run's results; their detectors are trained within so many minutes (0: no limit)."""
        from pipeline_tasks.lineage.protocol_params import within

        self.workspace.prepare(self.catalog)
        return [self._run(run) for run in within(self.experiment.variants(self.number, self._pairs()), minutes)]

    def _pairs(self) -> "Changes":
        from pipeline_tasks.lineage.protocol_params import pairs_changes

        asked, real = self.experiment.protocol.pairs, 0
        if asked and asked.per == "real image":
            unsized = self.experiment.variants(self.number, {})[0]
            self.workspace.reproduce(unsized.params, [f"ingest@{self.product}"], timed=False)
            real = self.workspace.base_images(self.product)
        return pairs_changes(asked, len(self.catalog.defects), real)

    def _run(self, run: "Variant") -> dict[str, Any]:
        tested = self.experiment.protocol.until == "evaluate"
        targets = [f"evaluate@{self.product}"] if tested else [f"generate@{key}" for key in self.catalog.defects]
        draw = f", draw {self.number}" if self.experiment.protocol.draws > 1 else ""
        print(f"\n{self.product}{draw}: {run.name or run.generator}, in {self.workspace.home}", flush=True)
        seconds = self.workspace.reproduce(run.params, targets, timed=not tested)
        return {
            "name": run.name,
            "generator": run.generator,
            "params": run.params.model_dump(mode="json", by_alias=True),
            "evaluation": self.workspace.result("evaluate", self.product) if tested else None,
            "choice": self.workspace.result("choose", self.product) if tested else None,
            "seconds": seconds,
            "pairs": self.workspace.pairs_made(self.product),
        }
