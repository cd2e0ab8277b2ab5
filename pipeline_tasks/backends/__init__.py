"""Generators behind two protocols, one to train and one to make pairs: inpainting, ControlNet, DiT, paste."""

from pathlib import Path

from pipeline_tasks.backends.protocol import Backend, Trainer
from pipeline_tasks.params import Params


def load_trainer(params: Params, pretrained: Path) -> Trainer:
    """Return what trains the generator that `params.backend` names; `pretrained` is what the pretrain stage wrote."""
    match params.backend.name:
        case "controlnet":
            from pipeline_tasks.backends.controlnet_trainer import ControlNetTrainer
            from pipeline_tasks.diffusion.weights import load_base

            return ControlNetTrainer(params, load_base(pretrained))
        case "dit":
            from pipeline_tasks.backends.dit_trainer import DitTrainer
            from pipeline_tasks.diffusion.initial_transformer import load_transformer
            from pipeline_tasks.diffusion.weights import load_base

            return DitTrainer(params, load_base(pretrained), load_transformer(pretrained))
        case "inpainting":
            from pipeline_tasks.backends.inpainting_trainer import InpaintingTrainer
            from pipeline_tasks.inpainting.initial import recorded_digest

            return InpaintingTrainer(params.train, recorded_digest(params.train.init, pretrained))
        case "paste":
            from pipeline_tasks.backends.paste import PasteTrainer

            return PasteTrainer()


def count_processes(params: Params) -> int:
    """Return how many processes train the generator together."""
    match params.backend.name:
        case "controlnet":
            return params.train.controlnet.processes
        case "dit":
            return params.train.dit.processes
        case _:
            return 1


def load_backend(params: Params, model: Path, pretrained: Path) -> Backend:
    """Return the generator that `params.backend` names; `model` is the folder the train stage wrote."""
    match params.backend.name:
        case "controlnet":
            from pipeline_tasks.backends.controlnet import ControlNetBackend

            return ControlNetBackend.load(model, pretrained, params)
        case "dit":
            from pipeline_tasks.backends.dit import DitBackend

            return DitBackend.load(model, pretrained, params)
        case "inpainting":
            from pipeline_tasks.backends.inpainting import InpaintingBackend

            return InpaintingBackend.load(model, params.generate)
        case "paste":
            from pipeline_tasks.backends.paste import PasteBackend

            return PasteBackend(params.generate)
