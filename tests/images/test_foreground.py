import cv2
import numpy as np
import pytest

from pipeline_tasks.images.foreground import foreground


def noisy(grey, seed=0):
    noise = np.random.default_rng(seed).normal(0, 3, (*grey.shape, 3))
    return np.clip(grey[..., None] + noise, 0, 255).astype(np.uint8)


def plate(scale=1):
    """A bright plate with a hole on a dark fixture, and its true mask."""
    truth = np.zeros((200 * scale, 240 * scale), np.uint8)
    cv2.rectangle(truth, (30 * scale, 40 * scale), (210 * scale, 160 * scale), 1, -1)
    cv2.circle(truth, (120 * scale, 100 * scale), 20 * scale, 0, -1)
    return noisy(np.where(truth, 150.0, 20.0)), truth.astype(bool)


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize("scale", [1, 5])
def test_plate_on_a_fixture_is_found_without_its_hole(scale):
    pixels, truth = plate(scale)
    found = foreground(pixels)
    assert found.shape == truth.shape
    assert overlap(found, truth) > 0.97
    assert not found[100 * scale, 120 * scale]


def test_dark_object_on_bright_paper_is_found():
    pixels, truth = plate()
    assert overlap(foreground(255 - pixels), truth) > 0.97


def test_texture_fills_the_image():
    rng = np.random.default_rng(1)
    assert foreground(rng.integers(60, 160, (120, 160, 3)).astype(np.uint8)).all()


def test_uneven_light_is_no_background():
    ys, xs = np.mgrid[:200, :200]
    assert foreground(noisy(160 * np.exp(-((ys - 100) ** 2 + (xs - 100) ** 2) / 3000))).all()


def test_small_mark_on_a_plain_surface_is_no_object():
    grey = np.full((200, 200), 40.0)
    grey[90:110, 90:110] = 200
    assert foreground(noisy(grey)).all()


def test_dark_strip_beside_a_cropped_part_is_left_out():
    grey = np.full((200, 150), 80.0)
    grey[:, :6] = 7
    found = foreground(noisy(grey))
    assert not found[:, :5].any()
    assert found[:, 10:].all()


def test_shaded_side_of_a_part_belongs_to_it():
    grey = np.tile(np.linspace(15, 90, 150), (200, 1))
    assert foreground(noisy(grey)).all()


def test_dark_crack_running_in_from_the_border_is_no_strip():
    grey = np.full((200, 150), 120.0)
    grey[95:105, :90] = 10
    assert foreground(noisy(grey)).all()


def test_defect_belongs_to_the_object():
    pixels, _ = plate()
    defect = np.zeros(pixels.shape[:2], bool)
    defect[60:70, 25:60] = True
    pixels[defect] = 20
    assert foreground(pixels, defect)[defect].all()
