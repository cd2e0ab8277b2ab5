import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline_tasks.catalog import Catalog
from pipeline_tasks.errors import ConfigError
from pipeline_tasks.lineage.graph import CACHE, load_graph

REPOSITORY = Path(__file__).parents[2]
OWN = {"generator": "plate", "prompts": "data/prompts/plate.json"}
SHARED = {"generator": "shared", "prompts": "data/prompts"}
CATALOG = {
    "products": {"plate": {"path": "raw/plate", "layout": "mvtec"}, "tile": {"path": "raw/tile", "layout": "mvtec"}},
    "generators": {
        "plate": {"base": "data/base/plate", "prompts": "data/prompts/plate.json"},
        "shared": {"base": "data/base", "prompts": "data/prompts"},
    },
    "defects": {
        "plate-pit": {"product": "plate", "defect": "pit", "source": "plate", **OWN},
        "plate-dent": {"product": "plate", "defect": "dent", "source": "plate", **OWN},
        "tile-crack": {"product": "tile", "defect": "crack", "source": "tile", **SHARED},
        "tile-pit": {"product": "tile", "defect": "pit", "source": "plate", **SHARED},
    },
}
CATALOG = yaml.safe_load(Catalog.model_validate(CATALOG).to_yaml())
IN_PARTS = yaml.safe_load(Catalog.model_validate(CATALOG).in_parts(2).to_yaml())


@pytest.fixture
def repository(tiny_pipeline: Path) -> Path:
    """The real dvc.yaml over a small catalog of two products."""
    (tiny_pipeline / "dvc.yaml").write_text((REPOSITORY / "dvc.yaml").read_text())
    (tiny_pipeline / "catalog.yaml").write_text(yaml.safe_dump(CATALOG, sort_keys=False))
    return tiny_pipeline


@pytest.fixture
def in_parts(repository: Path) -> Path:
    """The same, with each defect in two parts."""
    (repository / "catalog.yaml").write_text(yaml.safe_dump(IN_PARTS, sort_keys=False))
    return repository


def resolved_by_hand(root: Path, catalog: dict = CATALOG) -> dict[str, dict]:
    """Expand the `foreach`es of dvc.yaml with plain text substitution."""
    stages = {}
    for name, stage in yaml.safe_load((root / "dvc.yaml").read_text())["stages"].items():
        for key, item in catalog[stage["foreach"].strip("${}")].items():
            text = yaml.safe_dump(stage["do"]).replace("${key}", key)
            for field, value in item.items():
                text = text.replace(f"${{item.{field}}}", str(value))
            stages[f"{name}@{key}"] = yaml.safe_load(text)
    return stages


@pytest.mark.parametrize("stage", ["masks@tile-pit", "generate@tile-pit"])
def test_zero_shot_never_reads_a_real_defect_of_the_target(repository, stage):
    """Only the shared generator, which learns from all products, knows more of the target than normal images."""
    inputs = resolved_by_hand(repository)[stage]["deps"]
    commands = {found.name: found.command.split() for found in load_graph(repository).stages}
    for paths in (inputs, commands[stage]):
        real = [path for path in paths if overlap(path, "data/base")]
        assert sorted(real) == ["data/base/plate/pit.parquet", "data/base/tile/good.parquet"]


def outputs(stage: dict) -> list[str]:
    """Return the paths of all outputs; one with options of its own is a mapping."""
    found = [output for kind in ("outs", "metrics", "plots") for output in stage.get(kind, [])]
    return [output if isinstance(output, str) else next(iter(output)) for output in found]


def overlap(dependency: str, output: str) -> bool:
    return f"{dependency}/".startswith(f"{output}/") or f"{output}/".startswith(f"{dependency}/")


