import io
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from pipeline_tasks.errors import DataError
from pipeline_tasks.images.codec import decode_image, decode_mask, encode_image, encode_mask, read_image, read_mask

shapes = st.tuples(st.integers(1, 20), st.integers(1, 20))


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
    assert np.array_equal(read_image(saved(Image.fromarray(texture()), kind), 1), texture())


def test_a_jpeg_is_read():
    smooth = np.full((20, 30, 3), (200, 100, 50), np.uint8)
    assert np.abs(read_image(saved(Image.fromarray(smooth), "JPEG"), 1).astype(int) - smooth).max() <= 4


def test_grey_becomes_rgb():
    grey = texture()[..., 0]
    assert np.array_equal(read_image(saved(Image.fromarray(grey), "PNG"), 1), np.dstack([grey] * 3))


def test_sixteen_bits_become_eight():
    grey = texture()[..., 0]
    png = saved(Image.fromarray(grey.astype(np.uint16) * 257), "PNG")
    assert np.array_equal(read_image(png, 1)[..., 0], grey)


def test_alpha_is_dropped():
    alpha = np.dstack([texture(), np.full((20, 30), 7, np.uint8)])
    assert np.array_equal(read_image(saved(Image.fromarray(alpha), "PNG"), 1), texture())


def test_a_palette_is_resolved():
    colours = np.array([[255, 0, 0], [0, 0, 255], [10, 20, 30]], np.uint8)
    indices = np.random.default_rng(0).integers(0, 3, (20, 30), dtype=np.uint8)
    image = Image.fromarray(indices)
    image.putpalette(colours.tobytes())
    with warnings.catch_warnings(action="error"):
        read = read_image(saved(image, "PNG", transparency=b"\x00\xff"), 1)
    assert np.array_equal(read, colours[indices])


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_a_photograph_stands_as_its_camera_was_held(orientation, turns):
    upright = np.full((20, 30, 3), 80, np.uint8)
    upright[:8, :8] = 250
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = saved(Image.fromarray(upright), "JPEG", quality=95, exif=exif)
    expected = np.rot90(upright, turns)
    read = read_image(turned, 1)
    assert read.shape == expected.shape
    assert np.abs(read.astype(int) - expected).max() < 30


@pytest.mark.parametrize("level", [1, 128, 255])
def test_a_mask_may_have_any_of_the_usual_levels(level):
    assert np.array_equal(read_mask(saved(Image.fromarray(square(level)), "PNG"), 1), SQUARE)


@pytest.mark.parametrize("level", [1, 255, 65535])
def test_a_mask_may_have_sixteen_bits(level):
    assert np.array_equal(read_mask(saved(Image.fromarray(square(level, np.uint16)), "PNG"), 1), SQUARE)


def test_a_mask_may_be_one_bit_deep():
    assert np.array_equal(read_mask(saved(Image.fromarray(SQUARE), "PNG"), 1), SQUARE)


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (128, 0, 0)])
def test_a_mask_may_be_drawn_in_any_colour(colour):
    rgb = SQUARE[..., None] * np.array(colour, np.uint8)
    assert np.array_equal(read_mask(saved(Image.fromarray(rgb), "PNG"), 1), SQUARE)
    assert np.array_equal(read_mask(saved(Image.fromarray(rgb).quantize(4), "PNG"), 1), SQUARE)


def test_transparent_pixels_of_a_mask_are_no_defect():
    white = np.full((20, 30, 4), 255, np.uint8)
    white[..., 3] = square(255)
    assert np.array_equal(read_mask(saved(Image.fromarray(white), "PNG"), 1), SQUARE)


def test_the_noise_of_a_jpeg_mask_is_no_defect():
    jpeg = saved(Image.fromarray(square(255)), "JPEG", quality=90)
    assert len(np.unique(np.asarray(Image.open(io.BytesIO(jpeg))))) > 2
    assert np.array_equal(read_mask(jpeg, 1), SQUARE)


@pytest.mark.parametrize("level", [0, 2, 127])
def test_a_mask_without_a_marked_pixel_is_empty(level):
    assert not read_mask(saved(Image.fromarray(square(level)), "PNG"), 1).any()


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
    ],
)
def test_what_is_no_image_says_why_and_the_same_each_time(read, data, expected):
    messages = []
    for copy in (data, bytes(bytearray(data))):
        with pytest.raises(DataError, match=expected) as caught:
            read(copy, 1)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert "0x" not in messages[0]


def test_an_image_over_the_limit_is_not_decoded():
    header = saved(Image.new("L", (2000, 1000)), "PNG")[:60]
    with pytest.raises(DataError, match=r"2 megapixels, over ingest.max_megapixels = 1\.5"):
        read_image(header, 1.5)


@given(st.binary(max_size=60), st.sampled_from(["PNG", "JPEG", "BMP", "TIFF"]), st.data())
def test_any_damage_is_a_data_error_or_an_image(noise, kind, data):
    whole = bytearray(saved(Image.fromarray(texture()), kind))
    start = data.draw(st.integers(0, len(whole)))
    whole[start : start + len(noise)] = noise
    for read in (read_image, read_mask):
        try:
            assert read(bytes(whole), 1).shape[:2] > (0, 0)
        except DataError as error:
            assert str(error)
