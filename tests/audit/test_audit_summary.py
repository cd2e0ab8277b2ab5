from audits import audit, links

from pipeline_tasks.audit.chain import Link
from pipeline_tasks.audit.summary import lines
from pipeline_tasks.report.audit_page import SHOWN


def test_an_intact_chain_is_told_step_by_step_with_what_it_depends_on():
    told = lines(audit(links()))
    assert told[0].startswith("dataset-4 (version 0123456789ab, commit ")
    assert told[0].endswith("The chain holds. All 13 links that were looked at hold.")
    assert "  git tag           2 ok" in told and "  pairs made again  1 ok" in told
    assert told[-1] == "real samples: 14 of plate", "a counterpart is none"


def test_what_is_broken_is_told_before_what_was_not_checked_with_what_to_do():
    told = lines(audit(links(broken=("rows",), unchecked=("raw",)), number=None))
    assert told[0].startswith("unpublished (version ") and "1 link of 13 is broken" in told[0]
    assert told[-4:] == [
        "broken: rows of plate/pit: found about rows of plate/pit",
        "  what to do: what to do about rows of plate/pit",
        "unchecked: raw samples of plate: found about raw samples of plate",
        "  what to do: what to do about raw samples of plate",
    ]


def test_long_lists_are_cut():
    told = lines(audit([Link(f"rows of {number}", "broken", "x") for number in range(60)], samples={}))
    assert told[-1] == f"broken: {60 - SHOWN} more" and len(told) == 2 + 1 + SHOWN + 1
    assert told[2] == "real samples: they could not be read"
