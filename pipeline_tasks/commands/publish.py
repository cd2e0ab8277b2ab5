"""`defectline publish`: every stage up to date -> the lock committed and tagged, the data pushed, all registered."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer


def publish(
    run: Annotated[str, typer.Option(help="a run over several nodes, by name: publish what they handed over")] = "",
    branch: Annotated[str, typer.Option(help="push commit and tag to this branch of the origin")] = "",
) -> None:
    """Publish the refreshed dataset. Each step is idempotent: run it again after a failure to complete it."""
    from pipeline_tasks.commands.register import register
    from pipeline_tasks.lineage.node import whole_run
    from pipeline_tasks.lineage.turns import in_turn

    root = Path.cwd()
    with whole_run(root, run) if run else nullcontext():
        with in_turn("publish"):
            _keep(root, branch, again=bool(run))
        register()


def _keep(root: Path, branch: str, again: bool) -> None:
    """Commit, tag and push the lock and what it names; `again`: another node may have done so before it died."""
    from pipeline_tasks.catalog import load_catalog
    from pipeline_tasks.lineage.lock import load_lock
    from pipeline_tasks.lineage.origin import push_release, resume_release
    from pipeline_tasks.lineage.publish import check_complete, commit_lock, push_data, tag_version, uncommitted_code
    from pipeline_tasks.lineage.record import write_record
    from pipeline_tasks.params import load_params

    catalog = load_catalog()
    lock = load_lock(root, catalog)
    if again:
        resume_release(root, lock.version)
    check_complete(root)
    record = write_record(lock, catalog)
    if load_params().register_.git_commit:
        done = [uncommitted_code(root), commit_lock(root), tag_version(root, lock.version, record)]
        print(*filter(None, done), sep="\n")
    else:
        print("git: committing and tagging are switched off (register.git_commit)")
    print(push_data(root))
    if branch:
        print(push_release(root, lock.version, branch))
