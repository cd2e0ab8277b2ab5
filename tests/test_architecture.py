"""The files dvc.yaml against the code: a stage re-runs when, and only when, code or parameters that it uses change."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[1]
PACKAGE = "pipeline_tasks"
PIPELINE = {
    name: entry.get("do", entry)
    for name, entry in yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"].items()
}
PRIOR = {
    f"prior_{name}": entry | {"deps": [dep.removeprefix("../") for dep in entry["deps"]]}
    for name, entry in yaml.safe_load((REPOSITORY / "prior/dvc.yaml").read_text())["stages"].items()
}
"""The stages of prior/dvc.yaml by the names of their commands."""
STAGES = PIPELINE | PRIOR
COMMANDS = sorted(path.stem for path in (REPOSITORY / PACKAGE / "commands").glob("[!_]*.py"))
HEAVY = {"torch", "mlflow", "great_expectations", "dvc", "cv2", "diffusers"}


def command_of(stage: str) -> Path:
    return REPOSITORY / PACKAGE / "commands" / f"{stage}.py"


@cache
def parsed(file: Path) -> ast.Module:
    """Return the file's syntax tree without what only a type checker runs."""
    return WithoutTypeChecking().visit(ast.parse(file.read_text()))


class WithoutTypeChecking(ast.NodeTransformer):
    def visit_If(self, node: ast.If) -> object:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return [self.visit(child) for child in node.orelse]
        return self.generic_visit(node)