@pytest.mark.parametrize(("root", "catalog"), [("repository", CATALOG), ("in_parts", IN_PARTS)])
def test_graph_equals_dvc_yaml(request, root, catalog):
    repository = request.getfixturevalue(root)
    expected = resolved_by_hand(repository, catalog)
    graph = load_graph(repository)
    assert [stage.name for stage in graph.stages] == list(expected)
    for stage in graph.stages:
        by_hand = expected[stage.name]
        upstream = {
            name
            for name, other in expected.items()
            if any(overlap(dependency, output) for dependency in by_hand["deps"] for output in outputs(other))
        }
        assert set(stage.upstream) == upstream, stage.name
        assert (stage.description, stage.command) == (by_hand["desc"], by_hand["cmd"])
        assert {key: getattr(stage, key) for key in by_hand["meta"]} == by_hand["meta"]
        assert list(stage.inputs) == [path for path in by_hand["deps"] if not path.startswith("pipeline_tasks/")]
        assert sorted(stage.outputs) == sorted(outputs(by_hand))
    assert {stage.group for stage in graph.leaves} == {"evaluate"}
    assert {(stage.group, stage.key) for stage in graph.stages} >= {("generate", "tile-crack"), ("train", "plate")}


def test_data_come_from_whole_outputs_of_stages_and_from_raw_folders(repository):
    graph = load_graph(repository)
    inputs = {stage.name: stage.inputs for stage in graph.stages}
    assert graph.sources(inputs["ingest@plate"]) == {"raw/plate": ()}
    assert graph.sources(inputs["pretrain@plate"]) == {"data/base/plate": (), "data/prompts/plate.json": ()}
    every = ["data/base/plate", "data/base/tile", "data/prompts/plate.json", "data/prompts/tile.json"]
    assert graph.sources(inputs["pretrain@shared"]) == dict.fromkeys(every, ())
    crossed = graph.sources(inputs["masks@tile-pit"])
    assert crossed["data/base/plate"] == ("data/base/plate/pit.parquet",), "a part of it"
    assert crossed["data/base/tile"] == ("data/base/tile/good.parquet",), "and no real defect of the target"
    evaluated = graph.sources(inputs["evaluate@tile"])
    assert {path for path in evaluated if "pairs" in path} == {"data/pairs/tile/crack", "data/pairs/tile/pit"}
    assert graph.sources(["data/base/plate", "data/base/plate/pit.parquet"]) == {"data/base/plate": ()}
    assert graph.sources(["data/base/plate_2", "dataset"]) == {"data/base/plate_2": (), "dataset": ()}


def test_a_generator_learns_from_its_own_products_alone_or_from_all(repository):
    upstream = {stage.name: set(stage.upstream) for stage in load_graph(repository).stages}
    own = {"ingest@plate", "prompts@plate"}
    every = own | {"ingest@tile", "prompts@tile"}
    assert (upstream["train@plate"], upstream["pretrain@plate"]) == (own | {"pretrain@plate"}, own)
    assert (upstream["train@shared"], upstream["pretrain@shared"]) == (every | {"pretrain@shared"}, every)
    assert {"train@shared", "pretrain@shared", "masks@tile-crack"} <= upstream["generate@tile-crack"]
    assert not {"train@plate", "pretrain@plate"} & upstream["generate@tile-crack"]


def test_a_defect_is_put_together_of_its_own_parts_which_wait_for_what_it_waits_for(in_parts):
    stages = {stage.name: stage for stage in load_graph(in_parts).stages}
    assert len([stage for stage in stages.values() if stage.group == "part"]) == 2 * 4
    parts = {f"part@tile-pit-{number}" for number in range(2)}
    joined, part = stages["generate@tile-pit"], stages["part@tile-pit-1"]
    assert set(joined.upstream) == {*part.upstream, *parts}
    assert set(part.upstream) >= {"masks@tile-pit", "train@shared"}
    assert part.outputs == ("data/parts/tile/pit/1",)
    assert set(load_graph(in_parts).sources(["data/parts/tile/pit"])) == {f"data/parts/tile/pit/{n}" for n in range(2)}


