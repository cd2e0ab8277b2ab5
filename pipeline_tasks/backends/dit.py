"""The `dit` backend: DefectDiffu, on a given normal image and mask or making both itself (METHODS sections 2 and 4)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from pipeline_tasks.backends.dit_labels import Painting, Sight, composited, generated_pair, names_of, strength_trial
from pipeline_tasks.backends.host_views import HostView, at_native_size, batches, encoded, host_view, latent_cells
from pipeline_tasks.backends.protocol import Floats, Rendered, Request, settings_digest
from pipeline_tasks.diffusion.device import pick_device, pick_dtype
from pipeline_tasks.diffusion.weights import load_base
from pipeline_tasks.dit.generator import Generator
from pipeline_tasks.dit.guidance import DoubleFreeDenoiser, branches
from pipeline_tasks.dit.sampling import Scene, batch_of, draw_scene, sample
from pipeline_tasks.dit.texts import Names, TextBook
from pipeline_tasks.params import Params
from pipeline_tasks.schema import StrengthTrial

BOOKS = 64
"""How many sets of names have their texts kept; the pairs of one defect share a set."""


class DitBackend:
    """The trained generator at work: `Graded` of protocol.py. It owns the generator's networks."""

    name = "dit"

    def __init__(self, generator: Generator, params: Params) -> None:
        """Move the networks to the device and precision that `params.generate` names, and prepare them."""
        self._generator, self._params, self._sampling = generator, params.generate, params.generate.dit
        self._device = pick_device(self._params.device)
        dtype = pick_dtype(self._params.precision, self._device)
        self._base, self._mask_head = generator.base, generator.mask_head
        for network in (self._base.vae, self._base.text_encoder, generator.tdia):  # not the UNet: it has no part in it
            torch.nn.Module.to(network, self._device, dtype)  # diffusers' own warns of every dtype
        self._base.vae.to(memory_format=torch.channels_last)
        self._mask_head.to(self._device)
        self._denoiser = DoubleFreeDenoiser(generator.tdia, not generator.one_prompt, self._sampling.compile)
        self._scheduler = type(generator.scheduler).from_config(generator.scheduler.config)
        self._scheduler.set_timesteps(self._sampling.steps)
        self._book = lru_cache(maxsize=BOOKS)(self._text_book)
        how = self._sampling.model_dump_json(exclude={"compile", "strengths", "trials"})
        own = (generator.digest, self._base.digest, how, dtype)
        self.digest = settings_digest(self._params, self.name, *own)

    @classmethod
    def load(cls, model: Path, pretrained: Path, params: Params) -> "DitBackend":
        """Load what the train and pretrain stages wrote. Raises ModelError if they do not belong together."""
        return cls(Generator.load(model, load_base(pretrained)), params)

    @torch.inference_mode()
    def render(self, requests: Sequence[Request], first: Mapping[int, Rendered]) -> list[Rendered]:
        """See protocol.Backend. No pair depends on others. Raises DataError for requests without names."""
        sights = self._sights(requests, [None])
        if self._sampling.mode == "free":
            painted, attention = self._painted(sights, mapped=True)
            normals, _ = self._painted(sights, defective=False)
            paintings = map(Painting, painted, normals, attention)
            return [generated_pair(*one, self._params.dilation_px) for one in zip(sights, paintings, strict=True)]
        painted, _ = self._painted(sights)
        return [
            Rendered(sight.view.box, pixels, normal, **sight.scales)
            for sight, pixels, normal in zip(sights, painted, self._unchanged(sights), strict=True)
        ]

    @torch.inference_mode()
    def trials(self, requests: Sequence[Request]) -> list[StrengthTrial]:
        """See protocol.Graded: every request at all of `strengths`, whose first is 0, from the same noise.

        On given images they are composited as pairs are: what is shown, and counted as changed, is what is published.
        """
        strengths = self._sampling.strengths
        sights = self._sights(requests, strengths)
        painted, attention = self._painted(sights, mapped=True)
        if self._sampling.mode == "given":
            painted = [composited(*one, self._params.feather_px) for one in zip(sights, painted, strict=True)]
        normals = [painted[number - number % len(strengths)] for number in range(len(sights))]
        paintings = map(Painting, painted, normals, attention)
        return [strength_trial(*one, self._params.dilation_px) for one in zip(sights, paintings, strict=True)]

    def _sights(self, requests: Sequence[Request], strengths: Sequence[float | None]) -> list[Sight]:
        """Return each request at each of the strengths; at its own for None."""
        model, params = self._generator, self._params
        views = [host_view(request, model.resolution_px, model.view, params.dilation_px) for request in requests]
        given = self._sampling.mode == "given"
        pixels = [view.pixels for view in views]
        normals = encoded(self._base, pixels, params.batch_size) if given else [None] * len(views)
        return [
            Sight(request, view, names_of(request), self._scene(request, view, normal, strength))
            for request, view, normal in zip(requests, views, normals, strict=True)
            for strength in strengths
        ]

    def _scene(self, request: Request, view: HostView, normal: Tensor | None, strength: float | None) -> Scene:
        side = self._generator.resolution_px // self._base.factor
        shape = (self._base.vae.config.latent_channels, side, side)
        scene = draw_scene(request.seed, shape, self._sampling, strength).to(self._device)
        if normal is None:
            return scene
        hole = latent_cells(view.hole if self._sampling.blend == "each_step" else view.mask, self._base.factor)
        return replace(scene, normal=normal, hole=torch.from_numpy(hole)[None].float().to(self._device))

    def _painted(
        self, sights: Sequence[Sight], *, defective: bool = True, mapped: bool = False
    ) -> tuple[list[Floats], list[Floats]]:
        """Return what the sights become, RGB [h, w, 3], without their defects if not `defective`; `mapped`: and their
        mean attention masks [h, w]. Both in levels 0..255.
        """
        painted, attention = [], []
        for batch in batches(sights, self._params.batch_size):
            latents, maps = self._sampled(batch, defective, mapped)
            painted += self._native(batch, self._base.decode(latents))
            attention += self._attention(batch, maps) if mapped else []
        return painted, attention

    def _sampled(self, sights: Sequence[Sight], defective: bool, mapped: bool) -> tuple[Tensor, list[Tensor]]:
        """Return z_0 and the maps of the last steps. Compiled networks know one shape only, so the last batch is filled
        up for them.
        """
        size = self._params.batch_size if self._sampling.compile else len(sights)
        filled = [*sights, *[sights[-1]] * (size - len(sights))]
        names = [sight.names for sight in filled]
        batch = batch_of([sight.scene for sight in filled])
        denoise = self._denoiser.condition(self._book(frozenset(names)).rows(branches(names, defective)), batch)
        sampled = sample(denoise, self._scheduler, batch, self._sampling, mapped)
        return sampled.latents[: len(sights)], [maps[: len(sights)] for maps in sampled.maps]

    def _attention(self, sights: Sequence[Sight], maps: Sequence[Tensor]) -> list[Floats]:
        """Return the mean mask [h, w] over the last steps, grey levels 0..255 (DefectDiffu 3.4)."""
        decoded = [self._base.decode(self._mask_head(step)).float().clamp(-1, 1) for step in maps]
        mean = torch.stack(decoded).mean(dim=0)
        return [grey.mean(axis=2) for grey in self._native(sights, mean)]

    def _native(self, sights: Sequence[Sight], pixels: Tensor) -> list[Floats]:
        """Return pixels [B, 3, S, S] as RGB [h, w, 3], cut to 0..255: what no file can hold is no change to see."""
        each = zip(sights, pixels.float().cpu().numpy(), strict=True)
        return [at_native_size(sight.view.box, sight.view.grey, seen).clip(0, 255) for sight, seen in each]

    def _unchanged(self, sights: Sequence[Sight]) -> list[Floats]:
        """Return the given normal images as the codec gives them back."""
        each = batches(sights, self._params.batch_size)
        decoded = ((batch, self._base.decode(batch_of([sight.scene for sight in batch]).normal)) for batch in each)
        return [pixels for batch, normals in decoded for pixels in self._native(batch, normals)]

    def _text_book(self, names: frozenset[Names]) -> TextBook:
        """Return the texts of `names`, in an order that does not depend on the run."""
        ordered = sorted(names, key=lambda each: (each.product, each.defect))
        return TextBook.of(self._base, ordered, one_prompt=self._generator.one_prompt)