def imported_names(file: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports anywhere; 'from a import b' as a.b, and a itself."""
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules_of(name: str) -> Iterator[Path]:
    """Yield the files that importing a dotted name runs: its module and the packages on the way."""
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        place = REPOSITORY.joinpath(*parts[:length])
        yield from (file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file())


def data_files(module: Path) -> Iterator[Path]:
    """Yield the files beside a module that it names, and those in a folder without code that it names."""
    names = {node.value for node in ast.walk(parsed(module)) if isinstance(node, ast.Constant)}
    for named in (path for path in module.parent.iterdir() if path.name in names and path.suffix != ".py"):
        inside = content(named) if named.is_dir() else {named}
        yield from (inside if all(file.suffix != ".py" for file in inside) else ())


def says_something(file: Path) -> bool:
    """Return whether a file can decide a result: an __init__.py of nothing but a docstring cannot."""
    return file.suffix != ".py" or any(not isinstance(node, ast.Expr) for node in parsed(file).body)


@cache
def closure(stage: str) -> frozenset[Path]:
    """Return every file of the package that a stage's command runs or reads."""
    found: set[Path] = set()
    ahead = [command_of(stage)]
    while ahead:
        file = ahead.pop()
        if file in found:
            continue
        found.add(file)
        if file.suffix == ".py":
            own = (name for name in imported_names(file) if name.split(".")[0] == PACKAGE)
            ahead += [module for name in own for module in modules_of(name)]
            ahead += data_files(file)
    return frozenset(file for file in found if says_something(file))


def content(folder: Path) -> set[Path]:
    return {
        file
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and says_something(file)
    }


def declared(stage: str) -> set[Path]:
    """Return the files below the package that a stage's `deps` name, by themselves or by their folder."""
    entries = [REPOSITORY / dep for dep in STAGES[stage]["deps"] if dep.startswith(f"{PACKAGE}/")]
    return {file for entry in entries for file in (content(entry) if entry.is_dir() else [entry])}


def shortest(stage: str) -> list[str]:
    """Return the closure as `deps`: a room by its folder where all of it is in the closure, else file by file."""
    files = closure(stage)
    rooms = {file.parent for file in files} - {REPOSITORY / PACKAGE}
    whole = {room for room in rooms if content(room) <= files and len(content(room)) > 1}
    entries = {next((room for room in whole if file.is_relative_to(room)), file) for file in files}
    return sorted(entry.relative_to(REPOSITORY).as_posix() for entry in entries)


def differences(stage: str) -> dict[str, list[str]]:
    """Return the files that a stage's `deps` lack, and those that they name in vain."""
    found = {"missing": closure(stage) - declared(stage), "not used": declared(stage) - closure(stage)}
    return {kind: sorted(file.relative_to(REPOSITORY).as_posix() for file in files) for kind, files in found.items()}


@pytest.mark.parametrize("stage", STAGES)
def test_the_declared_code_is_the_code_that_runs(stage):
    lines = "".join(f"        - {entry}\n" for entry in shortest(stage))
    file = "prior/dvc.yaml" if stage in PRIOR else "dvc.yaml"
    advice = f"{file}, stage {stage}: {differences(stage)}; the code in its deps should read:\n{lines}"
    assert differences(stage) == {"missing": [], "not used": []}, advice


def read_params(stage: str) -> set[str]:
    """Return what a command reads of params.yaml: 'section', or 'section.key' where it reads that key alone."""
    tree = parsed(command_of(stage))
    inner = {id(node.value): node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return {
        ".".join(filter(None, (node.attr.rstrip("_"), inner.get(id(node)))))
        for function in tree.body
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute) and is_params(node.value, names_of_params(function))
    }


def names_of_params(function: ast.stmt) -> set[str]:
    """Return the names by which a function knows the whole of params.yaml; its sections have other types."""
    given = {node.arg: node.annotation for node in ast.walk(function) if isinstance(node, ast.arg) and node.annotation}
    loaded = {name for name, value in assigned(function) if is_params(value, set())}
    return loaded | {name for name, kind in given.items() if ast.unparse(kind).strip("'") == "Params"}


def assigned(function: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names that a function assigns and their values, those of tuples one by one."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
            several = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
            pairs = zip(target.elts, value.elts, strict=True) if several else [(target, value)]
            yield from ((ast.unparse(name), part) for name, part in pairs)


def is_params(node: ast.expr, names: set[str]) -> bool:
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "load_params"
    return called or (isinstance(node, ast.Name) and node.id in names)


@pytest.mark.parametrize("stage", STAGES)
def test_the_declared_parameters_are_those_that_are_read(stage):
    read, entries = read_params(stage), set(STAGES[stage].get("params", []))
    assert {entry.partition(".")[0] for entry in entries} == {name.partition(".")[0] for name in read}
    for entry in entries:
        assert "." not in entry or entry in read, f"{entry} is declared, but {sorted(read)} are read"
    for name in read:
        assert {name, name.partition(".")[0]} & entries, f"{name} is read, but {sorted(entries)} are declared"


@pytest.mark.parametrize("stage", PIPELINE)
def test_every_stage_says_what_it_does_and_what_it_needs(stage):
    entry = STAGES[stage]
    assert len(entry["desc"].split()) > 4
    assert set(entry["meta"]) == {"gpu", "cpus", "memory", "disk", "timeout_minutes"}
    assert isinstance(entry["meta"]["gpu"], bool)
    assert entry["meta"]["memory"].endswith("Gi")
    assert entry["meta"]["timeout_minutes"] > 0
    assert entry["cmd"].split()[:2] == ["defectline", stage]


@pytest.mark.parametrize("stage", PRIOR)
def test_every_stage_of_the_prior_says_what_it_does(stage):
    assert len(PRIOR[stage]["desc"].split()) > 4
    assert PRIOR[stage]["cmd"] == f"defectline {stage.replace('_', ' ')}"


def test_commands_are_light_to_import():
    """One process imports them one after the other and tells after which one something heavy is there."""
    program = (
        "import sys, importlib\n"
        f"for name in {COMMANDS}:\n"
        f"    importlib.import_module('{PACKAGE}.commands.' + name)\n"
        f"    print(name, *({HEAVY} & set(sys.modules)))\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == COMMANDS


def test_every_module_is_used():
    """By a command, a DAG, a benchmark, another module, or others' programs through an entry point."""
    modules = {file for file in content(REPOSITORY / PACKAGE) if file.suffix == ".py"}
    groups = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["entry-points"].values()
    named = {module for group in groups for entry in group.values() for module in modules_of(entry.partition(":")[0])}
    entries = {REPOSITORY / PACKAGE / "__main__.py", *map(command_of, COMMANDS), *named}
    users = [*modules, *(REPOSITORY / "dags").rglob("*.py"), *(REPOSITORY / "benchmarks").glob("*.py")]
    used = {(module, user) for user in users for name in imported_names(user) for module in modules_of(name)}
    assert modules - entries == {module for module, user in used if module != user} & modules - entries
