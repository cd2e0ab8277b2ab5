"""The `controlnet` backend: a frozen latent diffusion model steered by the mask (METHODS section 4)."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pipeline_tasks.backends.control_views import reference_of
from pipeline_tasks.backends.host_views import HostView, at_native_size, batches, encoded, host_view, latent_cells
from pipeline_tasks.backends.protocol import Floats, Rendered, Request, settings_digest
from pipeline_tasks.controlnet.alignment import align, moved
from pipeline_tasks.controlnet.fusion import fuse_features, masked_features, with_features
from pipeline_tasks.controlnet.generator import Generator
from pipeline_tasks.controlnet.guidance import GuidedDenoiser
from pipeline_tasks.controlnet.network import known_latents
from pipeline_tasks.controlnet.sampling import Scene, batch_of, fuse_end, sample
from pipeline_tasks.diffusion.blending import draw_noise, draw_step_noise
from pipeline_tasks.diffusion.device import pick_device, pick_dtype
from pipeline_tasks.diffusion.weights import load_base
from pipeline_tasks.images.boxes import Box
from pipeline_tasks.images.codec import Mask
from pipeline_tasks.params import Params
from pipeline_tasks.seeds import derive_seed

KEPT = 512
"""How many real defects' latents and prompts' embeddings are kept."""


class ControlNetBackend:
    """The trained generator at work: `Backend` of protocol.py. It owns the generator's networks."""

    name = "controlnet"

    def __init__(self, generator: Generator, params: Params) -> None:
        """Move the networks to the device and precision that `params.generate` names, and prepare them."""
        self._generator, self._params, self._sampling = generator, params.generate, params.generate.controlnet
        self._device = pick_device(self._params.device)
        dtype = pick_dtype(self._params.precision, self._device)
        self._base = generator.base.to(self._device, dtype)
        torch.nn.Module.to(generator.control, self._device, dtype)  # diffusers' own warns of every dtype
        generator.control.to(memory_format=torch.channels_last)
        self._denoiser = GuidedDenoiser(self._base, generator.control, self._sampling)
        self._scheduler = type(self._base.scheduler).from_config(self._base.scheduler.config)
        self._scheduler.set_timesteps(self._sampling.steps)
        self._text = lru_cache(maxsize=KEPT)(self._embedded)
        self._references: dict[tuple[str, Box], Tensor] = {}
        how = self._sampling.model_dump_json(exclude={"compile"})
        own = (generator.digest, self._base.digest, how, self._params.block_pairs, dtype)
        self.digest = settings_digest(self._params, self.name, *own)

    @classmethod
    def load(cls, model: Path, pretrained: Path, params: Params) -> "ControlNetBackend":
        """Load what the train and pretrain stages wrote. Raises ModelError if they do not belong together."""
        return cls(Generator.load(model, load_base(pretrained)), params)

    @torch.inference_mode()
    def render(self, requests: Sequence[Request], first: Mapping[int, Rendered]) -> list[Rendered]:
        """See protocol.Backend. `Rendered.latents` holds the features [M, C] of the mask's cells, before any fusion."""
        model, params = self._generator, self._params
        views = [host_view(r, model.resolution_px, model.view, params.dilation_px) for r in requests]
        scenes = self._scenes(requests, views)
        sampled = [latents for batch in batches(scenes, params.batch_size) for latents in self._sampled(batch)]
        own = [masked_features(latents, scene.mask) for latents, scene in zip(sampled, scenes, strict=True)]
        block = {index: rendered.latents for index, rendered in first.items()} or {
            request.row.pair_index: features for request, features in zip(requests, own, strict=True)
        }
        fused = [self._fused(*one, block) for one in zip(requests, scenes, sampled, own, strict=True)]
        painted, unchanged = self._decoded(fused), self._decoded([scene.normal for scene in scenes])
        return [
            Rendered(
                view.box,
                at_native_size(view.box, view.grey, with_defect),
                at_native_size(view.box, view.grey, without),
                features,
                self._fused_with(request, block),
                reference=request.row.parent_a if self._sampling.sae.enabled else None,
            )
            for request, view, with_defect, without, features in zip(
                requests, views, painted, unchanged, own, strict=True
            )
        ]

    def _scenes(self, requests: Sequence[Request], views: Sequence[HostView]) -> list[Scene]:
        normals = encoded(self._base, [view.pixels for view in views], self._params.batch_size)
        known = self._known(views) if self._base.inpaints else [None] * len(views)
        return [self._scene(*one) for one in zip(requests, views, normals, known, strict=True)]

    def _scene(self, request: Request, view: HostView, normal: Tensor, known: Tensor | None) -> Scene:
        mask, hole = (latent_cells(m, self._base.factor) for m in (view.mask, view.hole))
        return Scene(
            normal=normal,
            mask=torch.from_numpy(mask)[None].float(),
            hole=torch.from_numpy(hole)[None].float(),
            noise=draw_noise(derive_seed(request.seed, "noise"), normal.shape),
            text=self._text(request.prompt),
            control=torch.from_numpy(view.mask)[None].float().expand(3, -1, -1),
            reference=self._reference(request, view, mask) if self._sampling.sae.enabled else None,
            known=known,
            step_noise=draw_step_noise(request.seed, normal.shape, self._sampling),
        ).to(self._device)

    def _reference(self, request: Request, view: HostView, mask: Mask) -> Tensor:
        """Return the real defect's latents laid over `mask`, bool [h, w] (Eq. 5-6)."""
        reference = reference_of(request, view.box, self._generator.resolution_px, self._generator.view)
        motion = align(latent_cells(reference.mask, self._base.factor), mask, self._sampling.sae.rotations)
        seen = (request.row.parent_a, reference.box)
        if len(self._references) >= KEPT:
            self._references.clear()
        if seen not in self._references:
            self._references[seen] = encoded(self._base, [reference.pixels], 1)[0].cpu()
        return moved(self._references[seen], motion)

    def _sampled(self, scenes: Sequence[Scene]) -> Tensor:
        """Return z_0 of the scenes. Compiled networks know one shape only, so the last batch is filled up for them."""
        batch = batch_of(scenes, self._params.batch_size if self._sampling.compile else len(scenes))
        latents = sample(self._denoiser.condition(batch), self._scheduler, batch, self._sampling)
        return latents[: len(scenes)]

    def _fused(
        self, request: Request, scene: Scene, latents: Tensor, own: Tensor, block: Mapping[int, Tensor | None]
    ) -> Tensor:
        """Return z_f: fused with the other pairs of the block (SFF), then with the normal image (AFF)."""
        if others := self._fused_with(request, block):
            references = [features for features in (block[index] for index in others) if features is not None]
            features = fuse_features(own, references, self._sampling.sff, derive_seed(request.seed, "fusion"))
            latents = with_features(latents, scene.mask, features)
        return fuse_end(latents, scene, self._sampling)

    def _fused_with(self, request: Request, block: Mapping[int, Tensor | None]) -> tuple[int, ...]:
        """Return the block's other pair indices, if there is feature fusion."""
        others = tuple(index for index in sorted(block) if index != request.row.pair_index)
        return others if self._sampling.sff.enabled else ()

    def _known(self, views: Sequence[HostView]) -> list[Tensor]:
        known = []
        for batch in batches(views, self._params.batch_size):
            pixels = torch.from_numpy(np.stack([view.pixels for view in batch])).to(self._device)
            holes = torch.from_numpy(np.stack([view.mask for view in batch]))[:, None].float().to(self._device)
            known += [*known_latents(self._base, pixels, holes).float()]
        return known

    def _embedded(self, prompt: str) -> Tensor:
        return self._base.embed([prompt])[0]

    def _decoded(self, latents: Sequence[Tensor]) -> list[Floats]:
        stacked = (torch.stack([*batch]) for batch in batches(latents, self._params.batch_size))
        return [pixels for batch in stacked for pixels in self._base.decode(batch).float().cpu().numpy()]
