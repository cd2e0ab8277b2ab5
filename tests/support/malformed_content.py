"""What malformed images and masks hold, as bytes made from a random generator; nothing is wrong with the sound ones."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
from PIL import Image

HEIGHT, WIDTH = 24, 32
Content = Callable[[np.random.Generator], bytes]


def _encoded(array: np.ndarray, suffix: str) -> bytes:
    return cv2.imencode(suffix, array)[1].tobytes()


def sound_image(rng: np.random.Generator) -> bytes:
    """Return an image that nothing is wrong with, whatever its name says, in one of four formats."""
    pixels = rng.integers(90, 160, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    return _encoded(pixels, rng.choice([".png", ".jpg", ".bmp", ".tiff"]))


def _drawn(level: int = 255, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    mask[8:12, 10:20] = level
    return mask


def sound_mask(rng: np.random.Generator) -> bytes:
    """Return a mask that nothing is wrong with, in one of two formats."""
    return _encoded(_drawn(), rng.choice([".png", ".bmp"]))


def _truncated(rng: np.random.Generator) -> bytes:
    whole = sound_image(rng)
    return whole[: rng.integers(1, len(whole))]


def _flipped(rng: np.random.Generator) -> bytes:
    data = np.frombuffer(sound_image(rng), np.uint8).copy()
    at = rng.integers(0, len(data), rng.integers(1, 20))
    data[at] ^= np.uint8(1) << rng.integers(0, 8, len(at), dtype=np.uint8)
    return data.tobytes()


def _overwritten(rng: np.random.Generator) -> bytes:
    data = bytearray(sound_image(rng))
    start = int(rng.integers(0, len(data)))
    data[start : start + 40] = rng.bytes(40)
    return bytes(data)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(width: int, height: int, *chunks: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = _chunk(b"IDAT", zlib.compress(bytes((WIDTH + 1) * HEIGHT)))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + b"".join(chunks) + pixels + _chunk(b"IEND", b"")


def _png_bomb(rng: np.random.Generator) -> bytes:
    return _png(*map(int, rng.integers(20_000, 2**31, 2)))


def _bmp_bomb(rng: np.random.Generator) -> bytes:
    sizes = map(int, rng.integers(20_000, 2**31, 2))
    return b"BM" + struct.pack("<IIIIiiHHIIIIII", 99, 0, 54, 40, *sizes, 1, 24, 0, 0, 0, 0, 0, 0) + rng.bytes(99)


def _tiff(width: int, height: int, next_page: Callable[[int], int] = lambda _: 0, pages: int = 1) -> bytes:
    """A grey TIFF of `pages` directories; `next_page` of a directory's number is the offset that it names."""
    tags = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1)]
    tags += [(278, 4, height), (279, 4, WIDTH * HEIGHT)]
    fields = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    first = 8 + WIDTH * HEIGHT
    directories = (struct.pack("<H", len(tags)) + fields + struct.pack("<I", next_page(i)) for i in range(pages))
    return b"II*\0" + struct.pack("<I", first) + bytes(range(256)) * 3 + b"".join(directories)


DIRECTORY_BYTES = 2 + 9 * 12 + 4


def _directory(number: int) -> int:
    return 8 + WIDTH * HEIGHT + number * DIRECTORY_BYTES


def _tiff_bomb(rng: np.random.Generator) -> bytes:
    return _tiff(*map(int, rng.integers(20_000, 2**31, 2)))


def _tiff_of_many_pages(rng: np.random.Generator) -> bytes:
    return _tiff(WIDTH, HEIGHT, lambda i: _directory(i + 1), int(rng.integers(2, 3000)))


def _tiff_in_a_circle(rng: np.random.Generator) -> bytes:
    pages = int(rng.integers(1, 4))
    return _tiff(WIDTH, HEIGHT, lambda i: _directory((i + 1) % pages), pages)


def _tiff_that_points_nowhere(rng: np.random.Generator) -> bytes:
    return _tiff(WIDTH, HEIGHT, lambda _: int(rng.integers(5000, 2**32)))


@cache
def _zeros() -> bytes:
    return zlib.compress(bytes(20_000_000), 9)


