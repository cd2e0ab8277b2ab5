import json
from copy import deepcopy

import pytest
from kept_versions import git
from released_records import CATALOG, made, make_release_repository, product, release, row

from pipeline_tasks.audit.comparison import Changed, Side, compare
from pipeline_tasks.audit.comparison_text import SHOWN, lines
from pipeline_tasks.lineage.objects import stored_objects
from pipeline_tasks.lineage.record import load_record
from pipeline_tasks.lineage.snapshot import snapshot_at
from pipeline_tasks.splits.membership import Member, write_members

PITS = [row(f"test/pit/00{number}.png") for number in range(4)]
CODE, ROOM = "pipeline_tasks/schema.py", "pipeline_tasks/splits"
SAID = "2030-01-02 Ann <ann@example.org>: blurred"


def entry(deps, outs, params, cmd):
    listed = {"deps": deps, "outs": outs}
    files = {part: [{"path": path, "md5": md5} for path, md5 in found.items()] for part, found in listed.items()}
    return {"cmd": cmd, **files, "params": {"params.yaml": params}}


def stages(raw="r", base="b", code="c", seed=0, pairs="p", cmd="generate"):
    split = {"splits/plate.csv": f"{raw}s"}
    return {
        "ingest@plate": entry({"raw/plate": raw, ROOM: code}, {"data/base/plate": base, **split}, {}, "ingest"),
        "prompts@plate": entry({"data/base/plate": base}, {"data/prompts/plate.json": "q"}, {}, "prompts"),
        "generate@plate-pit": entry(
            {"data/prompts/plate.json": "q", CODE: code}, {"data/pairs/plate/pit": pairs}, {"run": {"seed": seed}}, cmd
        ),
    }


def record(samples, pairs):
    defects = {"pit": made("plate", {}, {}, pairs)}
    return {"products": {"plate": product(samples, defects)}, "generators": {}}


