"""`defectline publish`: every stage up to date -> the lock committed and tagged, the data pushed, all registered."""

from pathlib import Path

from pipeline_tasks.params import load_params


def publish() -> None:
    """Publish the refreshed dataset. Each step is idempotent: run it again after a failure to complete it."""
    from pipeline_tasks.catalog import load_catalog
    from pipeline_tasks.commands.register import register
    from pipeline_tasks.lineage.lock import load_lock
    from pipeline_tasks.lineage.publish import check_complete, commit_lock, push_data, tag_version, uncommitted_code
    from pipeline_tasks.lineage.record import write_record
    from pipeline_tasks.lineage.turns import in_turn

    root = Path.cwd()
    settings = load_params().register_
    with in_turn("publish"):
        check_complete(root)
        lock = load_lock(root, load_catalog())
        record = write_record(lock, load_catalog())
        if settings.git_commit:
            done = [uncommitted_code(root), commit_lock(root), tag_version(root, lock.version, record)]
            print(*filter(None, done), sep="\n")
        else:
            print("git: committing and tagging are switched off (register.git_commit)")
        print(push_data(root))
    register()
