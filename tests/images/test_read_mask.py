import io

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from test_codec import LIMITS, SQUARE, saved, square

from pipeline_tasks.images.codec import read_mask

ENCODINGS = {
    "0/1": lambda ids: saved(Image.fromarray((ids > 0).astype(np.uint8)), "PNG"),
    "0/255": lambda ids: saved(Image.fromarray((ids > 0).astype(np.uint8) * 255), "BMP"),
    "7/9": lambda ids: saved(Image.fromarray(np.where(ids > 0, 9, 7).astype(np.uint8)), "TIFF"),
    "one bit": lambda ids: saved(Image.fromarray(ids > 0), "PNG"),
    "one bit TIFF": lambda ids: saved(Image.fromarray(ids > 0), "TIFF"),
    "numbers": lambda ids: saved(Image.fromarray(ids), "PNG"),
    "sixteen-bit numbers": lambda ids: saved(Image.fromarray(ids.astype(np.uint16) * 300), "PNG"),
    "sixteen-bit 0/65535": lambda ids: saved(Image.fromarray((ids > 0).astype(np.uint16) * 65535), "TIFF"),
    "thirty-two-bit numbers": lambda ids: saved(Image.fromarray(ids.astype(np.int32) * 200), "TIFF"),
    "colours": lambda ids: saved(Image.fromarray(COLOURS[ids]), "PNG"),
    "sixteen-bit colours": lambda ids: cv2.imencode(".png", COLOURS[ids].astype(np.uint16) * 9)[1].tobytes(),
    "a palette": lambda ids: saved(palette(ids), "PNG"),
    "transparency": lambda ids: saved(Image.fromarray(np.dstack([COLOURS[ids] | 1, (ids > 0) * OPAQUE])), "PNG"),
}
OPAQUE = np.uint8(255)
COLOURS = np.random.default_rng(3).integers(0, 256, (41, 3), dtype=np.uint8) | 1
COLOURS[:5] = (0, 0, 0), (64, 0, 0), (0, 64, 0), (255, 0, 0), (128, 128, 0)


def palette(ids: np.ndarray) -> Image.Image:
    image = Image.fromarray(ids)
    image.putpalette(COLOURS.tobytes())
    return image


def draw_instance(ids: np.ndarray, rng: np.random.Generator, shape: str) -> None:
    """Draw an instance with a number from 1 to 40 on `ids`, a part of a mask, which it may reach the border of."""
    height, width = ids.shape
    a, b = (tuple(map(int, rng.integers(2, (width - 2, height - 2)))) for _ in range(2))
    number, axes = int(rng.integers(1, 41)), tuple(map(int, rng.integers(3, 13, 2)))
    match shape:
        case "blob":
            cv2.ellipse(ids, a, axes, 30, 0, 360, number, -1)
        case "bar":
            cv2.rectangle(ids, a, b, number, -1)
        case "crack":
            cv2.line(ids, a, b, number, int(rng.integers(1, 5)))


