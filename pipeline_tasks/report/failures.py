"""Test images on which the recommended detector does worst: defects that it misses, normal parts that alarm it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline_tasks.benefit_params import INCUMBENT
from pipeline_tasks.images.codec import decode_image, decode_mask
from pipeline_tasks.report.contents import ProductContents
from pipeline_tasks.report.pictures import full, located, window_around, zoomed
from pipeline_tasks.report.words import CHOSEN, arm_words
from pipeline_tasks.schema import GOOD, Sample

SHOWN = 6
"""Images of either kind."""


@dataclass(frozen=True)
class Failure:
    """A test image: its pictures as data URIs, its path, and how the detector scores it."""

    path: str
    words: str
    pictures: Sequence[str]


@dataclass(frozen=True)
class FailuresSection:
    """What the detector trained as `arm` fails on."""

    arm: str
    missed: Sequence[Failure]
    alarms: Sequence[Failure]


def failures_section(contents: ProductContents) -> FailuresSection | None:
    """Return the failures of the chosen mixture, of the incumbent where nothing else is chosen; None if unscored."""
    images: Mapping[str, Sequence[Mapping[str, Any]]] = contents.evaluation.get("images") or {}
    arm = next((arm for arm in (CHOSEN, INCUMBENT, *images) if images.get(arm)), None)
    if arm is None:
        return None
    defects = [image for image in images[arm] if image["defect"] != GOOD and image["pixel_ap"] is not None]
    normals = [image for image in images[arm] if image["defect"] == GOOD]
    missed = sorted(defects, key=lambda image: (image["pixel_ap"], image["source_path"]))[:SHOWN]
    alarms = sorted(normals, key=lambda image: (-image["image_score"], image["source_path"]))[:SHOWN]
    shown = (_shown(images, contents.test, words) for images, words in ((missed, _missed), (alarms, _alarm)))
    return FailuresSection(arm_words(arm), *shown)


def _shown(
    images: Sequence[Mapping[str, Any]],
    load: Callable[[Collection[str]], Sequence[Sample]],
    words: Callable[[Mapping[str, Any]], str],
) -> list[Failure]:
    samples = {sample.source_path: sample for sample in load([image["source_path"] for image in images])}
    return [Failure(image["source_path"], words(image), _pictures(samples[image["source_path"]])) for image in images]


def _missed(image: Mapping[str, Any]) -> str:
    return f"{image['defect']}: pixel AP {image['pixel_ap']:.2f}, image score {image['image_score']:.2f}"


def _alarm(image: Mapping[str, Any]) -> str:
    return f"normal: image score {image['image_score']:.2f}"


def _pictures(sample: Sample) -> list[str]:
    image = decode_image(sample.image)
    if sample.mask is None:
        return [full(image)]
    mask = decode_mask(sample.mask)
    return [located(image, mask), zoomed(image, window_around(mask))]
