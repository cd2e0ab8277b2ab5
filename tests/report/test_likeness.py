import pytest

from pipeline_tasks.report.likeness import HEIGHT, MARGIN, RADIUS, WIDTH, embedding_map, generation_measures

KINDS = ["inpainting", "perlin", "normal", "paste", "real", "cutpaste"]


def embedding(kinds):
    points = [{"x": 3.0 * i, "y": -2.0 * i, "kind": kind, "defect": "pit"} for i, kind in enumerate(kinds)]
    return {"network": "resnet18 trained on plate", "points": points}


def test_every_kind_has_a_shape_of_its_own_real_images_first():
    found = embedding_map(embedding([*KINDS, "real"]))
    names = [cloud.name for cloud in found.clouds]
    assert names[:2] == ["normal images", "real defects"]
    assert names[2:] == ["pasted pairs", "CutPaste pairs", "Perlin texture pairs", "inpainting pairs"]
    assert [len(cloud.marks) for cloud in found.clouds] == [1, 2, 1, 1, 1, 1]
    shapes = {"".join(c for c in cloud.key if c.isalpha()) for cloud in found.clouds}
    assert len(shapes) == len({cloud.number for cloud in found.clouds}) == len(KINDS)


def test_a_kind_looks_the_same_whatever_else_there_is():
    alone, among = (embedding_map(embedding(kinds)).clouds for kinds in (["real"], KINDS))
    assert (alone[0].number, alone[0].key) == (among[1].number, among[1].key)


def test_the_map_fills_its_frame():
    (cloud,) = embedding_map(embedding(["real"] * 3)).clouds
    places = [tuple(map(float, mark[1:].split("h")[0].split())) for mark in cloud.marks]
    corner = MARGIN - RADIUS
    middle = (WIDTH / 2 - RADIUS, HEIGHT / 2 - RADIUS)
    assert places == [(corner, corner), middle, (WIDTH - MARGIN - RADIUS, HEIGHT - MARGIN - RADIUS)]


def test_one_point_can_be_drawn():
    assert len(embedding_map(embedding(["real"])).clouds) == 1


@pytest.mark.parametrize("empty", [None, {}, embedding([])])
def test_without_points_there_is_no_map(empty):
    assert embedding_map(empty) is None


def measures(**values):
    return {"pairs": 200, "real": 7, "base": 3, "network": "resnet18 trained on plate", "reasons": {}, **values}


def test_measures_are_named_with_their_network():
    kid = {"kid_resnet18_plate": 12.34, "ic_lpips_alex": None, "mask_iou": 0.5, "is_resnet18_plate": 12345.6}
    found = generation_measures({"pit": measures(**kid), "dent": measures(kid_resnet18_plate=3)})
    assert found.table.columns == ["pit", "dent"]
    rows = [(head, [cell.text for cell in cells]) for head, cells in found.table.rows]
    assert rows == [
        ("images compared", ["200 / 7 / 3", "200 / 7 / 3"]),
        ("KID × 1000 (resnet18 plate)", ["12.3", "3"]),
        ("IC-LPIPS (alex)", ["n/a", "n/a"]),
        ("mask IoU", ["0.5", "n/a"]),
        ("IS (resnet18 plate)", ["12,346", "n/a"]),
    ]
    assert len(found.table.notes) == len(rows)
    assert found.sentence.endswith("Features: resnet18 trained on plate.")


def test_without_a_network_what_needs_none_is_told():
    found = generation_measures({"pit": measures(mask_iou=0.5, network=None, reasons={"network": "one class"})})
    assert [head for head, _ in found.table.rows] == ["images compared", "mask IoU"]
    assert "Features" not in found.sentence


@pytest.mark.parametrize("empty", [None, {}, {"pit": {"pairs": 0, "real": 0, "network": ""}}])
def test_without_measures_there_is_nothing_to_say(empty):
    assert generation_measures(empty) is None