@pytest.mark.parametrize("lacking", ["parts", "item.parts"])
def test_the_catalog_of_an_earlier_release_is_told(repository, lacking):
    older = {name: entries for name, entries in CATALOG.items() if name != lacking}
    if lacking == "item.parts":
        older["defects"] = {k: {f: v for f, v in d.items() if f != "parts"} for k, d in CATALOG["defects"].items()}
    (repository / "catalog.yaml").write_text(yaml.safe_dump(older))
    with pytest.raises(ConfigError, match=f"Could not find '{lacking}'; .* write it again with `defectline catalog"):
        load_graph(repository)


def test_a_cached_graph_is_read_without_dvc(repository):
    script = (
        "import sys; from pathlib import Path; from pipeline_tasks.lineage.graph import load_graph;"
        "print(len(load_graph(Path()).stages), 'dvc' in sys.modules, 'pyarrow' in sys.modules)"
    )
    seen = [subprocess.check_output([sys.executable, "-c", script], text=True).split() for _ in range(2)]
    count = str(len(resolved_by_hand(repository)))
    assert seen == [[count, "True", "False"], [count, "False", "False"]]


def test_the_cache_follows_catalog_params_and_pipeline(tiny_pipeline):
    first = load_graph(tiny_pipeline)
    catalog = yaml.safe_load((tiny_pipeline / "catalog.yaml").read_text())
    catalog["defects"]["plate-scratch"] = {"product": "plate", "defect": "scratch", "generator": "plate"}
    (tiny_pipeline / "catalog.yaml").write_text(yaml.safe_dump(catalog))
    second = load_graph(tiny_pipeline)
    assert {s.name for s in second.stages} - {s.name for s in first.stages} == {"generate@plate-scratch"}
    with (tiny_pipeline / "params.yaml").open("a") as params:
        params.write("# a comment\n")
    third = load_graph(tiny_pipeline)
    pipeline = (tiny_pipeline / "dvc.yaml").read_text()
    (tiny_pipeline / "dvc.yaml").write_text(pipeline.replace("minutes: 7", "minutes: 8"))
    fourth = load_graph(tiny_pipeline)
    assert len({graph.digest for graph in (first, second, third, fourth)}) == 4
    assert max(stage.timeout_minutes for stage in fourth.stages) == 8


def test_a_damaged_cache_is_replaced(tiny_pipeline):
    graph = load_graph(tiny_pipeline)
    (tiny_pipeline / CACHE).write_text((tiny_pipeline / CACHE).read_text()[:-20])
    assert load_graph(tiny_pipeline) == graph


@pytest.mark.parametrize("change", [lambda stage: stage.pop("outputs"), lambda stage: stage.update(colour="red")])
def test_the_cache_of_another_release_is_replaced(tiny_pipeline, change):
    graph = load_graph(tiny_pipeline)
    content = json.loads((tiny_pipeline / CACHE).read_text())
    change(content["stages"][0])
    (tiny_pipeline / CACHE).write_text(json.dumps(content))
    assert load_graph(tiny_pipeline) == graph
    assert "red" not in (tiny_pipeline / CACHE).read_text()


def test_a_read_only_checkout_only_loses_the_cache(tiny_pipeline):
    (tiny_pipeline / ".work").write_text("in the way of the folder")
    assert load_graph(tiny_pipeline).stages


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda text: text.replace("memory: 1Gi, disk: 2Gi, timeout_minutes: 7", ""), "generate@plate-pit.*memory"),
        (lambda text: text.replace("foreach: ${defects}", "foreach: ${nothing}"), "nothing"),
        (lambda text: text + "\n  odd: [", "not a DVC pipeline"),
        (lambda text: text.replace("stages:", "steps:"), "not a DVC pipeline"),
    ],
)
def test_a_broken_pipeline_is_named(tiny_pipeline, broken, message):
    (tiny_pipeline / "dvc.yaml").write_text(broken((tiny_pipeline / "dvc.yaml").read_text()))
    with pytest.raises(ConfigError, match=message):
        load_graph(tiny_pipeline)


def test_a_missing_pipeline_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"dvc\.yaml: missing"):
        load_graph(tmp_path)
