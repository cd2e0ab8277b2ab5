"""Between image files and arrays: RGB uint8 [H, W, 3] and boolean masks [H, W] (METHODS section 0)."""

import io
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.errors import DataError

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
MASK_THRESHOLD = 127
"""Mask pixels above this are defect, everywhere."""


def encode_image(pixels: Pixels) -> bytes:
    """Return `pixels`, RGB uint8 [H, W, 3], as PNG."""
    return _png(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))


def encode_mask(mask: Mask) -> bytes:
    """Return `mask`, bool [H, W], as PNG with values {0, 255}."""
    return _png(mask.astype(np.uint8) * np.uint8(255))


def _png(array: NDArray[Any]) -> bytes:
    ok, data = cv2.imencode(".png", array, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not ok:
        raise DataError(f"an array of shape {array.shape} and type {array.dtype} cannot be encoded as PNG")
    return data.tobytes()


def decode_image(png: bytes) -> Pixels:
    """Return the RGB uint8 [H, W, 3] pixels of a PNG that `encode_image` made."""
    return np.asarray(cv2.cvtColor(_decoded(png, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), np.uint8)


def decode_mask(png: bytes) -> Mask:
    """Return the bool [H, W] mask of a PNG that `encode_mask` made."""
    return np.asarray(_decoded(png, cv2.IMREAD_GRAYSCALE) > MASK_THRESHOLD)


def _decoded(png: bytes, flag: int) -> NDArray[Any]:
    array = cv2.imdecode(np.frombuffer(png, np.uint8), flag)
    if array is None:
        raise DataError("a stored PNG cannot be decoded: the table is damaged; re-run the stage that wrote it")
    return array


def read_image(data: bytes, max_megapixels: float) -> Pixels:
    """Decode an image file of any common format and depth to RGB uint8 [H, W, 3].

    EXIF rotation is applied; 16-bit values are divided by 257; alpha is dropped; palettes are resolved.
    Raises DataError saying what is wrong with the file.
    """
    return np.asarray(_eight_bit(_open(data, max_megapixels)).convert("RGB"), np.uint8)


def read_mask(data: bytes, max_megapixels: float) -> Mask:
    """Decode a mask file to bool [H, W]: any channel over the threshold is defect; a mask of {0, 1} is taken as such.

    Raises DataError saying what is wrong with the file.
    """
    image = _open(data, max_megapixels)
    if image.mode == "P":
        image = image.convert("RGB")
    array = np.asarray(_eight_bit(image).convert("RGB")).max(axis=2)
    return np.asarray(array > (0 if array.max() <= 1 else MASK_THRESHOLD))


def _open(data: bytes, max_megapixels: float) -> Any:
    import warnings

    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data))
            megapixels = image.width * image.height / 1e6
            if megapixels > max_megapixels:
                raise DataError(f"{megapixels:.0f} megapixels, over ingest.max_megapixels = {max_megapixels:g}")
            image.load()
            return ImageOps.exif_transpose(image)
    except DataError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        raise DataError(f"not a readable image: {error or type(error).__name__}") from error


def _eight_bit(image: Any) -> Any:
    from PIL import Image

    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.float64)
        return Image.fromarray(np.clip(np.round(values / 257 if values.max() > 255 else values), 0, 255).astype(np.uint8))
    return image


@lru_cache(maxsize=64)
def decode_image_cached(png: bytes) -> Pixels:
    """`decode_image` for images used again and again; the result is read-only."""
    pixels = decode_image(png)
    pixels.flags.writeable = False
    return pixels
