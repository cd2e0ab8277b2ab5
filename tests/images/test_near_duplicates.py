import cv2
import numpy as np
import pytest

from pipeline_tasks.images.near_duplicates import group_shots, thumbnail

SIDE = 192


def texture(seed, grain_px=3.0, side=SIDE):
    noise = cv2.GaussianBlur(np.random.default_rng(seed).standard_normal((side, side), np.float32), (0, 0), grain_px)
    return noise / noise.std()


def part(seed):
    return grey(110 + 25 * texture(seed))


def board(seed):
    """A part of one layout, never put down quite alike, with a grain of its own."""
    layout, rng = np.random.default_rng(1), np.random.default_rng([2, seed])
    image = np.full((SIDE, SIDE), 90, np.float32)
    for _ in range(50):
        x, y, width, height = layout.integers((0, 0, 4, 4), (180, 180, 40, 40)).tolist()
        cv2.rectangle(image, (x, y), (x + width, y + height), float(layout.integers(20, 230)), -1)
    turn = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), rng.uniform(-0.5, 0.5), 1)
    turn[:, 2] += rng.uniform(-2, 2, 2)
    return grey(cv2.warpAffine(image, turn, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT) + 6 * texture(seed, 2.0))


def grating(seed):
    rng = np.random.default_rng(seed)
    wave = 110 + 40 * np.sin(np.arange(SIDE) / 2 + rng.uniform(0, 6.28))
    return grey(wave + rng.normal(0, 4, (SIDE, SIDE)))


def printed(seed):
    """A part without a grain that its sensor shows: only noise differs."""
    return grey(board(0)[..., 0] + np.random.default_rng(seed).normal(0, 3, (SIDE, SIDE)))


def plain(seed):
    return grey(np.random.default_rng(seed).normal(90, 1, (SIDE, SIDE)))


def grey(levels):
    return np.clip(levels, 0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)


def other_shot(pixels, gain, seed):
    """The same part, darker or brighter, with shading, noise and a frame cut a little differently."""
    shading = np.linspace(0.8, 1.2, pixels.shape[1])[None, :, None]
    shot = pixels * gain * shading + np.random.default_rng(seed).normal(0, 1, pixels.shape)
    return np.clip(shot, 0, 255).astype(np.uint8)[1:-1, 1:]


def shots(images):
    return group_shots([thumbnail(i) for i in images], [(i.shape[1], i.shape[0]) for i in images])


@pytest.mark.parametrize("draw", [part, board])
def test_shots_of_one_part_are_found_among_parts_photographed_alike(draw):
    parts = [draw(seed) for seed in range(30)]
    found = shots([*parts, other_shot(parts[3], 0.6, 1), other_shot(parts[7], 1.3, 2), other_shot(parts[7], 0.7, 3)])
    assert found.groups == [[3, 30], [7, 31, 32]]


@pytest.mark.parametrize("draw", [part, board, grating, printed, plain])
def test_other_parts_are_no_shots_of_one(draw):
    found = shots([draw(seed) for seed in range(30)])
    assert (found.groups, found.alike) == ([], [])


def test_two_views_of_different_parts_are_no_two_groups():
    found = shots([draw(seed) for seed in range(30) for draw in (board, grating)])
    assert (found.groups, found.alike) == ([], [])


def test_a_chain_through_most_images_is_named_as_too_long_for_one_part():
    strip = grey(110 + 25 * texture(0, side=1000))[:SIDE]
    sweep = [strip[:, start : start + SIDE] for start in range(0, 60, 10)]
    found = shots([*sweep, part(1)])
    assert (found.groups, found.alike) == ([], [list(range(6))])


def test_more_shots_of_one_part_than_half_the_partners_stay_one_group():
    found = shots([*(part(seed) for seed in range(30)), *(other_shot(part(0), 0.9, seed) for seed in range(10))])
    assert found.groups == [[0, *range(30, 40)]]


@pytest.mark.parametrize(("draw", "parts", "count"), [(part, 5, 14), (board, 5, 20), (part, 3, 40)])
def test_a_part_may_have_any_number_of_shots(draw, parts, count):
    found = shots([other_shot(draw(seed), 0.7 + 0.6 * k / count, k) for seed in range(parts) for k in range(count)])
    assert found.groups == [list(range(start, start + count)) for start in range(0, parts * count, count)]


def test_three_views_of_different_parts_are_no_three_groups():
    found = shots([draw(seed) for seed in range(30) for draw in (board, lambda seed: part(100 + seed), plain)])
    assert (found.groups, found.alike) == ([], [])


def test_few_images_can_be_told_apart():
    assert shots([part(0), other_shot(part(0), 0.8, 1), part(1), part(2)]).groups == [[0, 1]]
    assert shots([part(0), part(1), part(2)]).groups == []
    assert shots([part(0)]).groups == shots([]).groups == []


def test_other_shapes_are_other_parts():
    images = [part(0), cv2.resize(part(0), (SIDE // 2, SIDE)), *(part(seed) for seed in range(1, 6))]
    assert shots(images).groups == []


def test_a_copy_of_another_size_and_encoding_is_found():
    small = cv2.resize(part(0), (150, 150), interpolation=cv2.INTER_AREA)
    copy = cv2.imdecode(cv2.imencode(".jpg", small)[1], cv2.IMREAD_COLOR)
    assert shots([part(0), copy, *(part(seed) for seed in range(1, 9))]).groups == [[0, 1]]


def test_the_order_of_the_images_does_not_matter():
    images = [*(part(seed) for seed in range(12)), other_shot(part(4), 0.8, 1)]
    turned = [sorted(12 - index for index in group) for group in shots(images[::-1]).groups]
    assert turned == shots(images).groups == [[4, 12]]
