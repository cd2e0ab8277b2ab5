"""What the prior is worth: the inpainting generator from the prior and from nothing, at several budgets, and pasting.

Run in a workspace whose `masks` stage is done, on the parameters of its params.yaml:

    python benchmarks/prior.py --product magnetic_tile --arms paste scratch:350 prior:90 --seeds 0 1 2 --out prior-tile

An arm is paste, or the start of the training and its steps. Of each arm and seed: CPU seconds of the training; loss in
the hole on the real test images (grey levels squared, so that arms with another scale compare; without and with a
guide); how honest labels are before anything is rejected; distances between patches, narrow and wide defects apart;
KID by a network of the product's own; pixel AP of a U-Net trained on real images and these. Results of an arm and seed
are kept in OUT/ and not made again. `--also before=data/pairs/P` scores pairs that another version made. The page
OUT/grids.html shows pairs of each arm, the narrow ones first.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from html import escape
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import cv2
import numpy as np
import torch
from patches import Marked, of_width, roughness, sliced_wasserstein

from pipeline_tasks.backends.inpainting import Inpainting, InpaintingBackend
from pipeline_tasks.backends.inpainting_trainer import InpaintingTrainer
from pipeline_tasks.backends.judgement import KEEP_ALL, known_defects
from pipeline_tasks.backends.pairs import make_pairs
from pipeline_tasks.backends.paste import PasteBackend
from pipeline_tasks.backends.protocol import TrainingSamples
from pipeline_tasks.benefit.arms import Arm
from pipeline_tasks.benefit.likeness import Likeness
from pipeline_tasks.benefit.material import Material, Piece, pair_pieces, real_piece
from pipeline_tasks.detectors.kinds import train_localiser
from pipeline_tasks.detectors.windows import open_scene
from pipeline_tasks.diffusion.device import pick_device, pick_dtype
from pipeline_tasks.errors import ModelError
from pipeline_tasks.images.codec import decode_image, decode_mask
from pipeline_tasks.inpainting.initial import SCRATCH, found_prior
from pipeline_tasks.inpainting.training_windows import DefectImage, defect_window
from pipeline_tasks.inpainting.window_loss import window_loss
from pipeline_tasks.measures.scored import localisation_scores, score_image
from pipeline_tasks.params import Params, load_params
from pipeline_tasks.progress import track
from pipeline_tasks.prompts import read_prompts
from pipeline_tasks.provenance import MadeBy
from pipeline_tasks.report.pictures import window_around, zoomed
from pipeline_tasks.schema import GOOD, MaskRow, Pair, Sample
from pipeline_tasks.storage import read_rows

DATA = Path("data")
UNPUBLISHED = MadeBy(code_revision="", run_id="")
WINDOWS, BATCH = 256, 16
SHOWN = 8


class Nowhere:
    """Keeps no checkpoints."""

    def load(self) -> None:
        """Return that there is none."""

    def save(self, _: object) -> None:
        """Keep nothing."""


class Contest:
    """A product's base and test samples, its masks, and what is measured of an arm."""

    def __init__(self, product: str, pairs: int, params: Params) -> None:
        self.product, self.params = product, params
        self.base, self.test = (
            [s for file in sorted((DATA / split / product).glob("*.parquet")) for s in read_rows(file, Sample)]
            for split in ("base", "test")
        )
        self.defects = sorted({s.defect for s in self.base} - {GOOD})
        self.rows = {
            d: list(read_rows(DATA / "masks" / product / f"{d}.parquet", MaskRow))[:pairs] for d in self.defects
        }
        self.prompts = read_prompts(DATA / "prompts" / f"{product}.json")
        detector = params.detector
        self.real = [real_piece(s, detector.max_image_px) for s in self.base]
        self.test_pieces = [real_piece(s, detector.max_image_px) for s in self.test if s.defect != GOOD]

    def arm(self, name: str, seed: int) -> tuple[dict[str, Any], list[Pair]]:
        """Return what is measured of an arm that is made here, and its pairs."""
        if name == "paste":
            pairs = self._pairs(PasteBackend(self._kept_all()), seed)
            return self._measured(pairs, seed), pairs
        init, steps = name.rsplit(":", 1)
        begun = time.process_time()
        model = self._trained(init, int(steps), seed)
        seconds = time.process_time() - begun
        backend = InpaintingBackend(model, self._kept_all(), "")
        begun = time.process_time()
        pairs = self._pairs(backend, seed)
        rate = len(pairs) / (time.process_time() - begun)
        losses = {
            f"loss_{kind}/{d}": self._loss(model, d, guided)
            for d in self.defects
            for kind, guided in (("unguided", False), ("guided", True))
        }
        own = {"train_cpu_s": seconds, "steps": len(model.losses), "pairs_per_cpu_s": rate}
        return own | losses | self._measured(pairs, seed), pairs

    def _trained(self, init: str, steps: int, seed: int) -> Inpainting:
        train = self.params.train.model_copy(update={"init": init, "steps": steps, "checkpoint_every_steps": 10**6})
        samples = TrainingSamples(
            [s for s in self.base if s.defect != GOOD], [s for s in self.base if s.defect == GOOD], self.prompts
        )
        trainer = InpaintingTrainer(train, "" if init == SCRATCH else found_prior(init)["digest"])
        return trainer.train(samples, seed, Nowhere(), lambda steps: iter(track(steps, f"{init}:{steps.stop}")))

    def _kept_all(self) -> Any:
        return self.params.generate.model_copy(update={"keep": KEEP_ALL, "attempts": 1})

    def _pairs(self, backend: Any, seed: int) -> list[Pair]:
        normals = {s.source_path: s for s in self.base if s.defect == GOOD}
        made = []
        for defect, rows in self.rows.items():
            samples = {s.source_path: s for s in self.base if s.defect == defect}
            own = [row if seed == 0 else _reseeded(row, seed) for row in rows]
            known = known_defects(samples.values())
            ingredients = (samples, normals, self.prompts, known, self._kept_all(), UNPUBLISHED)
            made += [one for one in make_pairs(backend, own, *ingredients) if isinstance(one, Pair)]
        return made

    @torch.inference_mode()
    def _loss(self, model: Inpainting, defect: str, guided: bool) -> float:
        """Return the loss in the hole on test images, grey levels squared, on the same windows for every arm."""
        number, own = model.defects.index(defect), [s for s in self.test if s.defect == defect]
        images = [
            DefectImage(decode_image(s.image), decode_mask(s.mask or b""), number, model.dilation_px) for s in own
        ]
        rng, found = np.random.default_rng(7), []
        device = pick_device("auto")
        for _ in range(WINDOWS // BATCH):
            chosen = [images[rng.integers(len(images))] for _ in range(BATCH)]
            windows = [defect_window(image, model.window_px, model.scale, guided, rng) for image in chosen]
            grains = [model.grain] * BATCH
            loss = window_loss(model.unet, windows, grains, len(model.defects), rng, device, pick_dtype("auto", device))
            found.append(float(loss))
        return mean(found) * model.scale**2

    def _measured(self, pairs: Sequence[Pair], seed: int) -> dict[str, Any]:
        return self.honesty(pairs) | self.distances(pairs) | self.likeness(pairs) | self.ap(pairs, seed)

    def honesty(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        """Return the mean scores of labels, by defect: 1 = what changed is what is marked."""
        scores = ("alignment", "label_iou", "spill")
        return {
            f"{score}/{d}": mean(getattr(p, score) for p in pairs if p.defect == d)
            for score in scores
            for d in self.defects
        }

    def distances(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        """Return distances between patches of generated and real defects, of the test split where it has such ones."""
        found: dict[str, Any] = {}
        for defect in self.defects:
            made = [(decode_image(p.image), decode_mask(p.mask)) for p in pairs if p.defect == defect]
            for kind in ("narrow", "wide"):
                real = self._real(defect, kind)
                ours = of_width(made, kind)
                found[f"swd_{kind}/{defect}"] = sliced_wasserstein(ours, real, kind, 0)
                rough, true = roughness(ours), roughness(real)
                if rough is not None and true is not None:
                    found[f"rough_error_{kind}/{defect}"] = float(np.abs(np.log((rough + 0.5) / (true + 0.5))).mean())
        return found

    def _real(self, defect: str, kind: str) -> list[Marked]:
        for split in (self.test, [*self.test, *self.base]):
            images = [(decode_image(s.image), decode_mask(s.mask or b"")) for s in split if s.defect == defect]
            if wanted := of_width(images, kind):
                return wanted
        return []

    def likeness(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        """Return KID (x 1000) of views, by the product's own network, the same for every arm."""
        material = Material(self.real, {"made": self._pieces(pairs)})
        evaluate, detector = self.params.evaluate, self.params.detector
        own = Likeness(evaluate.generation, detector, self.product, material, self.test_pieces, 0)
        own.__dict__["network"] = self.network  # of the base views alone, so that all arms share it
        found = own.measures("made")
        return {f"kid/{d}": value for d in self.defects for key, value in found[d].items() if key.startswith("kid_")}

    @cached_property
    def network(self) -> Any:
        """Return the network that KID is measured by."""
        material, params = Material(self.real, {}), self.params
        return Likeness(params.evaluate.generation, params.detector, self.product, material, [], 0).network

    def ap(self, pairs: Sequence[Pair] | None, seed: int) -> dict[str, Any]:
        """Return the pixel AP on the test split, by defect, of a U-Net of this seed; without pairs: real_flip."""
        material = Material(self.real, {"made": self._pieces(pairs)} if pairs else {})
        arm = Arm("made", 50, "flip") if pairs else Arm.read("real_flip", "made")
        mixes = material.mixes(dict.fromkeys(self.defects, arm))
        detector = train_localiser("unet", material.scenes(), mixes, self.params.detector, seed, lambda: None)
        opened = [(s, open_scene(s.image, s.mask, self.params.detector.max_image_px)) for s in self.test]
        scored = [score_image(s.source_path, s.defect, detector.score_map(o), o.mask) for s, o in opened]
        return {f"ap/{d}": localisation_scores(scored, [d])["pixel_ap"] for d in self.defects}

    def _pieces(self, pairs: Sequence[Pair]) -> list[Piece]:
        return pair_pieces(pairs, self.params.detector.max_image_px, self.params.detector.window_px)


def _reseeded(row: MaskRow, seed: int) -> MaskRow:
    return replace(row, seed=(row.seed + seed) % 2**63)


def kept(folder: Path, name: str, seed: int, make: Callable[[], tuple[dict[str, Any], list[Pair]]]) -> dict[str, Any]:
    """Return what is kept of an arm and seed in `folder`, made if it is not there."""
    file = folder / f"{name.replace('/', '_').replace(':', '_')}.{seed}.json"
    if not file.is_file():
        found, pairs = make()
        file.write_text(json.dumps(found | {"grid": [*grid(pairs)]}, indent=1))
    result: dict[str, Any] = json.loads(file.read_text())
    return result


def grid(pairs: Sequence[Pair]) -> Iterator[str]:
    """Yield pictures of the first narrow and the first wide pairs of each defect, as data URIs."""
    for defect in sorted({p.defect for p in pairs}):
        marked = [(decode_image(p.image), decode_mask(p.mask)) for p in pairs if p.defect == defect]
        for kind in ("narrow", "wide"):
            yield from (zoomed(i, window_around(m)) for i, m in of_width(marked, kind)[:SHOWN])


def table(results: dict[str, list[dict[str, Any]]]) -> str:
    """Return every measure of every arm, mean and standard deviation over the seeds, as Markdown."""
    measures = [k for k in dict.fromkeys(k for runs in results.values() for run in runs for k in run) if k != "grid"]
    lines = [f"| | {' | '.join(results)} |", f"|---|{'---|' * len(results)}"]
    for measure in measures:
        cells = [_cell([run[measure] for run in runs if run.get(measure) is not None]) for runs in results.values()]
        lines.append(f"| {measure} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(values: Sequence[float]) -> str:
    if not values:
        return ""
    return f"{mean(values):.3g}" + (f" ± {stdev(values):.2g}" if len(values) > 1 else "")


def page(results: dict[str, list[dict[str, Any]]], title: str) -> str:
    """Return a page with a row of pictures for each arm, of its first seed."""
    style = "<style>body{font:14px sans-serif}th{max-width:9em;text-align:left}img{width:150px}</style>"
    rows = (
        f"<tr><th>{escape(name)}</th>{''.join(f'<td><img src={uri!r}></td>' for uri in runs[0].get('grid', ()))}</tr>"
        for name, runs in results.items()
    )
    return f"<!doctype html><title>{title}</title>{style}<h1>{title}</h1><table>{''.join(rows)}</table>"


def main() -> None:
    """Measure the arms and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--product", required=True)
    parser.add_argument("--arms", nargs="*", default=["paste", "scratch:350", "scratch:1750", "prior:90", "prior:350"])
    parser.add_argument("--also", nargs="*", default=[], metavar="NAME=FOLDER", help="pairs made elsewhere")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--pairs", type=int, default=48)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    contest = Contest(options.product, options.pairs, load_params())
    results: dict[str, list[dict[str, Any]]] = {}
    for seed in options.seeds:
        made = {"real_flip": lambda seed=seed: (contest.ap(None, seed), [])}
        made |= {name: partial(contest.arm, name, seed) for name in options.arms}
        for also in options.also:
            name, folder = also.split("=", 1)
            made[name] = partial(_elsewhere, contest, Path(folder), options.pairs, seed)
        for name, make in made.items():
            results.setdefault(name, []).append(kept(options.out, name, seed, make))
            print(name, seed, {k: v for k, v in results[name][-1].items() if k != "grid"}, flush=True)
    print(table(results))
    (options.out / "grids.html").write_text(page(results, options.product))


def _elsewhere(contest: Contest, folder: Path, count: int, seed: int) -> tuple[dict[str, Any], list[Pair]]:
    pairs = []
    for defect in contest.defects:
        files = sorted((folder / defect).glob("*.parquet"))
        pairs += [pair for file in files for pair in read_rows(file, Pair)][:count]
    if not pairs:
        raise ModelError(f"{folder}: holds no pairs of {contest.defects}")
    return contest._measured(pairs, seed), pairs


if __name__ == "__main__":
    main()
