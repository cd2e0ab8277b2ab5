import cv2
import numpy as np
import pytest
from settings import settings

from pipeline_tasks.errors import ConfigError
from pipeline_tasks.masks.components import RealMask
from pipeline_tasks.masks.hybrid import choose, mean_width_px


def blank():
    return np.zeros((100, 200), np.uint8)


def line(width, length=150):
    mask = blank().astype(bool)
    mask[40 : 40 + width, 20 : 20 + length] = True
    return RealMask(mask)


def block(area_px):
    mask = blank().astype(bool)
    mask[20 : 20 + area_px // 50, 20:70] = True
    return RealMask(mask)


def chosen(masks, *, latent=True, **changes):
    return choose(
        settings(masks={"kind": "hybrid", "tau": 0.05, "min_width_px": 8.0} | changes).masks, masks, latent=latent
    )


def test_the_switch_is_at_tau_of_the_mean_area():
    below, at = chosen([block(500), block(1450)]), chosen([block(500), block(1500)])
    assert (below.kind, below.reason) == ("image", "mean area 4.88% < tau 5.00%")
    assert at.kind == "latent"
    assert at.reason.startswith("mean area 5.00% >= tau 5.00%, mean width ")


def test_thin_defects_stay_in_image_space_however_large():
    thin, thick = chosen([line(7)], tau=0.01), chosen([line(11)], tau=0.01)
    assert (thin.kind, thin.reason) == ("image", "mean width 7.2 px < 8 px")
    assert thick.kind == "latent"


def test_without_a_latent_model_it_is_image_space():
    choice = chosen([block(1500)], latent=False)
    assert (choice.kind, choice.reason) == ("image", "no trained latent model")


@pytest.mark.parametrize("kind", ["image", "latent", "perlin"])
def test_a_kind_asked_for_is_taken_whatever_the_masks(kind):
    for masks in ([block(50)], [block(4000)]):
        choice = chosen(masks, kind=kind)
        assert (choice.kind, choice.reason) == (kind, "chosen in params.yaml")


def test_latent_masks_without_a_model_name_the_keys_to_change():
    with pytest.raises(ConfigError, match=r"params\.yaml: masks\.kind is 'latent'.*set backend\.name to controlnet"):
        chosen([block(1500)], kind="latent", latent=False)


@pytest.mark.parametrize("width", [1, 3, 9, 15])
def test_the_width_of_a_line_is_its_width(width):
    assert mean_width_px([line(width)]) == pytest.approx(width, rel=0.1)


@pytest.mark.parametrize("radius", [3, 6, 20])
def test_the_width_of_a_disc_is_its_diameter(radius):
    disc = RealMask(cv2.circle(blank(), (100, 50), radius, 1, -1).astype(bool))
    assert mean_width_px([disc]) == pytest.approx(2 * radius, rel=0.15)


def test_large_components_weigh_more_than_small_ones():
    assert mean_width_px([line(15), line(3, length=30)]) > 13