@st.composite
def drawn_ids(draw, shapes=("blob", "bar", "crack")):
    """Numbers [H, W] of up to four instances that may touch; 0 elsewhere."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    ids = np.zeros(rng.integers(40, 90, 2), np.uint8)
    middle = ids.shape[0] // 2, ids.shape[1] // 2
    for rows in (slice(middle[0]), slice(middle[0], None)):
        for columns in (slice(middle[1]), slice(middle[1], None)):
            if draw(st.booleans()):
                quarter = np.ascontiguousarray(ids[rows, columns])
                draw_instance(quarter, rng, draw(st.sampled_from(shapes)))
                ids[rows, columns] = quarter
    return ids


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(ids=drawn_ids())
def test_a_drawn_mask_comes_back_from_every_lossless_encoding(encoding, ids):
    assert np.array_equal(read_mask(ENCODINGS[encoding](ids), LIMITS), ids > 0)


def soft(mask: np.ndarray) -> bytes:
    """The mask drawn four times as large and scaled down."""
    large = np.kron(mask, np.ones((4, 4), np.uint8)) * np.uint8(255)
    moved = cv2.warpAffine(
        large, np.float32([[1, 0, 1], [0, 1, 2]]), large.shape[::-1], borderMode=cv2.BORDER_REPLICATE
    )
    return saved(Image.fromarray(cv2.resize(moved, mask.shape[::-1], interpolation=cv2.INTER_AREA)), "PNG")


def jpeg(mask: np.ndarray, quality: int) -> bytes:
    return saved(Image.fromarray(mask * np.uint8(255)), "JPEG", quality=quality)


def grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * pixels + 1,) * 2)) > 0


def assert_alike(found: np.ndarray, drawn: np.ndarray, pixels: int) -> None:
    assert not (found & ~grown(drawn, pixels)).any()
    assert not (~found & ~grown(~drawn, pixels)).any()


@given(drawn_ids(), st.sampled_from([75, 90, 95, 100]))
def test_the_noise_of_a_jpeg_is_no_defect(ids, quality):
    assert_alike(read_mask(jpeg(ids > 0, quality), LIMITS), ids > 0, 1)


@given(drawn_ids(("blob", "crack")), st.sampled_from([75, 90, 95]))
def test_the_noise_of_a_jpeg_is_no_defect_in_a_png_either(ids, quality):
    again = saved(Image.open(io.BytesIO(jpeg(ids > 0, quality))), "PNG")
    assert_alike(read_mask(again, LIMITS), ids > 0, 1)


@given(drawn_ids())
def test_a_soft_edge_is_cut_at_half_of_white(ids):
    assert_alike(read_mask(soft(ids > 0), LIMITS), ids > 0, 1)


def test_a_thin_instance_in_a_dark_colour_beside_a_white_one_is_kept():
    ids = np.zeros((60, 80), np.uint8)
    cv2.ellipse(ids, (20, 30), (9, 14), 10, 0, 360, 255, -1)
    cv2.line(ids, (45, 5), (75, 50), 1, 1)
    assert np.array_equal(read_mask(saved(Image.fromarray(ids), "PNG"), LIMITS), ids > 0)


@pytest.mark.parametrize("background", [(255, 255, 255), (250, 240, 200), (255, 0, 0)])
def test_colours_on_a_bright_background_are_defect(background):
    ids = np.zeros((40, 50), np.uint8)
    ids[5:9, 5:20], ids[20:30, 30:33] = 1, 2
    colours = np.array([background, (0, 255, 0), (255, 90, 160)], np.uint8)
    assert (read_mask(saved(Image.fromarray(colours[ids]), "PNG"), LIMITS) == (ids > 0)).all()
    noisy = read_mask(saved(Image.fromarray(colours[ids]), "JPEG", quality=95, subsampling=0), LIMITS)
    assert (noisy != (ids > 0)).mean() < 0.02


def test_transparent_pixels_of_a_mask_are_no_defect():
    white = np.full((20, 30, 4), 255, np.uint8)
    white[..., 3] = square(255)
    assert np.array_equal(read_mask(saved(Image.fromarray(white), "PNG"), LIMITS), SQUARE)
    deep = cv2.imencode(".png", white.astype(np.uint16) * 257)[1].tobytes()
    assert np.array_equal(read_mask(deep, LIMITS), SQUARE)
    one_clear_level = saved(Image.fromarray(np.where(SQUARE, 100, 200).astype(np.uint8)), "PNG", transparency=200)
    assert np.array_equal(read_mask(one_clear_level, LIMITS), SQUARE)


@pytest.mark.parametrize(("level", "marked"), [(0, False), (1, False), (255, True)])
def test_a_mask_of_one_level_marks_all_or_nothing(level, marked):
    assert (read_mask(saved(Image.new("L", (9, 9), level), "PNG"), LIMITS) == marked).all()
