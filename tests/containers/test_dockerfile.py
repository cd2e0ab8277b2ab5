"""containers/Dockerfile: what every image must be, and what the linter of Dockerfiles says."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "containers" / "Dockerfile"
IMAGES = ("airflow", "cpu", "gpu", "server")


def stages() -> dict[str, list[tuple[str, str]]]:
    """Return the instructions of each build stage, those of the stages it is made from before its own."""
    text = re.sub(r"\\\n\s*", "", re.sub(r"(?m)^\s*#.*\n", "", DOCKERFILE.read_text()))
    made: dict[str, list[tuple[str, str]]] = {}
    name = "before the first stage"
    for line in filter(None, text.splitlines()):
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            parent, _, name = rest.partition(" AS ")
            made[name] = list(made.get(parent, [("FROM", parent)]))
        else:
            made.setdefault(name, []).append((instruction, rest.strip()))
    return made


def values(image: str, instruction: str) -> list[str]:
    return [rest for each, rest in stages()[image] if each == instruction]


def test_hadolint_has_no_complaint() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, "--no-color", DOCKERFILE], capture_output=True, text=True, check=False)
    assert done.stdout + done.stderr == ""
    assert done.returncode == 0


def test_what_the_linter_is_told_to_pass_over_has_a_reason_above_it() -> None:
    lines = DOCKERFILE.read_text().splitlines()
    for number, line in enumerate(lines):
        if "hadolint ignore" in line:
            assert lines[number - 1].startswith("# "), f"line {number + 1}"


@pytest.mark.parametrize("image", IMAGES)
def test_image_runs_as_a_numbered_user_that_is_not_root(image: str) -> None:
    assert values(image, "USER")[-1] == ("10001:10001" if image in ("cpu", "gpu") else "50000:0")


@pytest.mark.parametrize("image", IMAGES)
def test_image_starts_under_an_init_and_says_what_it_is_made_of(image: str) -> None:
    assert values(image, "ENTRYPOINT")[-1].startswith('["tini", "--"')
    assert "org.opencontainers.image.revision" in values(image, "LABEL")[-1]
    assert "git" in values(image, "RUN")[0].split()


@pytest.mark.parametrize("image", IMAGES)
def test_image_holds_no_build_stage_but_its_libraries_and_the_package(image: str) -> None:
    assert values(image, "COPY") == [f"--from={image}-libraries /opt/defectline /opt/defectline"]
    assert "--no-deps --no-index /wheels/*.whl" in values(image, "RUN")[-1]


@pytest.mark.parametrize("image", IMAGES)
def test_libraries_are_pinned_and_installed_before_any_code_is_copied(image: str) -> None:
    libraries = stages()[f"{image}-libraries"]
    installs = [rest for each, rest in libraries if each == "RUN" and "pip install" in rest]
    assert installs
    assert all("--constraint constraints.txt" in each and "type=cache" in each for each in installs)
    assert [rest for each, rest in libraries if each == "COPY"] == ["constraints.txt pyproject.toml ./"]


def test_images_without_stages_have_no_torch_and_the_others_no_airflow() -> None:
    extras = {
        image: set(re.findall(r"\[([\w,]+)\]", " ".join(values(f"{image}-libraries", "RUN")))) for image in IMAGES
    }
    assert extras["airflow"] == {"airflow,cluster"}
    assert extras["cpu"] == extras["gpu"] == {"stages,export,s3,postgres"}
    assert extras["server"] == {"stages,export,airflow,cluster"}
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {name for each in extras.values() for extra in each for name in extra.split(",")} <= known.keys()


def test_servers_are_checked_and_jobs_are_not() -> None:
    assert values("cpu", "HEALTHCHECK") == values("gpu", "HEALTHCHECK") == ["NONE"]
    for image in ("airflow", "server"):
        assert "/api/v2/version" in values(image, "HEALTHCHECK")[-1]


def test_base_can_carry_a_digest_and_nothing_is_fetched_by_add() -> None:
    text = DOCKERFILE.read_text()
    assert re.search(r"(?m)^ARG BASE=\S+:\S+$", text)
    assert set(re.findall(r"(?m)^FROM (\S+)", text)) - stages().keys() == {"${BASE}"}
    assert not re.search(r"(?m)^ADD ", text)
    assert ":latest" not in text


def test_context_is_what_the_images_are_copied_from() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source
        for image in stages()
        for rest in values(image, "COPY")
        if "--from" not in rest
        for source in rest.split()[:-1]
    }
    assert copied == allowed
