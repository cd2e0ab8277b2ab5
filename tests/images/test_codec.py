import io
import os
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from settings import settings

from pipeline_tasks.errors import DataError
from pipeline_tasks.images.codec import (
    TooLargeError,
    decode_image,
    decode_mask,
    encode_image,
    encode_mask,
    read_file,
    read_image,
    read_mask,
)

LIMITS = settings().ingest
shapes = st.tuples(st.integers(1, 20), st.integers(1, 20))


def limits(**values: object):
    return settings(ingest=values).ingest


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def texture(height: int = 20, width: int = 30) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def square(level: int, dtype: type = np.uint8) -> np.ndarray:
    mask = np.zeros((20, 30), dtype)
    mask[5:9, 10:20] = level
    return mask


SQUARE = square(1) > 0


@given(shapes.flatmap(lambda shape: arrays(np.uint8, (*shape, 3))))
def test_pixels_come_back_exactly(pixels):
    assert np.array_equal(decode_image(encode_image(pixels)), pixels)


@given(shapes.flatmap(lambda shape: arrays(np.bool_, shape)))
def test_masks_come_back_exactly(mask):
    png = encode_mask(mask)
    assert np.array_equal(decode_mask(png), mask)
    assert set(np.unique(np.asarray(Image.open(io.BytesIO(png))))) <= {0, 255}


@pytest.mark.parametrize("damaged", [b"", b"text"])
def test_a_damaged_table_says_so(damaged):
    for decode in (decode_image, decode_mask):
        with pytest.raises(DataError, match="the table is damaged; re-run the stage that wrote it"):
            decode(damaged)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_lossless_files_are_read_exactly(kind):
    assert np.array_equal(read_image(saved(Image.fromarray(texture()), kind), LIMITS), texture())


def test_a_jpeg_is_read():
    smooth = np.full((20, 30, 3), (200, 100, 50), np.uint8)
    assert np.abs(read_image(saved(Image.fromarray(smooth), "JPEG"), LIMITS).astype(int) - smooth).max() <= 4


def test_grey_becomes_rgb():
    grey = texture()[..., 0]
    assert np.array_equal(read_image(saved(Image.fromarray(grey), "PNG"), LIMITS), np.dstack([grey] * 3))


@pytest.mark.parametrize(("white", "found"), [(65535, 64), (32768, 128), (4095, 255)])
def test_the_white_of_sixteen_bits_is_a_parameter(white, found):
    grey = np.full((20, 30), 16384, np.uint16)
    for png in (saved(Image.fromarray(grey), "PNG"), cv2.imencode(".png", np.dstack([grey] * 3))[1].tobytes()):
        assert (read_image(png, limits(white_16bit=white)) == np.full((20, 30, 3), found)).all()


def test_sixteen_bits_that_fit_eight_stay_as_they_are():
    grey = texture()[..., 0]
    assert np.array_equal(read_image(saved(Image.fromarray(grey.astype(np.uint16)), "PNG"), LIMITS)[..., 0], grey)