def _text_bomb(_: np.random.Generator) -> bytes:
    return _png(WIDTH, HEIGHT, _chunk(b"zTXt", b"Comment\0\0" + _zeros()))


def _profile_bomb(_: np.random.Generator) -> bytes:
    return _png(WIDTH, HEIGHT, _chunk(b"iCCP", b"icc\0\0" + _zeros()))


def _pixel_bomb(_: np.random.Generator) -> bytes:
    return _png(9, 9, _chunk(b"IDAT", _zeros()))


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _animation(kind: str) -> Content:
    def make(rng: np.random.Generator) -> bytes:
        frames = [Image.fromarray(rng.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)) for _ in range(3)]
        return _saved(frames[0], kind, save_all=True, append_images=frames[1:])

    return make


def _zip(rng: np.random.Generator) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("../../x.png", sound_image(rng))
    return stream.getvalue()


BAD_IMAGES: dict[str, Content] = {
    "cut off": _truncated,
    "bits flipped": _flipped,
    "overwritten": _overwritten,
    "no byte": lambda _: b"",
    "zeros": lambda rng: bytes(rng.integers(1, 5000)),
    "noise": lambda rng: rng.bytes(999),
    "a PNG's first bytes": lambda rng: b"\x89PNG\r\n\x1a\n" + rng.bytes(99),
    "a JPEG's first bytes": lambda rng: b"\xff\xd8\xff\xe0" + rng.bytes(99),
    "a BMP's first bytes": lambda rng: b"BM" + rng.bytes(99),
    "a TIFF's first bytes": lambda rng: b"II*\0" + rng.bytes(99),
    "a PNG of gigapixels": _png_bomb,
    "a PNG of no width": lambda _: _png(0, HEIGHT),
    "a BMP of gigapixels": _bmp_bomb,
    "a TIFF of gigapixels": _tiff_bomb,
    "a TIFF of many pages": _tiff_of_many_pages,
    "a TIFF in a circle": _tiff_in_a_circle,
    "a TIFF that points nowhere": _tiff_that_points_nowhere,
    "a bomb of text": _text_bomb,
    "a bomb of a colour profile": _profile_bomb,
    "a bomb of pixels": _pixel_bomb,
    "an animation": _animation("PNG"),
    "a GIF": _animation("GIF"),
    "a WebP": _animation("WEBP"),
    "floats": lambda rng: _saved(Image.fromarray(rng.random((HEIGHT, WIDTH), np.float32)), "TIFF"),
    "NaN": lambda _: _saved(Image.fromarray(np.full((HEIGHT, WIDTH), np.nan, np.float32)), "TIFF"),
    "numbers of 32 bits": lambda rng: _saved(Image.fromarray(rng.integers(-9, 2**30, (9, 9), np.int32)), "TIFF"),
    "text": lambda rng: f"image {rng.integers(99)}".encode(),
    "a page": lambda _: b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "SVG": lambda _: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "PostScript": lambda _: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\n",
    "an archive": _zip,
    "a pickle": lambda _: b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.",
    "a pointer of Git LFS": lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
}
BAD_MASKS: dict[str, Content] = {
    "a mask of another size": lambda rng: _encoded(_drawn(shape=(24, int(rng.integers(33, 99)))), ".png"),
    "a turned mask": lambda _: _encoded(_drawn(shape=(WIDTH, HEIGHT)), ".png"),
    "a mask of one pixel": lambda _: _encoded(np.full((1, 1), 255, np.uint8), ".png"),
    "an empty mask": lambda _: _encoded(_drawn(0), ".png"),
    "a full mask": lambda _: _encoded(np.full((HEIGHT, WIDTH), 255, np.uint8), ".png"),
    "a transparent mask": lambda _: _encoded(np.zeros((HEIGHT, WIDTH, 4), np.uint8), ".png"),
    "a mask cut off": lambda rng: sound_mask(rng)[:-50],
    "a mask with bits flipped": _flipped,
    "a mask of text": lambda _: b"mask",
    "a mask without a byte": lambda _: b"",
    "a mask of floats": BAD_IMAGES["floats"],
    "a mask of gigapixels": _png_bomb,
    "a mask in the image's place": sound_image,
}
