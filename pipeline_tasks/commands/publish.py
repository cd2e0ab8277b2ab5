"""`defectline publish`: commit the lock, push the data, register the version, after every stage is up to date."""

from pathlib import Path

from pipeline_tasks.params import load_params


def publish() -> None:
    """Publish the refreshed dataset. Each step is idempotent: run it again after a failure to complete it."""
    from pipeline_tasks.commands.register import register
    from pipeline_tasks.lineage.publish import check_complete, commit_lock, push_data
    from pipeline_tasks.lineage.turns import in_turn

    root = Path.cwd()
    settings = load_params().register_
    with in_turn("publish"):
        check_complete(root)
        print(commit_lock(root) if settings.git_commit else "git: committing is switched off (register.git_commit)")
        print(push_data(root))
    register()