@pytest.mark.parametrize("kind", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bits_in_colour_lose_no_channel(kind, channels):
    deep = np.random.default_rng(0).integers(0, 4096, (20, 30, channels), np.uint16)
    found = read_image(cv2.imencode(kind, deep)[1].tobytes(), limits(white_16bit=4095))
    assert np.array_equal(found, np.rint(deep[..., [2, 1, 0]] * (255 / 4095)))


@pytest.mark.parametrize("mode", ["1", "LA", "CMYK", "RGBA"])
def test_every_usual_mode_becomes_rgb(mode):
    grey = Image.fromarray(square(255)).convert(mode)
    found = read_image(saved(grey, "JPEG" if mode == "CMYK" else "PNG"), LIMITS)
    assert np.abs(found.astype(int) - square(255)[..., None]).mean() < 2


def test_alpha_is_dropped():
    alpha = np.dstack([texture(), np.full((20, 30), 7, np.uint8)])
    assert np.array_equal(read_image(saved(Image.fromarray(alpha), "PNG"), LIMITS), texture())


def test_a_palette_is_resolved():
    colours = np.array([[255, 0, 0], [0, 0, 255], [10, 20, 30]], np.uint8)
    indices = np.random.default_rng(0).integers(0, 3, (20, 30), dtype=np.uint8)
    image = Image.fromarray(indices)
    image.putpalette(colours.tobytes())
    with warnings.catch_warnings(action="error"):
        read = read_image(saved(image, "PNG", transparency=b"\x00\xff"), LIMITS)
    assert np.array_equal(read, colours[indices])


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_a_photograph_stands_as_its_camera_was_held(orientation, turns):
    upright = np.full((20, 30, 3), 80, np.uint8)
    upright[:8, :8] = 250
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = saved(Image.fromarray(upright), "JPEG", quality=95, exif=exif)
    expected = np.rot90(upright, turns)
    read = read_image(turned, LIMITS)
    assert read.shape == expected.shape
    assert np.abs(read.astype(int) - expected).max() < 30


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_an_image_and_its_mask_are_turned_alike(orientation, depth, kind):
    corner = np.zeros((20, 30), bool)
    corner[:5, :9] = True
    exif = Image.Exif()
    exif[0x0112] = orientation
    white = Image.fromarray(corner.astype(depth) * np.iinfo(depth).max)
    image, mask = saved(white, kind, exif=exif), saved(Image.fromarray(corner), kind, exif=exif)
    assert np.array_equal(read_image(image, LIMITS)[..., 0] > 127, read_mask(mask, LIMITS))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_sixteen_bits_in_colour_are_turned_too(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    shallow = saved(Image.fromarray(texture()), "PNG", exif=exif)
    deep = cv2.imencode(".png", texture()[..., ::-1].astype(np.uint16) * 257)[1].tobytes()
    chunk = shallow[shallow.index(b"eXIf") - 4 :]
    chunk = chunk[: 12 + int.from_bytes(chunk[:4])]
    assert np.array_equal(read_image(deep[:33] + chunk + deep[33:], LIMITS), read_image(shallow, LIMITS))


@pytest.mark.parametrize("read", [read_image, read_mask])
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "no PNG, JPEG, BMP or TIFF"),
        (b"a text file", "no PNG, JPEG, BMP or TIFF"),
        (saved(Image.fromarray(texture()), "GIF"), "no PNG, JPEG, BMP or TIFF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no PNG, JPEG, BMP or TIFF"),
        (saved(Image.fromarray(texture(200, 200)), "JPEG")[:-5000], "damaged: image file is truncated"),
        (saved(Image.fromarray(texture()), "PNG")[:-600], "damaged: "),
        (saved(Image.new("F", (9, 9), 0.5), "TIFF"), "floating-point pixels"),
        (saved(Image.new("I", (9, 9), 70000), "TIFF"), "pixels beyond 16 bits"),
        (saved(Image.new("L", (9, 9)), "TIFF", save_all=True, append_images=[Image.new("L", (9, 9))]), "several pages"),
        (saved(Image.new("L", (9, 9)), "PNG", save_all=True, append_images=[Image.new("L", (9, 9), 9)]), "or frames"),
    ],
)
def test_what_is_no_image_says_why_and_the_same_each_time(read, data, expected):
    messages = []
    for copy in (data, bytes(bytearray(data))):
        with pytest.raises(DataError, match=expected) as caught:
            read(copy, LIMITS)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert "0x" not in messages[0]


@pytest.mark.parametrize("size", [(2000, 1000), (60000, 60000)])
def test_an_image_over_the_limit_is_not_decoded(size):
    header = bytearray(saved(Image.new("L", (9, 9)), "PNG")[:60])
    header[16:24] = size[0].to_bytes(4) + size[1].to_bytes(4)
    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4)
    for read in (read_image, read_mask):
        with pytest.raises(TooLargeError, match=r"over ingest.max_megapixels = 1\.5"):
            read(bytes(header), limits(max_megapixels=1.5))


def test_a_file_is_read_up_to_its_limit(tmp_path):
    file = tmp_path / "x.png"
    file.write_bytes(b"x" * 2000)
    assert read_file(file, LIMITS) == b"x" * 2000
    with pytest.raises(TooLargeError, match=r"over ingest.max_file_mb = 0\.001"):
        read_file(file, limits(max_file_mb=0.001))


def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "x.png")
    for path in (tmp_path / "x.png", Path(os.devnull)):
        with pytest.raises(DataError, match="no regular file"):
            read_file(path, LIMITS)
    with pytest.raises(OSError, match="directory"):
        read_file(tmp_path, LIMITS)


@given(st.binary(max_size=60), st.sampled_from(["PNG", "JPEG", "BMP", "TIFF"]), st.data())
def test_any_damage_is_a_data_error_or_an_image(noise, kind, data):
    whole = bytearray(saved(Image.fromarray(texture()), kind))
    start = data.draw(st.integers(0, len(whole)))
    whole[start : start + len(noise)] = noise
    for read in (read_image, read_mask):
        try:
            assert read(bytes(whole), LIMITS).shape[:2] > (0, 0)
        except DataError as error:
            assert str(error)
