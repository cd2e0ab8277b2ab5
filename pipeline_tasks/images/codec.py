"""Between image files and arrays: RGB uint8 [H, W, 3] and boolean masks [H, W] (METHODS section 0)."""

import io
import warnings
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.errors import DataError

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
MASK_THRESHOLD = 127
"""Mask pixels above this are defect, everywhere."""
FORMATS = ("PNG", "JPEG", "BMP", "TIFF")
"""What image files may hold, whatever their names say. Other decoders (one runs a program on the file) stay off."""


def encode_image(pixels: Pixels) -> bytes:
    """Return `pixels`, RGB uint8 [H, W, 3], as PNG."""
    return _png(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))


def encode_mask(mask: Mask) -> bytes:
    """Return `mask`, bool [H, W], as PNG with values {0, 255}."""
    return _png(mask.astype(np.uint8) * np.uint8(255))


def encode_grey(levels: NDArray[np.uint8]) -> bytes:
    """Return grey `levels`, uint8 [H, W], as PNG."""
    return _png(levels)


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
    array = cv2.imdecode(np.frombuffer(png, np.uint8), flag) if png else None
    if array is None:
        raise DataError("a stored PNG cannot be decoded: the table is damaged; re-run the stage that wrote it")
    return array


def read_image(data: bytes, max_megapixels: float) -> Pixels:
    """Decode a PNG, JPEG, BMP or TIFF file of any depth to RGB uint8 [H, W, 3].

    EXIF rotation is applied; 16-bit values are divided by 257; alpha is dropped; palettes are resolved.
    Raises DataError saying what is wrong with the file.
    """
    return _read(data, "RGB", max_megapixels)


def read_mask(data: bytes, max_megapixels: float) -> Mask:
    """Decode a mask file to bool [H, W]: any visible channel over the threshold is defect.

    A mask of {0, 1} is taken as such; transparent pixels are none. Raises DataError saying what is wrong with the file.
    """
    rgba = _read(data, "RGBA", max_megapixels)
    values = np.where(rgba[..., 3] > MASK_THRESHOLD, rgba[..., :3].max(axis=2), 0)
    return np.asarray(values > (0 if values.max() == 1 else MASK_THRESHOLD))


def _read(data: bytes, mode: str, max_megapixels: float) -> Pixels:
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_size(image.width * image.height / 1e6, max_megapixels)
            return np.asarray(_eight_bit(ImageOps.exif_transpose(image)).convert(mode), np.uint8)
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"the content is no {', '.join(FORMATS[:-1])} or {FORMATS[-1]}") from error
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        raise DataError(f"damaged: {error or type(error).__name__}") from error


def _check_size(megapixels: float, limit: float) -> None:
    if megapixels > limit:
        raise DataError(f"{megapixels:.0f} megapixels, over ingest.max_megapixels = {limit:g}")


def _eight_bit(image: Any) -> Any:
    """Bring integers of 16 bits and more to 8, unless they fit already, as in masks of {0, 1} and {0, 255}."""
    from PIL import Image

    if image.mode == "F":
        raise DataError("floating-point pixels, whose white is not known; save it with 8 or 16 bits a channel")
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image).astype(np.float64)
    return Image.fromarray(np.clip(np.rint(values / 257 if values.max() > 255 else values), 0, 255).astype(np.uint8))
