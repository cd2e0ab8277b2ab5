"""`defectline prior card`: what was trained and measured -> the prior's model card."""

from pathlib import Path

CARD = Path("README.md")


def prior_card() -> None:
    """Write the card."""
    from pipeline_tasks.report.prior_card import render_prior_card
    from pipeline_tasks.storage import atomic_file, read_json

    told = (read_json(Path(name)) for name in ("model/prior.json", "training.json", "metrics.json"))
    with atomic_file(CARD) as partial:
        partial.write_text(render_prior_card(*told), encoding="utf-8")
    print(CARD)
