"""Double-free dropout: what guidance needs the model to know without product or defect (DefectDiffu Algorithm 1)."""

import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.generator_params import TrainDit

Bools = NDArray[np.bool_]


def drop(defective: Bools, params: TrainDit, rng: np.random.Generator) -> tuple[Bools, Bools]:
    """Return whether each image keeps its product's name, and whether it has its defect's, bool [B] both.

    defective: whether an image shows a defect, bool [B]; a normal image is 'good' already. With p1 the product becomes
    empty; with p2 the defect becomes good, and then with p1 the product empty. The listing's indentation is lost; this
    reading gives (defect, product) kept/kept 0.64, kept/empty 0.16, good/kept 0.128, good/empty 0.072 for p1 = p2 = 0.2
    (METHODS section 3).
    """
    product, defect, again = rng.random((3, len(defective)))
    named = defective & (defect >= params.defect_dropout)
    keeps_again = ~defective | named | (again >= params.product_dropout)
    return (product >= params.product_dropout) & keeps_again, named
