"""Between image files and arrays: RGB uint8 [H, W, 3] and boolean masks [H, W] (METHODS section 0)."""

import hashlib
import io
import os
import stat
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.errors import DataError

if TYPE_CHECKING:
    from pipeline_tasks.params import Ingest

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
MASK_THRESHOLD = 127
"""Mask pixels above this are defect, everywhere."""
FORMATS = ("PNG", "JPEG", "BMP", "TIFF")
"""What image files may hold, whatever their names say. Other decoders (one runs a program on the file) stay off."""
PAGED = ("PNG", "TIFF")
"""Formats whose further pages are pictures of their own; a JPEG's are previews and depth maps of a telephone."""
ORIENTATION = 0x0112
"""EXIF's tag of how the camera was held."""
JPEG_MARK = b"\xff\xd8"
"""What a JPEG file begins with."""
SOFT_EDGES = 0.2
"""Drawn labels keep below, masks with soft or noisy edges above, each in 99.7% of cases."""


class TooLargeError(DataError):
    """A file or an image that exceeds a limit of params.yaml."""


def encode_image(pixels: Pixels) -> bytes:
    """Return `pixels`, RGB uint8 [H, W, 3], as PNG."""
    return _png(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))


def encode_mask(mask: Mask) -> bytes:
    """Return `mask`, bool [H, W], as PNG with values {0, 255}."""
    return _png(mask.astype(np.uint8) * np.uint8(255))


def image_digest(pixels: Pixels) -> str:
    """Return the SHA-256 (hex) of the raw pixels of an image, as rows of samples and pairs have it."""
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def mask_digest(mask: Mask) -> str:
    """Return the SHA-256 (hex) of a mask's raw pixels, uint8 {0, 255}."""
    return image_digest(mask.astype(np.uint8) * np.uint8(255))


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


def read_file(path: Path, limits: "Ingest") -> bytes:
    """Return the content of a regular file. Waits for no other program: pipes, devices and folders are refused.

    Raises DataError for these, TooLargeError over `max_file_mb`, OSError if it cannot be opened.
    """
    most = int(limits.max_file_mb * 1e6)
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise DataError("no regular file, but a pipe or a device")
        if found.st_size > most:
            raise TooLargeError(f"{found.st_size / 1e6:.0f} MB, over ingest.max_file_mb = {limits.max_file_mb:g}")
        return file.read(most)


def read_image(data: bytes, limits: "Ingest") -> Pixels:
    """Decode a PNG, JPEG, BMP or TIFF file to RGB uint8 [H, W, 3].

    EXIF rotation is applied; of 16-bit values `white_16bit` becomes 255, unless all of them fit 8 bits; alpha is
    dropped; palettes are resolved. Raises DataError saying what is wrong with the file, TooLargeError over
    `max_megapixels`.
    """
    values = _read(data, "RGB", limits)
    if values.dtype != np.uint8:
        scale = 255 / limits.white_16bit if values.max() > 255 else 1.0
        values = np.clip(np.rint(values * scale), 0, 255).astype(np.uint8)
    return values[..., :3] if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)


def read_mask(data: bytes, limits: "Ingest") -> Mask:
    """Decode a mask file to bool [H, W]. The same errors as `read_image`.

    A pixel's level is its brightest channel, 0 where it is transparent; in a picture of several colours, none of them
    dark, how far it is from the most frequent colour. Either every level but the lowest is defect
    (two values, or the numbers or colours of instances), or the mask is soft or noisy (scaled, drawn with smooth edges,
    once saved as a JPEG) and what exceeds half of the highest is. The edges tell: labels meet directly, so hardly a
    place shows a level between two others, unless that fills 3 x 3 pixels somewhere and so is a label itself; soft and
    noisy edges show such levels nearly everywhere. A mask of one level marks all if that is bright, else nothing.
    """
    levels = _levels(_read(data, "RGBA", limits))
    low, high = int(levels.min()), int(levels.max())
    if low == high:
        return np.full(levels.shape, low > MASK_THRESHOLD)
    soft = data.startswith(JPEG_MARK) or _is_soft(levels)
    return np.asarray(levels > ((low + high) / 2 if soft else low))


