import base64

import cv2
import numpy as np
import pytest

from pipeline_tasks.report.pictures import (
    FULL_PX,
    OUTLINE,
    ZOOM_PX,
    Window,
    contact_sheet,
    draw_location,
    full,
    window_around,
    zoomed,
)


def mask_at(shape, rows, columns):
    mask = np.zeros(shape, bool)
    mask[rows, columns] = True
    return mask


def decoded(uri):
    head, data = uri.split(",", 1)
    assert head == "data:image/jpeg;base64"
    return cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)


@pytest.mark.parametrize(
    ("shape", "rows", "columns"),
    [
        ((600, 400), slice(300, 303), slice(200, 203)),
        ((600, 400), slice(0, 4), slice(396, 400)),
        ((600, 400), slice(100, 400), slice(10, 30)),
        ((40, 30), slice(3, 5), slice(3, 5)),
    ],
)
def test_the_window_holds_the_whole_defect_and_lies_inside_the_image(shape, rows, columns):
    mask = mask_at(shape, rows, columns)
    window = window_around(mask)
    assert window.of(mask).sum() == mask.sum()
    assert 0 <= window.left < window.right <= shape[1]
    assert 0 <= window.top < window.bottom <= shape[0]


def test_a_few_pixels_in_a_large_image_fill_a_visible_part_of_the_zoom():
    mask = mask_at((2000, 2000), slice(1000, 1006), slice(700, 706))
    image = np.zeros((2000, 2000, 3), np.uint8)
    image[mask] = 255
    picture = decoded(zoomed(image, window_around(mask)))
    assert max(picture.shape) == ZOOM_PX
    assert (picture > 127).mean() > 0.01


@pytest.mark.parametrize("shape", [(1500, 900, 3), (60, 100, 3)])
def test_whole_images_have_one_size(shape):
    assert max(decoded(full(np.zeros(shape, np.uint8))).shape) == FULL_PX


def test_the_outline_surrounds_the_defect_without_covering_it():
    mask = mask_at((320, 320), slice(100, 140), slice(100, 140))
    picture = draw_location(np.zeros((320, 320, 3), np.uint8), mask)
    assert not picture[100:140, 100:140].any()
    assert (picture[90:150, 90:150] == OUTLINE).all(axis=2).any()


def test_a_hairline_crack_in_a_large_image_keeps_its_outline():
    mask = mask_at((3200, 3200), 1601, slice(400, 2800))
    picture = draw_location(np.zeros((3200, 3200, 3), np.uint8), mask)
    marked = np.nonzero((picture == OUTLINE).all(axis=2).any(axis=0))[0]
    assert marked.max() - marked.min() > 230


def test_a_window_cuts_its_part():
    pixels = np.arange(5 * 6 * 3, dtype=np.uint8).reshape(5, 6, 3)
    assert np.array_equal(Window(1, 2, 4, 5).of(pixels), pixels[2:5, 1:4])


def test_a_contact_sheet_has_a_row_for_each_example():
    tall, wide = np.zeros((200, 100, 3), np.uint8), np.zeros((50, 300, 3), np.uint8)
    sheet = cv2.imdecode(np.frombuffer(contact_sheet([[tall, wide]] * 3), np.uint8), cv2.IMREAD_COLOR)
    assert (sheet.shape[0] // FULL_PX, sheet.shape[1] // FULL_PX) == (3, 2)
