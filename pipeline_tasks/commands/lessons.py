"""What `defectline retrain` has detectors learn: read from MLflow, the workspace and, for an earlier version, DVC."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline_tasks.commands.work import WORK

if TYPE_CHECKING:
    from pipeline_tasks.benefit.gate import Ruling
    from pipeline_tasks.benefit.trainings import Bench
    from pipeline_tasks.detector_params import Detector
    from pipeline_tasks.detectors.kinds import LocaliserKind
    from pipeline_tasks.lineage.earlier_pairs import Origin
    from pipeline_tasks.lineage.lock import Lock
    from pipeline_tasks.params import Params
    from pipeline_tasks.stages.retrain import Ground, Lesson, Pairs, Retrained, Rival
    from pipeline_tasks.tracking.datasets import DatasetVersion
    from pipeline_tasks.tracking.detectors import DetectorVersion, Training
    from pipeline_tasks.tracking.models import Models


@dataclass(frozen=True)
class Judged:
    """A detector registered before, and what the gate makes of it against the present champion, `compared_with`."""

    detector: "DetectorVersion"
    ruling: "Ruling"
    compared_with: str


@dataclass(frozen=True)
class Result:
    """A detector of a kind: as it was registered before for just the same training, or judged anew, or trained now."""

    kind: "LocaliserKind"
    training: "Training"
    detector: "DetectorVersion | Judged | Retrained"


@dataclass(frozen=True)
class Lessons:
    """A product's samples, its champion data set if there is one, and the detectors that MLflow has.

    licence: of the samples.
    """

    params: "Params"
    lock: "Lock"
    ground: "Ground"
    models: "Models"
    data: "DatasetVersion | None"
    licence: str
    _used: set[str] = field(default_factory=set)

    @property
    def note(self) -> str:
        """Say that there is no champion; nothing where there is one."""
        if self.data:
            return ""
        return "No data set is the champion in MLflow, so the detectors are trained on real images alone, with flips."

    @property
    def origin(self) -> "Origin":
        """Where the champion's pairs are to be found."""
        from pipeline_tasks.lineage.earlier_pairs import Origin

        return Origin(self.data.version, self.data.git_revision) if self.data else Origin("", "")

    def drawn_on(self, records: "Sequence[Mapping[str, Any]]") -> list[str]:
        """Return the names of the data sets in MLflow whose pairs, or these' masks, the recorded trainings drew on."""
        arms = {(defect, arm, record["generator"]) for record in records for defect, arm in record["arms"].items()}
        return sorted({f"{self.ground.product}/{defect}" for defect, arm, maker in arms if _drawn([arm], maker)})

    def results(self) -> list[Result]:
        """Return every kind of detector that params.yaml asks for; what was trained before is looked up."""
        from pipeline_tasks.tracking.detectors import find_detector

        ours, seed = self._ours(), self.params.retrain.seed
        digests = {kind: ours.digest(kind, seed) for kind in self.params.retrain.detectors}
        known = {kind: find_detector(self.models, self.ground.product, kind, d) for kind, d in digests.items()}
        made: dict[LocaliserKind, DetectorVersion | Judged | Retrained] = {
            k: found for k, found in known.items() if found
        }
        if due := [kind for kind, found in known.items() if not found or self._is_to_be_judged(kind, found)]:
            with self._bench() as bench:
                for kind in due:
                    made[kind] = self._made(kind, known[kind], ours, bench(kind))
            self._tidy()
        return [Result(kind, self._training(ours, digest), made[kind]) for kind, digest in digests.items()]

    def _is_to_be_judged(self, kind: "LocaliserKind", found: "DetectorVersion") -> bool:
        """Tell whether another one is the champion than what `found` was compared with, and not by hand in its place.

        So it is where the data have returned to what an earlier detector learned from.
        """
        from pipeline_tasks.tracking.detectors import champion_detector
        from pipeline_tasks.tracking.models import was_replaced_by

        champion = champion_detector(self.models, self.ground.product, kind)
        if champion is None or champion.number in (found.number, found.compared_with):
            return False
        return not was_replaced_by(found.registered, champion.number)

    def _made(
        self, kind: "LocaliserKind", found: "DetectorVersion | None", ours: "Lesson", bench: "Bench"
    ) -> "Judged | Retrained":
        from pipeline_tasks.stages import retrain as stage

        rival, seed = self._rival(kind), self.params.retrain.seed
        if found is None or rival.champion is None:
            return stage.run(self.ground, kind, ours, rival, bench, seed)
        return Judged(found, stage.judge(self.ground, kind, ours, rival, bench, seed), rival.champion.number)

    def _training(self, ours: "Lesson", digest: str) -> "Training":
        """Return what MLflow keeps of a lesson."""
        from pipeline_tasks.tracking.detectors import Training

        origin, settings = self.origin, ours.settings.model_dump_json()
        return Training(digest, origin.version, origin.revision, ours.generator, ours.base_digest, ours.arms, settings)

    def _ours(self) -> "Lesson":
        """Return what the champion data set recommends; real images alone without one."""
        detector = self.params.detector
        if self.data is None:
            return self._lesson(detector, self.params.backend.name, {}, self.origin)
        said = self.data.recommendation
        arms = {defect: found["arm"] for defect, found in said["defects"].items()}
        return self._lesson(detector, said["generator"], arms, self.origin)

    def _rival(self, kind: "LocaliserKind") -> "Rival":
        """Return the champion among the detectors, with what it learned; without one, real images alone."""
        from pipeline_tasks.lineage.earlier_pairs import Origin
        from pipeline_tasks.stages.retrain import Champion, Rival
        from pipeline_tasks.tracking.detectors import champion_detector, localiser_of

        champion = champion_detector(self.models, self.ground.product, kind)
        if champion is None:
            return Rival(self._lesson(self.params.detector, self.params.backend.name, {}, self.origin), None)
        learned = champion.training
        settings, origin = _settings_of(champion, self.params.detector), Origin(learned.version, learned.git_revision)
        lesson = self._lesson(settings, learned.generator, learned.arms, origin)
        localiser = localiser_of(self.models, champion, self.params.detector.device)
        return Rival(lesson, Champion(champion.number, learned.version, learned.base_digest, localiser))

    def _lesson(self, settings: "Detector", generator: str, arms: Mapping[str, str], origin: "Origin") -> "Lesson":
        """Return what `arms` draw on. Raises DataError or LeakageError where the base set no longer is what it was."""
        from pipeline_tasks.errors import DataError, LeakageError
        from pipeline_tasks.lineage.earlier_pairs import PROMOTE
        from pipeline_tasks.stages.retrain import prepare

        if not _drawn(arms.values(), generator):
            return prepare(self.ground, settings, generator, arms, {})
        pairs = self._pairs(generator, origin)
        try:
            return prepare(self.ground, settings, generator, arms, pairs)
        except (DataError, LeakageError) as error:
            raise type(error)(f"version {origin.version}: {error}, or {PROMOTE}") from error

    def _pairs(self, generator: str, origin: "Origin") -> "Pairs":
        from pipeline_tasks.commands.ingredients import pairs_by_source
        from pipeline_tasks.lineage.earlier_pairs import pairs_of

        product, base, most = self.ground.product, self.ground.base, self.params.choose.pairs_per_arm
        self._used.add(origin.version)
        made = pairs_of(origin, self.lock, product, self._fetched / origin.version)
        return pairs_by_source(product, made.pairs, made.masks, base, generator, most, self.params.generate)

    @property
    def _fetched(self) -> Path:
        return WORK / "versions" / self.ground.product

    def _tidy(self) -> None:
        """Remove the pairs of versions that were fetched once and are not asked for any more."""
        for folder in self._fetched.glob("*"):
            if folder.name not in self._used:
                shutil.rmtree(folder)

    @contextmanager
    def _bench(self) -> "Iterator[Callable[[LocaliserKind], Bench]]":
        """Yield what makes the bench of a kind; what `choose` has trained for its folds is not trained again."""
        import time

        from pipeline_tasks.benefit.trainings import Bench
        from pipeline_tasks.commands.shelf import FolderShelf
        from pipeline_tasks.progress import track

        product = self.ground.product
        shelf = FolderShelf.of("retrain", product)
        _borrow(FolderShelf.of("choose", product).folder, shelf.folder)
        with track([], f"retrain {product}, trainings") as bar:
            yield lambda kind: Bench(self.params.detector, kind, shelf, time.process_time, bar.update)
        shelf.tidy()


def _drawn(arms: Iterable[str], generator: str) -> set[str]:
    """Return the sources of synthetic defects among `arms` that are a data set's: its pairs, or pasted by its masks."""
    from pipeline_tasks.benefit.arms import read_arms, sources
    from pipeline_tasks.benefit.simulated import SIMULATED

    return set(sources(read_arms(arms, generator))) - set(SIMULATED)


def _settings_of(champion: "DetectorVersion", present: "Detector") -> "Detector":
    """Return the settings that a champion was trained with; the present ones if they are no longer known."""
    from pydantic import ValidationError

    from pipeline_tasks.detector_params import Detector

    try:
        return Detector.model_validate_json(champion.training.settings)
    except ValidationError:
        name = f"{champion.registered.model} version {champion.number}"
        print(f"{name}: its settings are those of another defectline, so it is compared with the present ones")
        return present


def _borrow(theirs: Path, ours: Path) -> None:
    """Copy the scores that another stage has kept and this one has not."""
    from pipeline_tasks.storage import atomic_file

    for file in theirs.glob("*.npz"):
        if not (ours / file.name).exists():
            with atomic_file(ours / file.name) as partial_copy:
                shutil.copyfile(file, partial_copy)
