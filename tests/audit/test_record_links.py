"""lineage.json put in the place of the published one: digests, commit and tag fit, what it says does not."""

import json

import pytest
from kept_versions import dvc, git

from pipeline_tasks.audit.record_links import read_record
from pipeline_tasks.lineage.lock import md5_of
from pipeline_tasks.lineage.objects import stored_objects
from pipeline_tasks.lineage.releases import tag_message
from pipeline_tasks.lineage.snapshot import snapshot_at


def links(root, revision="HEAD"):
    with stored_objects(root, cache=False) as objects:
        return read_record(root, snapshot_at(root, revision), objects)[1]


@pytest.fixture
def replace_record(clean_clone):
    """Puts another lineage.json in the place of the published one, as one who can write everywhere would."""

    def replace(change):
        dvc(clean_clone, "pull", "lineage.json.dvc")
        path = clean_clone / "lineage.json"
        record = json.loads(path.read_text())
        text = change(record)
        path.unlink()
        path.write_text(text if isinstance(text, str) else json.dumps(record))
        dvc(clean_clone, "add", "lineage.json")
        dvc(clean_clone, "push", "lineage.json.dvc")
        git(clean_clone, "commit", "--quiet", "--all", "--message", "Refresh the dataset")
        message = tag_message(record.get("version", "0" * 12), md5_of(path))
        git(clean_clone, "tag", "--force", "--annotate", "dataset-1", "--message", message)

    return replace


def test_the_published_one_holds(clean_clone):
    (link,) = links(clean_clone)
    assert (link.verdict, link.found) == ("ok", "of this version, as git's digest says; it names 21 real samples")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda r: r.update(version="0123456789ab"), "version: it says 0123456789ab, by dvc.lock"),
        (lambda r: r["products"]["plate"].update(generator="tile"), "products: it says "),
        (lambda r: r["products"].clear(), "products: it says {}"),
        (lambda r: r["products"]["plate"]["defects"].pop("pit"), "defects of plate: it names scratch, stain, catalog"),
        (lambda r: r["generators"]["plate"].update(products=[]), "generators: it says "),
        (lambda r: r["generators"].clear(), "generators: it says {}"),
        (lambda r: r.update(number=0), "which should be a lineage.json: number: Input should be greater than 0"),
        (lambda r: r.pop("products"), "products: missing"),
        (lambda r: r.update(more=1), "more: unknown key"),
        (lambda r: r["products"]["plate"]["defects"]["pit"]["parents"].update(x=0), "should be greater than 0"),
        (lambda r: '{"format": 1}', "version: missing"),
        (lambda r: "no JSON", "Invalid JSON"),
    ],
)
def test_what_does_not_follow_from_lock_and_catalog_is_named(clean_clone, replace_record, change, told):
    replace_record(change)
    broken = [link for link in links(clean_clone) if link.verdict == "broken"]
    assert len(broken) >= 1 and told in broken[0].found


def test_another_number_than_its_tag_has_is_named(clean_clone, replace_record):
    replace_record(lambda record: record.update(number=7))
    (_, number) = links(clean_clone)
    assert (number.verdict, number.name) == ("broken", "git tag dataset-1: number")
    assert number.found == "lineage.json says that the version is dataset-7, and git's tag says dataset-1"


def test_a_tag_that_is_gone_is_missed_where_there_are_others(clean_clone):
    git(clean_clone, "tag", "dataset-5", "HEAD~1")
    git(clean_clone, "tag", "--delete", "dataset-1")
    assert [link.name for link in links(clean_clone) if link.verdict == "broken"] == ["git tag dataset-1"]
    git(clean_clone, "tag", "--delete", "dataset-5")
    assert [link.verdict for link in links(clean_clone)] == ["ok"], "a clone without any tag proves nothing"


def test_a_version_without_one_is_unchecked(clean_clone):
    git(clean_clone, "rm", "--quiet", "lineage.json.dvc")
    git(clean_clone, "commit", "--quiet", "--message", "without")
    (link,) = links(clean_clone)
    assert (link.verdict, "was not published by `defectline publish`" in link.found) == ("unchecked", True)
