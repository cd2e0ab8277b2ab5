"""Pictures of the report: small, with the mask as an outline beside the defect and never on it."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.errors import DataError
from pipeline_tasks.images.codec import Mask, Pixels

FULL_PX = 320
"""Longest side of a picture of a whole image."""
ZOOM_PX = 240
"""Side of a zoomed crop."""
CONTEXT = 0.35
"""How much of the defect's size is shown around it."""
LEAST_WINDOW_PX = 48
GAP_PX = 4
OUTLINE = (255, 0, 140)
WINDOW = (0, 120, 255)
JPEG_QUALITY = 85


@dataclass(frozen=True)
class Window:
    """A part of an image, in its pixels; right and bottom are exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    def of(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Return the part of an image or mask, [H, W, ...]."""
        return pixels[self.top : self.bottom, self.left : self.right]


def window_around(mask: Mask) -> Window:
    """Return the window that shows the defect of `mask`, bool [H, W], with some context, inside the image."""
    height, width = mask.shape
    left, top, box_width, box_height = cv2.boundingRect(mask.astype(np.uint8))
    side = max(round(max(box_width, box_height) * (1 + 2 * CONTEXT)), LEAST_WINDOW_PX)
    left, right = _inside(left + box_width // 2, side, width)
    top, bottom = _inside(top + box_height // 2, side, height)
    return Window(left, top, right, bottom)


def whole(pixels: NDArray[Any]) -> Window:
    """Return the window that shows all of an image or mask, [H, W, ...]."""
    return Window(0, 0, pixels.shape[1], pixels.shape[0])


def _inside(centre: int, length: int, size: int) -> tuple[int, int]:
    """Return start and end of `length` pixels about `centre`, shifted and cut to lie within `size`."""
    start = max(0, min(centre - length // 2, size - length))
    return start, min(size, start + length)


def full(pixels: Pixels) -> str:
    """Return the whole image, RGB uint8 [H, W, 3], as a data URI."""
    return _uri(_resized(pixels, FULL_PX / max(pixels.shape[:2])))


def at_most_full(pixels: Pixels) -> str:
    """Return the whole image, RGB uint8 [H, W, 3], at its own size or, if it is larger, at FULL_PX, as a data URI."""
    return _uri(_resized(pixels, min(1.0, FULL_PX / max(pixels.shape[:2]))))


def located(pixels: Pixels, mask: Mask) -> str:
    """Return the whole image with the mask's outline and the window of its zoom, as a data URI."""
    return _uri(draw_location(pixels, mask))


def zoomed(pixels: Pixels, window: Window) -> str:
    """Return the window of the image, enlarged to ZOOM_PX, as a data URI."""
    part = window.of(pixels)
    return _uri(_resized(part, ZOOM_PX / max(part.shape[:2])))


def zoomed_outline(pixels: Pixels, mask: Mask, window: Window) -> str:
    """Return the window of the image, enlarged to ZOOM_PX, with the mask's outline, as a data URI."""
    part = window.of(pixels)
    return _uri(_outlined(part, window.of(mask), ZOOM_PX / max(part.shape[:2])))


def contact_sheet(rows: Sequence[Sequence[Pixels]]) -> bytes:
    """Return rows of pictures, RGB uint8 [H, W, 3] each, on one white JPEG with equal cells of FULL_PX."""
    cells = [np.hstack([_cell(picture) for picture in row]) for row in rows]
    return _jpeg(np.vstack(cells))


def _cell(picture: Pixels) -> Pixels:
    cell = np.full((FULL_PX + 2 * GAP_PX, FULL_PX + 2 * GAP_PX, 3), 255, np.uint8)
    fitted = _resized(picture, FULL_PX / max(picture.shape[:2]))
    cell[GAP_PX : GAP_PX + fitted.shape[0], GAP_PX : GAP_PX + fitted.shape[1]] = fitted
    return cell


def draw_location(pixels: Pixels, mask: Mask) -> Pixels:
    """Return the image at FULL_PX with the mask's outline, and the window around it as a rectangle."""
    scale = FULL_PX / max(pixels.shape[:2])
    canvas = _outlined(pixels, mask, scale)
    window = window_around(mask)
    left, top, right, bottom = (round(v * scale) for v in (window.left, window.top, window.right, window.bottom))
    cv2.rectangle(canvas, (left, top), (right, bottom), WINDOW, 1)
    return canvas


def _outlined(pixels: Pixels, mask: Mask, scale: float) -> Pixels:
    """Return the image at `scale` with a thin outline two pixels away from the mask."""
    canvas = _resized(pixels, scale)
    grown = cv2.dilate(_at_size(mask, canvas.shape[:2]), np.ones((5, 5), np.uint8))
    contours, _ = cv2.findContours(grown, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(canvas, contours, -1, OUTLINE, 1)
    return canvas


def _at_size(mask: Mask, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return the mask as {0, 1} of `shape` with every marked pixel kept: sampling alone would lose thin cracks."""
    large = cv2.resize(mask.astype(np.uint8), shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    rows, columns = np.nonzero(mask)
    large[rows * shape[0] // mask.shape[0], columns * shape[1] // mask.shape[1]] = 1
    return np.asarray(large, np.uint8)


def _resized(pixels: Pixels, scale: float) -> Pixels:
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.ascontiguousarray(cv2.resize(pixels, size, interpolation=interpolation), np.uint8)


def _uri(pixels: Pixels) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(_jpeg(pixels)).decode()


def _jpeg(pixels: Pixels) -> bytes:
    ok, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not ok:
        raise DataError(f"a picture of shape {pixels.shape} cannot be encoded as JPEG")
    return data.tobytes()