def _levels(values: NDArray[Any]) -> NDArray[Any]:
    if values.ndim == 2:
        return values
    half = np.iinfo(values.dtype).max // 2
    levels = np.where((values[..., 3:] > half).all(axis=2), _brightest(values), 0)
    if levels.min() <= half:
        return levels
    colours, counts = np.unique(values[..., :3].reshape(-1, 3), axis=0, return_counts=True)
    background = np.broadcast_to(colours[counts.argmax()], values[..., :3].shape)
    return levels if len(colours) == 1 else _brightest(cv2.absdiff(values[..., :3], background))


def _brightest(values: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(cv2.max(cv2.max(values[..., 0], values[..., 1]), values[..., 2]))


def _is_soft(levels: NDArray[np.integer[Any]]) -> bool:
    """Tell whether more than SOFT_EDGES of the 3 x 3 places with several levels show one that lies between others."""
    square = np.ones((3, 3), np.uint8)
    lowest, highest = cv2.erode(levels, square), cv2.dilate(levels, square)
    is_label = np.zeros(np.iinfo(levels.dtype).max + 1, bool)
    is_label[levels[lowest == highest]] = True
    between = (lowest < levels) & (levels < highest) & ~is_label[levels]
    return bool(cv2.dilate(between.astype(np.uint8), square)[lowest < highest].mean() > SOFT_EDGES)


def _read(data: bytes, mode: str, limits: "Ingest") -> NDArray[Any]:
    """Return upright pixels: uint8 or uint16, [H, W, 3 or 4] of `mode`, or [H, W] of a grey image."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check(image, limits)
            return _sixteen_bit(data, image) if _has_sixteen_bits(image) else _pixels(image, mode)
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise TooLargeError(f"over ingest.max_megapixels = {limits.max_megapixels:g}") from error
    except UnidentifiedImageError as error:
        raise DataError(f"the content is no {', '.join(FORMATS[:-1])} or {FORMATS[-1]}") from error
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        raise DataError(f"damaged: {error or type(error).__name__}") from error


def _check(image: Any, limits: "Ingest") -> None:
    """Refuse by its header, before any pixel is decoded, what is too large or has no one meaning."""
    megapixels = image.width * image.height / 1e6
    if megapixels > limits.max_megapixels:
        raise TooLargeError(f"{megapixels:.0f} megapixels, over ingest.max_megapixels = {limits.max_megapixels:g}")
    if image.format in PAGED and image.is_animated:
        raise DataError("several pages or frames; save each as a file of its own")
    if image.mode == "F":
        raise DataError("floating-point pixels, whose white is not known; save it with 8 or 16 bits a channel")


def _pixels(image: Any, mode: str) -> NDArray[Any]:
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(image)
    if upright.mode in ("1", "L") and "transparency" not in upright.info:
        return np.asarray(upright.convert("L"), np.uint8)
    if not upright.mode.startswith("I"):
        return np.asarray(upright.convert(mode), np.uint8)
    values = np.asarray(upright)
    if values.min() < 0 or values.max() > np.iinfo(np.uint16).max:
        raise DataError("pixels beyond 16 bits, whose white is not known; save it with 8 or 16 bits a channel")
    return values.astype(np.uint16)


def _has_sixteen_bits(image: Any) -> bool:
    """Tell whether an image has several channels of 16 bits, of which Pillow would keep 8."""
    return image.mode in ("RGB", "RGBA") and any(";16" in str(tile.args) for tile in image.tile)


def _sixteen_bit(data: bytes, image: Any) -> NDArray[np.uint16]:
    """Return upright uint16 [H, W, 3 or 4]. Pillow decodes first: it is stricter with damaged files."""
    from PIL import Image, ImageOps

    image.load()
    values = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED))
    planes = [Image.fromarray(np.ascontiguousarray(values[..., i])) for i in (2, 1, 0, *range(3, values.shape[2]))]
    for plane in planes:  # both libraries turn a TIFF themselves, and Pillow then forgets how it stood
        plane.getexif()[ORIENTATION] = image.getexif().get(ORIENTATION, 1)
    return np.dstack([np.asarray(ImageOps.exif_transpose(plane), np.uint16) for plane in planes])
