import json
import re
import shutil
from pathlib import Path

import pytest
from pair_tables import ASKED, DEFECTS, expected, manifest, pair, samples, sound, stored
from settings import settings, write_settings

from pipeline_tasks.commands.validate import validate
from pipeline_tasks.errors import DataError, LeakageError, ValidationFailed
from pipeline_tasks.schema import GOOD, Pair, Rejected, Sample
from pipeline_tasks.stages import validate as stage
from pipeline_tasks.storage import write_json, write_rows

VALIDATE = settings().validate_


@pytest.fixture
def judge(tmp_path):
    def run(pairs, rejected=None, refused=None, **changes):
        table = stored(pairs, tmp_path / "pairs.parquet")
        return stage.run(VALIDATE, expected(**changes), table, rejected or {}, refused or {})

    return run


def spoilt(column, value):
    pairs = sound()
    pairs.loc[0, column] = value
    return pairs


def test_sound_pairs_pass(judge):
    gate = judge(sound())
    assert (gate.result["verdict"], gate.warnings) == ("passed", [])
    assert gate.result["counts"] == {
        "asked_per_defect": ASKED,
        "pairs": {"pit": 6, "scratch": 6},
        "made_again": {},
        "rejected": {},
        "refused": {},
        "base": {GOOD: 4, "pit": 4, "scratch": 4},
        "test": {GOOD: 4, "pit": 4, "scratch": 4},
        "shortfall": {},
    }


def test_a_failed_rule_stops_or_warns(judge):
    stopped = judge(spoilt("change_outside_max", 3))
    assert (stopped.result["verdict"], len(stopped.refusals), stopped.warnings) == ("failed", 1, [])
    warned = judge(spoilt("mask_x", 0.01))
    assert (warned.result["verdict"], warned.refusals, len(warned.warnings)) == ("passed", [], 1)


def test_what_was_made_again_rejected_or_refused_is_counted_by_defect(judge):
    pairs = sound().assign(attempts=[2, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2])
    counts = judge(pairs, {"scratch": {"empty mask": 4}}, {"pit": {"fragmented": 1}}).counts
    assert counts["made_again"] == {"pit": 2, "scratch": 1}
    assert (counts["rejected"], counts["refused"]) == ({"scratch": {"empty mask": 4}}, {"pit": {"fragmented": 1}})
    assert counts["shortfall"] == {}, "the reserve made up for them"


def test_a_shortfall_says_by_how_much_and_why(judge):
    rejected = {"pit": {"defect not visible": 3, "copy of a base defect": 1}}
    gate = judge(sound()[2:], rejected, {"pit": {"fragmented": 2}})
    sentence = (
        "4 of 6 pairs of 'pit', 2 too few: 4 were made and could not be kept (copy of a base defect: 1, "
        "defect not visible: 3) and 2 had no mask that could be placed (fragmented: 2)."
    )
    assert gate.counts["shortfall"] == {"pit": sentence}
    assert [o.rule.key for o in gate.warnings] == ["enough_pairs/*/pit"]
    assert sentence.replace("'", "&#39;") in gate.docs


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"defects": [*DEFECTS, "stain"]}, "'plate' has no base sample to learn it from"),
        ({"zero_shot": ["stain"]}, "no reason is on record; run `dvc repro` to make the missing shards"),
    ],
)
def test_a_shortfall_without_a_record_says_so(judge, changes, why):
    gate = judge(sound(), **changes)
    assert gate.counts["shortfall"] == {"stain": f"0 of 6 pairs of 'stain', 6 too few: {why}."}
    assert gate.result["verdict"] == "passed"


def test_the_result_is_deterministic_json(judge):
    first, second = (judge(spoilt("change_outside_max", 3)) for _ in range(2))
    assert json.dumps(first.result) == json.dumps(second.result)
    assert first.docs == second.docs
    entry = next(e for e in first.result["expectations"] if not e["success"])
    assert entry == {
        "name": "untouched_outside",
        "topic": "Labels",
        "sentence": "Outside the dilated mask every pair equals its normal image",
        "column": "change_outside_max",
        "defect": None,
        "severity": "critical",
        "success": False,
        "observed": "1 of 12 deviate (8.33%): plate/pit/000000 (3)",
        "threshold": "0 grey levels of change",
    }


def test_the_page_is_self_contained_and_says_what_failed_and_how_gravely(judge):
    sound_page, stopped, warned = (
        judge(pairs).docs for pairs in (sound(), spoilt("change_outside_max", 3), spoilt("mask_x", 0.01))
    )
    assert not re.search(r"https?:|<script|<link|<img|\ssrc=", stopped)
    for page, headings in ((sound_page, [False, False]), (stopped, [True, False]), (warned, [False, True])):
        assert [words in page for words in ("Stopped:", "Warnings:")] == headings
    assert "wanted <b>0 grey levels of change</b>, found <b>1 of 12 deviate" in stopped
    assert "Possible: pair_index, seed, " in sound_page, "alike rules fold while they hold"
    assert "Possible:" not in judge(spoilt("alpha", 1.5)).docs


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        ({"base": manifest(samples("base")).assign(split="test")}, "is a test sample"),
        (
            {
                "base": manifest(samples("base")).assign(sha256="f" * 64),
                "test": manifest(samples("test")).assign(sha256="f" * 64),
            },
            "same im",
        ),
        ({"test": manifest(samples("test")).assign(derived_from="base/pit/0.png")}, "nothing made is measured on"),
    ],
)
def test_a_test_sample_among_the_base_stops_by_name(judge, spoil, what):
    with pytest.raises(LeakageError, match=rf"'(plate/)?\S+\.png'.* {what}"):
        judge(sound(), **spoil)


