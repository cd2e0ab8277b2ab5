import pytest
from report_contents import member

from pipeline_tasks.report.split import GROUPS_SHOWN, split_section

COUNTS = {"base": {"good": 3, "pit": 2}, "test": {"pit": 4, "stain": 1}}


def shots(part, split="test", number=3, defect="pit"):
    names = [f"{part:02d}-{i}.png" for i in range(number)]
    return [member(name, defect, split, names[0]) for name in names]


def test_samples_are_counted_by_defect_and_side():
    section = split_section([member("0.png"), member("1.png", split="test")], COUNTS)
    assert section.protocol == "few-shot-10"
    assert section.sizes.columns == ["base", "test"]
    sizes = {defect: [cell.text for cell in row] for defect, row in section.sizes.rows}
    assert sizes == {"good": ["3", "0"], "pit": ["2", "4"], "stain": ["0", "1"]}
    assert (section.summary, section.groups) == ("No two images look like shots of one part.", [])


@pytest.mark.parametrize(("parts", "more"), [(2, 0), (GROUPS_SHOWN + 3, 3)])
def test_near_duplicates_are_counted_and_the_first_of_them_shown(parts, more):
    members = [shot for part in range(parts) for shot in shots(part)]
    section = split_section([*members, member("alone.png")], COUNTS)
    assert f"{3 * parts} images look like repeated shots of {parts} parts" in section.summary
    assert section.groups[0].side == "test"
    assert section.groups[0].members == ["00-0.png", "00-1.png", "00-2.png"]
    assert (len(section.groups), section.more) == (min(parts, GROUPS_SHOWN), more)


def test_parts_that_names_alone_would_have_cut_in_two_are_counted():
    alone = [member(f"a{i}.png", split="base") for i in range(2)]
    section = split_section([*alone, *shots(0, number=4)], COUNTS)
    assert "by name alone, 1 would have been on both" in section.summary
