"""Where the flow starts: noise with the product's own grain, at the level and contrast the appearance code asks for.

Flow matching may start from any distribution. White noise leaves all of the denoising to a network that has seen a
minute of training; a Gaussian matched to the data (a data-dependent coupling, Albergo et al. 2023) leaves it the
structure.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline_tasks.inpainting.level import Floats

KERNEL_PX = 15
SHADING_PX = 6.0


@dataclass(frozen=True)
class Grain:
    """Second-order statistics of a texture: kernel [K, K] of unit norm, channel mix [3, 3], standard deviation."""

    kernel: Floats
    mix: Floats
    deviation: float

    def to_json(self) -> dict[str, Any]:
        """Return the statistics as lists."""
        return {"kernel": self.kernel.tolist(), "mix": self.mix.tolist(), "deviation": self.deviation}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Grain":
        """Return what `to_json` gave."""
        return cls(np.array(values["kernel"], np.float32), np.array(values["mix"], np.float32), values["deviation"])

    def noise(self, height: int, width: int, rng: np.random.Generator) -> Floats:
        """Return Gaussian noise [H, W, 3] of unit variance per channel, correlated in space and between channels."""
        edge = KERNEL_PX - 1
        white = rng.standard_normal((height + edge, width + edge, 3), dtype=np.float32)
        half = KERNEL_PX // 2
        grained = cv2.filter2D(white, -1, self.kernel)[half : half + height, half : half + width]
        return np.asarray(grained @ self.mix.T, np.float32)


def measure_grain(windows: list[Floats]) -> Grain:
    """Estimate the grain of equally large windows, (RGB - level) / scale [S, S, 3], without their shading.

    The power spectrum is the median over the windows, so that edges and defects in some of them do not count.
    """
    fine = np.stack([_without_shading(window) for window in windows])
    taper = np.hanning(fine.shape[1])[:, None] * np.hanning(fine.shape[2])
    power = np.median(np.abs(np.fft.fft2(fine.mean(axis=3) * taper, axes=(1, 2))) ** 2, axis=0)
    kernel = np.fft.fftshift(np.fft.ifft2(np.sqrt(power + 1e-12)).real)
    middle, half = kernel.shape[0] // 2, KERNEL_PX // 2
    kernel = kernel[middle - half : middle + half + 1, middle - half : middle + half + 1]
    pixels = fine.reshape(-1, 3)
    calm = pixels[np.abs(pixels).max(axis=1) <= 4 * np.median(np.abs(pixels)) + 1e-6]
    correlation = np.corrcoef(calm.T + 1e-6 * np.random.default_rng(0).standard_normal(calm.T.shape))
    mix = np.linalg.cholesky(0.999 * correlation + 0.001 * np.eye(3))
    return Grain((kernel / np.linalg.norm(kernel)).astype(np.float32), mix.astype(np.float32), float(calm.std()) + 1e-3)


def _without_shading(window: Floats) -> NDArray[np.float32]:
    return np.asarray(window - cv2.GaussianBlur(window, (0, 0), SHADING_PX), np.float32)


def start(noise: Floats, look: Floats, rest: float) -> Floats:
    """Return the start of the flow [H, W, 3]: the colour of `look` [H, W, 7], 0 where it says nothing, with grain.

    The grain has the deviation `rest` of the product's texture, in the defect at most its own, the fine and the middle.
    """
    coded = look.any(axis=2)
    deviation = np.where(coded, np.minimum(np.hypot(look[..., 3], look[..., 4]), rest), rest)
    return (look[..., :3] + deviation[..., None] * noise).astype(np.float32)
