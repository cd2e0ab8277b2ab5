from dataclasses import replace
from pathlib import Path

import pytest
from benefit_results import choice, evaluation
from report_contents import member
from rows import digest, pair, sample

from pipeline_tasks.catalog import Catalog
from pipeline_tasks.errors import DataError, PublicationError
from pipeline_tasks.lineage.collect import EXTREMES_SHOWN, collect
from pipeline_tasks.lineage.dvc_files import DvcFiles
from pipeline_tasks.lineage.lock import Lock
from pipeline_tasks.report.contents import CurvePoint, PairCounts
from pipeline_tasks.report.model_card import CardGenerator
from pipeline_tasks.schema import GOOD, Pair, Sample, SetAside
from pipeline_tasks.splits.membership import write_members
from pipeline_tasks.storage import write_json, write_rows

CATALOG = Catalog.model_validate(
    {
        "products": {"plate": {"path": "raw", "layout": "mvtec", "licence": "CC-BY-4.0"}},
        "generators": {"plate": {"base": "data/base", "prompts": "data/prompts"}},
        "defects": {
            "plate-pit": {
                "product": "plate",
                "defect": "pit",
                "source": "plate",
                "generator": "plate",
                "prompts": "data/prompts",
            }
        },
    }
)
OUTPUTS = {
    "ingest@plate": ["data/base/plate", "data/test/plate", "data/set_aside/plate.parquet", "splits/plate.csv"],
    "prompts@plate": ["data/prompts/plate.json"],
    "pretrain@plate": ["data/pretrained/plate"],
    "train@plate": ["data/models/plate"],
    "generate@plate-pit": ["data/pairs/plate/pit"],
    "validate@plate": ["data/validation/plate/result.json", "data/validation/plate/docs"],
    "choose@plate": ["data/choice/plate.json"],
    "evaluate@plate": ["data/evaluation/plate.json", "data/evaluation/curves/plate.csv"],
}
REVISION = "e" * 40
HEADER = "arm,recall,precision\n"
ALIGNMENTS = [0.5, 0.9, 0.3, 0.7, 0.8, 0.2, 0.6, 0.4]


@pytest.fixture
def lock(tmp_path):
    """The outputs of a plate with pits, one pair for each of ALIGNMENTS."""
    for defect in (GOOD, "pit"):
        for side in ("base", "test"):
            rows = [sample(defect, number, side) for number in range(3)]
            write_rows(tmp_path / f"data/{side}/plate/{defect}.parquet", rows, Sample)
    write_pairs(tmp_path, ALIGNMENTS)
    write_rows(tmp_path / "data/set_aside/plate.parquet", [], SetAside)
    write_members(tmp_path / "splits/plate.csv", [member("base/pit/000.png")])
    write_json(tmp_path / "data/prompts/plate.json", {"kind": "template", "asked": "template", "reason": ""})
    base_model = {"source": "none", "revision": None, "codec_psnr_db": None}
    write_json(tmp_path / "data/pretrained/plate/pretrained.json", base_model)
    write_json(tmp_path / "data/validation/plate/result.json", {})
    write_json(tmp_path / "data/choice/plate.json", choice())
    write_json(tmp_path / "data/evaluation/plate.json", evaluation())
    write_curves(tmp_path, f"{HEADER}real_flip,0.5,0.75\nchosen,1,0.25\n")
    outs = {name: [{"path": path, "md5": md5(path)} for path in paths] for name, paths in OUTPUTS.items()}
    return Lock(tmp_path, {name: {"outs": entries} for name, entries in outs.items()})


def md5(path):
    """What stands for DVC's digest of an output."""
    return digest(path)[:32]


def write_pairs(root, alignments):
    pairs = [pair(index=index, alignment=alignment) for index, alignment in enumerate(alignments)]
    for shard in range(2):
        write_rows(root / f"data/pairs/plate/pit/{shard:05d}.parquet", pairs[shard::2], Pair)


def write_curves(root, text):
    file = Path(root, "data/evaluation/curves/plate.csv")
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)


def product(lock):
    return collect(lock, CATALOG, 4, REVISION).products[0]


def alignments(examples):
    return [example.pair.alignment for example in examples]


def test_the_choice_the_evaluation_and_its_curves_are_read(lock):
    found = product(lock)
    assert found.choice == choice()
    assert found.evaluation == evaluation()
    assert found.curves == [CurvePoint("real_flip", 0.5, 0.75), CurvePoint("chosen", 1.0, 0.25)]
    assert found.defects[0].digest == md5("data/pairs/plate/pit")
    assert (found.licence, found.defects[0].path) == ("CC-BY-4.0", "data/pairs/plate/pit")


