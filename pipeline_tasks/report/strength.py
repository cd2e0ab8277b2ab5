"""What a rising strength of the defect, w_d, does to images that share all else (DefectDiffu Eq. 4)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from statistics import mean

import numpy as np

from pipeline_tasks.images.codec import Pixels, decode_image, decode_mask
from pipeline_tasks.images.honesty import Change, change_between
from pipeline_tasks.report.pictures import at_most_full, whole, zoomed, zoomed_outline
from pipeline_tasks.schema import StrengthTrial

SHOWN = 4
"""Mask rows whose pictures are shown; all of them count in the figures."""
GROWTH = 0.9
DIGITS = 6
"""Of a correlation: what is 0.9 by ranks must not fall short of it by a float's last bit."""
GROWS = {
    GROWTH: "the changed area grows with w_d",
    0.5: "the changed area tends to grow with w_d",
    -1.0: "w_d does not rule the changed area",
}
"""What a mean rank correlation of at least the key means."""
AGREES = {
    0.5: "attention alone marks what changed",
    0.2: "attention tells about where, the change itself has to tell the outline",
    0.0: "attention does not tell where the image changed",
}
"""What a mean agreement of at least the key means."""


@dataclass(frozen=True)
class Picture:
    """A picture as a data URI, and what is written below it."""

    uri: str
    words: str


@dataclass(frozen=True)
class StrengthSection:
    """What the report says and shows of a defect's trials.

    growth, agreement: the figures in words. grids: a row of pictures for each mask row, the unchanged image first.
    masks: the attention mask at a mask row's largest w_d beside what changed.
    """

    growth: str
    agreement: str
    grids: Sequence[Sequence[Picture]]
    masks: Sequence[Sequence[Picture]]


def strength_figures(trials: Sequence[StrengthTrial]) -> dict[str, float]:
    """Return the trials in figures by name; nothing without trials.

    spearman_mean, spearman_least: over mask rows, the rank correlation of w_d and the changed area, -1..1.
    agreement_mean: over mask rows, IoU of the attention mask and what changed at the largest w_d, 0..1.
    """
    if not trials:
        return {}
    rows = _rows(trials)
    correlations = [rank_correlation(row) for row in rows]
    return {
        "spearman_mean": mean(correlations),
        "spearman_least": min(correlations),
        "agreement_mean": mean(row[-1].agreement for row in rows),
    }


def rank_correlation(row: Sequence[StrengthTrial]) -> float:
    """Return Spearman's rank correlation of w_d and the changed area; 0 where the area never changes."""
    from scipy.stats import spearmanr

    areas = [trial.changed_px for trial in row]
    if len(set(areas)) == 1:
        return 0.0
    exact = float(spearmanr([trial.defect_scale for trial in row], areas).statistic)
    return round(exact, DIGITS)


def strength_section(trials: Sequence[StrengthTrial]) -> StrengthSection | None:
    """Return what the report shows of a defect's trials; None without any."""
    if not trials:
        return None
    rows, figures = _rows(trials), strength_figures(trials)
    return StrengthSection(
        _growth(rows, figures),
        _agreement(rows, figures),
        [_grid(row) for row in rows[:SHOWN]],
        [_mask_row(row[-1]) for row in rows[:SHOWN]],
    )


def _rows(trials: Sequence[StrengthTrial]) -> list[list[StrengthTrial]]:
    """Return the trials of each mask row, by rising w_d."""
    ordered = sorted(trials, key=attrgetter("pair_index", "defect_scale"))
    return [list(row) for _, row in groupby(ordered, key=attrgetter("pair_index"))]


def _growth(rows: Sequence[Sequence[StrengthTrial]], figures: Mapping[str, float]) -> str:
    low, high = rows[0][0].defect_scale, rows[0][-1].defect_scale
    reached = sum(rank_correlation(row) >= GROWTH for row in rows)
    return (
        f"Spearman's rank correlation of w_d and the changed area: {figures['spearman_mean']:.2f} on average, "
        f"{figures['spearman_least']:.2f} at the least; {reached} of {len(rows)} rows reach {GROWTH:g} "
        f"({len(rows[0])} values of w_d, {low:g} to {high:g}): {_meaning(GROWS, figures['spearman_mean'])}."
    )


def _agreement(rows: Sequence[Sequence[StrengthTrial]], figures: Mapping[str, float]) -> str:
    least, most = (pick(row[-1].agreement for row in rows) for pick in (min, max))
    return (
        f"Overlap (IoU) of the mean attention mask, thresholded, and what visibly changed, at the largest w_d of "
        f"{len(rows)} rows: {figures['agreement_mean']:.2f} on average, {least:.2f} to {most:.2f}: "
        f"{_meaning(AGREES, figures['agreement_mean'])}."
    )


def _meaning(words: Mapping[float, str], value: float) -> str:
    return next(text for least, text in words.items() if value >= least)


def _grid(row: Sequence[StrengthTrial]) -> list[Picture]:
    """Return the unchanged image, which is that at w_d = 0, and the image at every further w_d."""
    unchanged = Picture(at_most_full(decode_image(row[0].normal)), "unchanged (w_d 0)")
    changed = [trial for trial in row if trial.defect_scale > 0]
    return [unchanged, *(Picture(at_most_full(decode_image(t.image)), _strength(t)) for t in changed)]


def _strength(trial: StrengthTrial) -> str:
    return f"w_d {trial.defect_scale:g}: {trial.changed_px:,} px ({trial.changed_fraction:.1%})"


def _mask_row(trial: StrengthTrial) -> list[Picture]:
    """Return unchanged image, image, mean attention mask, outline of the mask that it and the change make, change."""
    normal, image, attention = (decode_image(png) for png in (trial.normal, trial.image, trial.attention))
    levels = change_between(image.astype(np.float32), normal.astype(np.float32))
    everything = whole(image)
    outline = zoomed_outline(image, decode_mask(trial.mask), everything)
    return [
        Picture(zoomed(normal, everything), "unchanged"),
        Picture(zoomed(image, everything), f"w_d {trial.defect_scale:g}"),
        Picture(zoomed(attention, everything), f"mean attention: overlap {trial.agreement:.2f}"),
        Picture(outline, f"mask, from both: {trial.mask_area_px:,} px"),
        Picture(zoomed(_bright(levels), everything), f"change: white = {levels.max():.0f} levels"),
    ]


def _bright(levels: Change) -> Pixels:
    """Return a change [h, w] as a picture [h, w, 3], black where there is none and white where it is largest."""
    scaled = np.rint(levels * (255 / max(float(levels.max()), 1.0))).astype(np.uint8)
    return np.repeat(scaled[..., None], 3, axis=2)
