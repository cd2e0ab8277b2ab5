from pathlib import Path

import pytest
import yaml

from pipeline_tasks.catalog import Catalog
from pipeline_tasks.errors import PublicationError
from pipeline_tasks.lineage.lock import Output, load_lock

SHARED = {"generator": "shared", "prompts": "data/prompts"}
CATALOG = Catalog.model_validate(
    {
        "products": {"plate": {"path": "raw", "layout": "mvtec"}},
        "generators": {"shared": {"base": "data/base", "prompts": "data/prompts"}},
        "defects": {"plate-pit": {"product": "plate", "defect": "pit", **SHARED, "source": "plate"}},
    }
)
# What DVC 3.67 wrote for these files.
FOLDER = {"sub/x.parquet": "1\n", "sub2.txt": "2\n", "b": "ä\n", "sub-a": "3\n"}
FOLDER_MD5 = "74e70f52bd9e87cb76ea8b1277b8b9bb.dir"
FILE_MD5 = "ccc87e7257869ad33a6a0bd9e28a4ae4"


def entry(*outs):
    return {"cmd": "c", "outs": [{"path": path, "hash": "md5", "md5": md5} for path, md5 in outs]}


def stages():
    return {
        "generate@plate-pit": entry(("data/pairs", FOLDER_MD5)),
        "validate@plate": entry(("docs", FOLDER_MD5), ("data/result.json", FILE_MD5)),
    }


@pytest.fixture
def root(tmp_path):
    for folder in ("data/pairs", "docs"):
        for name, text in FOLDER.items():
            (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / name).write_text(text)
    (tmp_path / "data/result.json").write_text("k\n")
    return tmp_path


def lock(root, stages):
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    return load_lock(root, CATALOG)


def test_the_version_is_that_of_the_content_in_any_order(root):
    given = stages()
    version = lock(root, given).version
    assert len(version) == 12
    assert int(version, 16)
    assert lock(root, dict(reversed(given.items()))).version == version
    given["generate@plate-pit"]["outs"][0]["md5"] = "other"
    assert lock(root, given).version != version


def test_what_the_catalog_no_longer_has_does_not_count(root):
    left_over = {"generate@plate-stain": entry(("gone", "x")), "train@other": entry(("gone", "y"))}
    assert lock(root, stages() | left_over).version == lock(root, stages()).version
    assert lock(root, stages() | {"train@shared": entry(("model", "z"))}).version != lock(root, stages()).version


def test_outputs_are_found_by_stage_and_name(root):
    found = lock(root, stages())
    assert found.output("generate@plate-pit") == Output(Path("data/pairs"), FOLDER_MD5)
    assert found.output("validate@plate", "result.json") == Output(Path("data/result.json"), FILE_MD5)


@pytest.mark.parametrize("product", ["base", "test", "set_aside", "data"])
def test_outputs_are_told_apart_whatever_a_product_is_called(root, product):
    outs = [(f"data/{kind}/{product}", kind) for kind in ("base", "test")]
    ingest = {f"ingest@{product}": entry(*outs, (f"data/set_aside/{product}.parquet", "set_aside"))}
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": ingest}))
    item = {"product": product, "defect": "pit", **SHARED, "source": product}
    names = {"products": {product: {"path": "raw", "layout": "mvtec"}}, "defects": {f"{product}-pit": item}}
    found = load_lock(root, Catalog.model_validate(CATALOG.model_dump() | names))
    for kind in ("base", "test", "set_aside"):
        assert found.output(f"ingest@{product}", f"data/{kind}/*").md5 == kind


@pytest.mark.parametrize(
    ("stage", "pattern", "named"),
    [
        ("train@plate", (), r"no output '\*' of stage train@plate"),
        ("validate@plate", ("other.json",), r"no output 'other\.json' of stage validate@plate"),
        ("validate@plate", (), r"no output '\*' of stage validate@plate"),
    ],
)
def test_an_output_that_is_not_there_is_named(root, stage, pattern, named):
    with pytest.raises(PublicationError, match=f"{named}.*dvc repro"):
        lock(root, stages()).output(stage, *pattern)


def test_no_lock_at_all(tmp_path):
    with pytest.raises(PublicationError, match=r"dvc\.lock: missing.*dvc repro"):
        load_lock(tmp_path, CATALOG)


def test_an_untouched_workspace_is_that_of_the_lock(root):
    lock(root, stages()).check_workspace()


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda root: (root / "data/result.json").write_text("x"), r"1 outputs.*data/result\.json"),
        (lambda root: (root / "data/pairs/b").write_text("x"), "1 outputs.*data/pairs"),
        (lambda root: (root / "data/pairs/sub/new").write_text("x"), "1 outputs.*data/pairs"),
        (lambda root: (root / "docs/sub2.txt").unlink(), "1 outputs.*docs"),
        (lambda root: (root / "data/result.json").unlink(), r"1 outputs.*data/result\.json"),
    ],
)
def test_outputs_that_differ_from_the_lock_are_named(root, spoil, named):
    spoil(root)
    with pytest.raises(PublicationError, match=named):
        lock(root, stages()).check_workspace()


def test_stages_can_be_checked_alone(root):
    found = lock(root, stages())
    (root / "docs/sub2.txt").unlink()
    found.check_workspace(["generate@plate-pit"])
    with pytest.raises(PublicationError, match=r"1 outputs.*docs"):
        found.check_workspace(["validate@plate"])


def test_parts_of_the_catalog_belong_to_the_version_and_others_do_not(root):
    parts = {f"part@plate-pit-{number}": entry((f"data/parts/plate/pit/{number}", FOLDER_MD5)) for number in range(3)}
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages() | parts}))
    kept = load_lock(root, CATALOG.in_parts(2)).stages
    assert [name for name in kept if name.startswith("part@")] == ["part@plate-pit-0", "part@plate-pit-1"]
    assert load_lock(root, CATALOG).stages.keys() == stages().keys()