def test_pairs_and_base_samples_are_data_sets_that_anybody_can_fetch(lock):
    pairs, base = collect(lock, CATALOG, 4, REVISION).datasets
    assert [(d.name, d.context, len(d.manifest)) for d in (pairs, base)] == [
        ("plate/pit", "pairs", len(ALIGNMENTS)),
        ("plate, base samples", "base", 6),
    ]
    paths = ["data/pairs/plate/pit", "data/base/plate"]
    assert [d.digest for d in (pairs, base)] == [md5(path) for path in paths]
    sources = [DvcFiles.parse(d.source) for d in (pairs, base)]
    assert sources == [DvcFiles(path, REVISION, md5(path), lock.root.as_uri()) for path in paths]
    assert not {"image", "mask"} & {*pairs.manifest.columns, *base.manifest.columns}


def test_a_defects_pairs_are_counted_in_all_shards(lock):
    mixed = [pair(index=i, parent_b=f"base/pit/00{i % 3}.png", mask_kind="image" if i else "perlin") for i in range(5)]
    write_rows(lock.root / "data/pairs/plate/pit/00000.parquet", mixed, Pair)
    counts = product(lock).defects[0].counts()
    old = len(ALIGNMENTS) // 2
    assert counts == PairCounts(5 + old, 3, 1, {"image": 4, "transformed": old, "perlin": 1}, {"48 × 48": 5 + old})


def test_a_generator_is_told_with_its_files_and_losses(lock):
    write_json(lock.root / "data/models/plate/curve.json", {"step": [0, 9], "loss": [2.0, 0.5]})
    found = collect(lock, CATALOG, 4, REVISION).generators
    losses = {"step": [0, 9], "loss": [2.0, 0.5]}
    where = ("defectline-plate-generator", md5("data/models/plate"), "data/models/plate")
    assert found == {"plate": CardGenerator(*where, losses)}


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("none", "none, it learns from these samples alone"),
        ("prior", f"the prior that ships, {'a' * 12}: it has seen drawn surfaces and defects alone"),
        ("priors/mine", "priors/mine"),
    ],
)
def test_what_a_generator_starts_from_is_told(lock, source, told):
    card = {"source": source, "revision": None, "codec_psnr_db": None, "digest": "a" * 64}
    write_json(lock.root / "data/pretrained/plate/pretrained.json", card)
    assert product(lock).generator["Base model"] == told


def test_curves_of_no_arm_are_none(lock):
    write_curves(lock.root, HEADER)
    assert product(lock).curves == []


@pytest.mark.parametrize("text", ["", "arm,recall\nreal,0.5\n", f"{HEADER}real,half,1\n", f"{HEADER}real,1\n"])
def test_damaged_curves_are_refused_by_name(lock, text):
    write_curves(lock.root, text)
    with pytest.raises(DataError, match=r"curves/plate\.csv: not arms' precision and recall \(.+\); delete it"):
        collect(lock, CATALOG, 4, REVISION)


def test_missing_curves_are_refused_by_name(lock):
    (lock.root / "data/evaluation/curves/plate.csv").unlink()
    with pytest.raises(DataError, match=r"curves/plate\.csv: missing; run `dvc repro`"):
        collect(lock, CATALOG, 4, REVISION)


def test_a_lock_without_a_choice_is_refused(lock):
    stages = {name: entry for name, entry in lock.stages.items() if name != "choose@plate"}
    with pytest.raises(PublicationError, match="choose@plate"):
        collect(replace(lock, stages=stages), CATALOG, 4, REVISION)


def test_the_best_and_worst_pairs_are_those_that_agree_most_and_least(lock):
    extremes = product(lock).defects[0].extremes()
    assert alignments(extremes.best) == sorted(ALIGNMENTS)[::-1][:EXTREMES_SHOWN]
    assert alignments(extremes.worst) == sorted(ALIGNMENTS)[:EXTREMES_SHOWN]
    assert extremes.best[0].normal == sample(GOOD).image


@pytest.mark.parametrize(("number", "shown"), [(0, 0), (1, 0), (2, 1), (5, 2), (6, 3)])
def test_no_pair_is_both_best_and_worst(lock, number, shown):
    write_pairs(lock.root, ALIGNMENTS[:number])
    extremes = product(lock).defects[0].extremes()
    ids = [example.pair.pair_id for example in (*extremes.best, *extremes.worst)]
    assert len(set(ids)) == len(ids) == 2 * shown


def test_examples_are_spread_over_the_shards(lock):
    examples = product(lock).defects[0].examples()
    assert [example.pair.pair_index for example in examples] == [0, 4, 1, 5]


def test_test_samples_are_loaded_by_path_in_the_order_asked_for(lock):
    test = product(lock).test
    paths = ["test/pit/002.png", "test/good/000.png", "test/pit/001.png"]
    assert [(found.source_path, found.split) for found in test(paths)] == [(path, "test") for path in paths]
    assert test([]) == []


def test_a_test_sample_that_is_not_there_is_named(lock):
    with pytest.raises(DataError, match=r"data/test/plate: no sample test/pit/009\.png, which was evaluated"):
        product(lock).test(["test/pit/009.png"])
