import subprocess
from difflib import ndiff

import yaml

from pipeline_tasks.lineage.prune import prune
from pipeline_tasks.lineage.repro import reproduce_stage


def drop_pit(root):
    catalog = yaml.safe_load((root / "catalog.yaml").read_text())
    del catalog["defects"]["plate-pit"]
    (root / "catalog.yaml").write_text(yaml.safe_dump(catalog))


def test_a_removed_defect_goes_and_its_siblings_stay(refreshed):
    kept = {path: path.read_text() for path in refreshed.glob("data/**/*") if path.is_file() and "pit" not in str(path)}
    before = (refreshed / "dvc.lock").read_text()
    drop_pit(refreshed)
    pruned = prune(refreshed)
    assert (pruned.stages, pruned.left) == (("generate@plate-pit",), ())
    assert not (refreshed / "data" / "pairs" / "plate" / "pit").exists()
    assert {path: path.read_text() for path in refreshed.glob("data/**/*") if path.is_file()} == kept
    after = (refreshed / "dvc.lock").read_text()
    assert yaml.safe_load(before)["stages"].keys() - yaml.safe_load(after)["stages"].keys() == {"generate@plate-pit"}
    changes = [line for line in ndiff(before.splitlines(), after.splitlines()) if line[0] in "+?"]
    assert changes == [], "nothing else was rewritten"
    assert prune(refreshed).stages == ()


def test_a_product_that_goes_leaves_no_empty_folder_and_comes_back_from_the_run_cache(refreshed):
    catalog = (refreshed / "catalog.yaml").read_text()
    (refreshed / "raw" / "plate").rename(refreshed / "raw" / "tile")
    (refreshed / "catalog.yaml").write_text(catalog.replace("plate", "tile"))
    assert len(prune(refreshed).stages) == 4
    assert not (refreshed / "data").exists()
    (refreshed / "raw" / "tile").rename(refreshed / "raw" / "plate")
    (refreshed / "catalog.yaml").write_text(catalog)
    assert prune(refreshed).stages == ()
    assert reproduce_stage(refreshed, "ingest@plate") == "restored"


def test_files_that_dvc_does_not_know_stay_and_are_named(refreshed):
    note = refreshed / "data" / "pairs" / "plate" / "pit" / "a person's note"
    note.write_text("look at number 2")
    drop_pit(refreshed)
    assert prune(refreshed).left == ("data/pairs/plate/pit",)
    assert [path.name for path in note.parent.iterdir()] == [note.name]


def test_outputs_that_git_tracks_stay_and_are_named(refreshed):
    subprocess.run(["git", "add", "--force", "data/pairs/plate/pit"], check=True)
    drop_pit(refreshed)
    assert prune(refreshed).left == ("data/pairs/plate/pit",)
    assert len(list((refreshed / "data" / "pairs" / "plate" / "pit").iterdir())) == 3


def test_an_output_whose_listing_is_lost_stays_and_is_named(refreshed):
    for listing in (refreshed / ".dvc" / "cache").rglob("*.dir"):
        listing.unlink()
    drop_pit(refreshed)
    assert prune(refreshed).left == ("data/pairs/plate/pit",)


def set_parts(root, number):
    catalog = yaml.safe_load((root / "catalog.yaml").read_text())
    parts = {f"plate-pit-{part}": {"product": "plate", "defect": "pit", "part": part} for part in range(number)}
    (root / "catalog.yaml").write_text(yaml.safe_dump(catalog | {"parts": parts}))


def test_parts_that_are_no_more_go_and_the_others_stay(refreshed):
    pipeline = yaml.safe_load((refreshed / "dvc.yaml").read_text())
    stage, output = dict(pipeline["stages"]["generate"]["do"]), "data/parts/plate/pit/${item.part}"
    stage |= {"cmd": f"sh stage.sh part-${{key}} {output} data/samples/plate", "outs": [output]}
    pipeline["stages"]["part"] = {"foreach": "${parts}", "do": stage}
    (refreshed / "dvc.yaml").write_text(yaml.safe_dump(pipeline))
    set_parts(refreshed, 3)
    for number in range(3):
        reproduce_stage(refreshed, f"part@plate-pit-{number}")
    set_parts(refreshed, 1)
    pruned = prune(refreshed)
    assert (pruned.stages, pruned.left) == (("part@plate-pit-1", "part@plate-pit-2"), ())
    assert [path.name for path in (refreshed / "data/parts/plate/pit").iterdir()] == ["0"]
    set_parts(refreshed, 0)
    assert prune(refreshed).stages == ("part@plate-pit-0",)
    assert not (refreshed / "data/parts").exists() and (refreshed / "data/pairs/plate/pit").exists()


def test_without_a_lock_there_is_nothing_to_prune(tiny_pipeline):
    assert prune(tiny_pipeline).stages == ()


def test_a_stored_split_stays_without_a_note(refreshed):
    split = refreshed / "splits" / "plate.csv"
    split.parent.mkdir()
    split.write_text("made once")
    lock = yaml.safe_load((refreshed / "dvc.lock").read_text())
    lock["stages"]["ingest@plate"]["outs"].append({"path": "splits/plate.csv", "hash": "md5", "md5": "0" * 32})
    (refreshed / "dvc.lock").write_text(yaml.safe_dump(lock))
    catalog = (refreshed / "catalog.yaml").read_text()
    (refreshed / "raw" / "plate").rename(refreshed / "raw" / "tile")
    (refreshed / "catalog.yaml").write_text(catalog.replace("plate", "tile"))
    pruned = prune(refreshed)
    assert ("ingest@plate" in pruned.stages, pruned.left) == (True, ())
    assert split.read_text() == "made once" and not (refreshed / "data").exists()