def write_code(root, text):
    for name in (CODE, f"{ROOM}/a.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / ROOM / "same.py").write_text("same")


def write_split(root, withdrawn):
    rows = [Member(pit["source_path"], pit["sha256"], "pit", False, "base", "", True, "few-shot-10") for pit in PITS]
    rows[1] = Member(*[getattr(rows[1], name) for name in Member.__slots__[:-1]], withdrawn)
    write_members(root / "splits/plate.csv", rows)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Two releases: a sample withdrawn and one added, code in two commits, a parameter, a command, the catalog."""
    root = make_release_repository(tmp_path_factory.mktemp("released") / "repository")
    write_code(root, "one")
    write_split(root, "")
    first = release(root, record(PITS[:3], 60), stages())
    for text in ("two", "three"):
        write_code(root, text)
        git(root, "add", ".")
        git(root, "commit", "--quiet", "--message", f"Code {text}")
    write_split(root, SAID)
    catalog = deepcopy(CATALOG)
    del catalog["defects"]["plate-stain"]
    catalog["products"]["plate"]["licence"] = "CC-BY-4.0"
    new = stages("r2", "b2", "c2", 1, "p2", "generate --fast")
    second = release(root, record([PITS[0], PITS[2], PITS[3]], 58), new, catalog)
    return root, first, second


def side(root, revision, scores=None, missing=()):
    snapshot = snapshot_at(root, revision)
    with stored_objects(root, cache=True) as objects:
        found = None if missing else load_record(objects, snapshot.record)
    return Side(snapshot, int(revision.removeprefix("dataset-")), found, scores or {}, missing)


@pytest.fixture
def found(template):
    root, _, _ = template
    old = side(root, "dataset-1", {"plate/unet/chosen/pixel_ap_mean": 0.5, "gone": 1.0})
    return compare(root, old, side(root, "dataset-2", {"plate/unet/chosen/pixel_ap_mean": 0.625}))


def test_causes_are_found(found, template):
    _, first, second = template
    assert found.old == {"number": 1, "version": first.version, "revision": first.revision}
    assert found.new["version"] == second.version
    assert {(c.change, c.source_path, c.more) for c in found.samples} == {
        ("withdrawn", "test/pit/001.png", SAID),
        ("added", "test/pit/003.png", "base, pit"),
    }
    assert found.parameters == [Changed("run.seed", 0, 1)]
    assert found.commands == [Changed("generate@plate-pit", "generate", "generate --fast")]
    assert [(code.path, list(code.files)) for code in found.code] == [(CODE, [CODE]), (ROOM, [f"{ROOM}/a.py"])]
    for code in found.code:
        assert [commit.split(" ", 1)[1] for commit in code.commits] == ["Code three", "Code two"]
    licence, gone = found.catalog[1], found.catalog[0]
    assert (gone.name, gone.new) == ("defect plate-stain", None)
    assert (licence.name, licence.old["licence"], licence.new["licence"]) == ("product plate", "unknown", "CC-BY-4.0")


def test_what_each_stage_made_of_them_and_the_numbers_follow(found):
    assert {change.stage: change.state for change in found.stages} == {
        "ingest@plate": "made again",
        "prompts@plate": "made again alike",
        "generate@plate-pit": "made again",
    }
    assert found.pairs == [Changed("plate/pit", 60, 58)]
    assert {(s.name, s.old, s.new) for s in found.scores} == {
        ("plate/unet/chosen/pixel_ap_mean", 0.5, 0.625),
        ("gone", 1.0, None),
    }


def test_it_is_told_in_lines_causes_first(found, template):
    _, first, second = template
    told = lines(found)
    assert told[0] == (
        f"dataset-1 (version {first.version}, commit {first.revision[:12]}) -> "
        f"dataset-2 (version {second.version}, commit {second.revision[:12]})"
    )
    order = ["raw samples", "parameters", "code", "commands", "catalog", "stages", "pairs", "scores"]
    assert [line for line in told if not line.startswith(" ")][1:] == order
    assert f"  withdrawn plate/test/pit/001.png: {SAID}" in told
    assert "  run.seed: 0 -> 1" in told
    assert f"  {ROOM}: {ROOM}/a.py" in told and f"  {CODE}" in told
    assert "  defect plate-stain: gone" in told and "  product plate: licence unknown -> CC-BY-4.0" in told
    because = f"raw samples raw/plate; what the stored split says splits/plate.csv; code {ROOM}"
    assert f"  ingest@plate: made again; because of {because}" in told
    alike = "made again, and the output is the same; because of the output of ingest@plate (data/base/plate)"
    assert f"  prompts@plate: {alike}" in told
    assert "  plate/pit: 60 -> 58" in told
    assert "  plate/unet/chosen/pixel_ap_mean: 0.500 -> 0.625" in told and "  gone: 1.000 -> none" in told


def test_everything_is_json(found):
    values = json.loads(json.dumps(found.to_json()))
    assert values["samples"][0]["change"] == "withdrawn" and values["stages"][0]["causes"][0]["kind"] == "raw samples"


def test_the_other_way_round_the_same_commits_tell_of_the_code(template):
    root, _, _ = template
    back = compare(root, side(root, "dataset-2"), side(root, "dataset-1"))
    assert {c.change for c in back.samples} == {"put back", "removed"}
    assert all(len(code.commits) == 2 for code in back.code)


def test_a_version_is_the_same_as_itself(template):
    root, _, _ = template
    told = lines(compare(root, side(root, "dataset-1"), side(root, "dataset-1")))
    assert told[1:] == [
        "stages",
        "  unchanged: ingest@plate, prompts@plate, generate@plate-pit",
        "pairs",
        "  plate/pit: 60",
    ]


def test_without_a_lineage_json_it_is_told_what_cannot_be_known(template):
    root, first, _ = template
    old = side(root, "dataset-1", missing=["its lineage.json: lost"])
    found = compare(root, old, side(root, "dataset-2"))
    assert found.samples is None and found.pairs == [Changed("plate/pit", None, 58)]
    assert lines(found)[-2:] == ["cannot be told", f"  version {first.version}: its lineage.json: lost"]


def test_suspicious_stages_and_code_without_a_commit_stand_out_and_long_lists_are_cut(template):
    root, _, _ = template
    many = stages()
    for number in range(SHOWN + 5):
        many[f"prompts@p{number}"] = entry({}, {f"data/prompts/p{number}.json": "q"}, {}, "prompts")
    old = side(root, "dataset-1")
    edited = deepcopy(old.snapshot.lock.stages) | many
    edited["generate@plate-pit"] = stages(pairs="edited")["generate@plate-pit"]
    edited["ingest@plate"] = stages(code="dirty")["ingest@plate"]
    lock = type(old.snapshot.lock)(root, edited)
    new = Side(type(old.snapshot)(old.snapshot.revision, lock, old.snapshot.catalog, None), None, old.record)
    told = lines(compare(root, old, new))
    assert told[0].split(" -> ")[1].startswith("unpublished (version ")
    where = told.index("stages")
    suspicious = "SUSPICIOUS: another output, although nothing that it reads has changed"
    assert told[where + 1] == f"  generate@plate-pit: {suspicious}"
    assert f"    {'no commit between the two changes it: it was changed without one'}" in told
    assert any(line.endswith("more; --json has them all") for line in told)
