"""`defectline prior look`: prior/params.yaml -> a sheet of scenes that the prior learns from."""

from functools import partial
from pathlib import Path

SHEET = Path("look.png")


def prior_look() -> None:
    """Draw the sheet."""
    from pipeline_tasks.drawing.scene import draw_scene
    from pipeline_tasks.drawing.world import load_world
    from pipeline_tasks.images.codec import encode_image
    from pipeline_tasks.prior.look import draw_sheet
    from pipeline_tasks.prior.params import load_params
    from pipeline_tasks.storage import atomic_file

    params = load_params()
    own, side = params.look, params.train.blocks.window_px
    sheet = draw_sheet(partial(draw_scene, load_world()), params.seed, own.scenes, own.columns, side)
    with atomic_file(SHEET) as partial_file:
        partial_file.write_bytes(encode_image(sheet))
    print(f"{SHEET}: {own.scenes} scenes")