def test_normal_images_made_from_defect_images_are_counted_apart(judge):
    base = manifest(samples("base"))
    base.loc[base.defect == GOOD, "derived_from"] = "base/pit/000.png"
    assert judge(sound(), base=base).counts["base"] == {stage.MADE: 4, "pit": 4, "scratch": 4}


def test_what_a_killed_write_left_is_no_defect(workspace):
    call()
    whole = result()
    (workspace / "pairs/.pit.abcd1234.part/pit").mkdir(parents=True)
    call()
    assert result() == whole


def test_names_from_files_cannot_inject_markup(judge):
    page = judge(spoilt("normal_path", "<script>alert(1)</script>")).docs
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_settings(tmp_path, masks={"pairs_per_defect": ASKED})
    for split in ("base", "test"):
        for defect in [GOOD, *DEFECTS]:
            write_rows(Path(split, f"{defect}.parquet"), [s for s in samples(split) if s.defect == defect], Sample)
    for defect in DEFECTS:
        write_json(Path("masks", f"{defect}.refused.json"), {"asked": 6, "reserve": 2, "made": 8, "refused": {}})
        for shard in range(2):
            made = [pair(defect, i) for i in range(shard * 3, shard * 3 + 3)]
            write_rows(Path("pairs", defect, f"{shard:05d}.parquet"), made, Pair)
    return tmp_path


def call(base="base"):
    folders = [Path(folder) for folder in (base, "test", "masks", "pairs")]
    validate("plate", *folders, Path("out/result.json"), Path("out/docs"))


def result():
    return json.loads(Path("out/result.json").read_text())


def test_the_command_writes_result_and_docs_and_nothing_else(workspace, capsys):
    call()
    assert result()["verdict"] == "passed"
    assert "Pairs of plate" in Path("out/docs/index.html").read_text()
    assert "gate passed" in capsys.readouterr().out
    assert sorted(path.name for path in Path("out").iterdir()) == ["docs", "result.json"]


def test_a_failed_gate_leaves_its_reasons_behind(workspace):
    write_rows(Path("pairs/pit/00001.parquet"), [pair("scratch", 0)], Pair)
    with pytest.raises(ValidationFailed, match=r"No two pairs have the same image.*scratch/000000.*out/docs/index"):
        call()
    assert result()["verdict"] == "failed"
    assert "Nothing is published" in Path("out/docs/index.html").read_text()


def test_missing_samples_are_named(workspace):
    with pytest.raises(DataError, match="nowhere: no samples"):
        call("nowhere")


def test_what_is_asked_of_every_pair_is_what_generate_keeps(workspace):
    write_settings(workspace, masks={"pairs_per_defect": ASKED}, generate={"keep": {"min_label_iou": 0.7}})
    with pytest.raises(ValidationFailed, match=r"Every mask marks what changed: wanted label_iou at least 0\.7"):
        call()


def test_a_product_with_normal_images_only_is_judged(workspace):
    for defect in DEFECTS:
        for split in ("base", "test"):
            Path(split, f"{defect}.parquet").unlink()
        shutil.rmtree(Path("pairs", defect))
    foreign = {"source": "tile", "parent_a": "t.png", "parent_b": "t.png", "nearest_base": "t.png"}
    write_rows(Path("pairs/crack/00000.parquet"), [pair("crack", i, **foreign) for i in range(ASKED)], Pair)
    call()
    assert (result()["verdict"], result()["counts"]["pairs"]) == ("passed", {"crack": 6})


def rejected(index, reason):
    return Rejected(index, "plate", "pit", 3, reason, 0.1, 0.05, 0.2, 1.0, 0.3)


def test_what_is_lacking_is_counted_by_reason_and_told(workspace, capsys):
    for shard, indices in enumerate(([4, 5], [6])):
        given_up = [rejected(index, "defect not visible") for index in indices]
        write_rows(Path("pairs/pit/rejected", f"{shard:05d}.parquet"), given_up, Rejected)
    write_rows(Path("pairs/pit/00001.parquet"), [pair("pit", 3, attempts=2)], Pair)
    write_json(Path("masks/pit.refused.json"), {"asked": 6, "reserve": 2, "made": 7, "refused": {"fragmented": 1}})
    call()
    counts = result()["counts"]
    assert (counts["pairs"], counts["made_again"]) == ({"pit": 4, "scratch": 6}, {"pit": 1})
    assert (counts["rejected"], counts["refused"]) == ({"pit": {"defect not visible": 3}}, {"pit": {"fragmented": 1}})
    assert f"warning: {counts['shortfall']['pit']}" in capsys.readouterr().out
    assert counts["shortfall"]["pit"].startswith("4 of 6 pairs of 'pit', 2 too few: 3 were made")
