"""What the peers of compare_learning.py share: their arguments, the data, and what they write.

A peer trains with the settings of RECIPE, a resolved recipe of PreViT (--print-recipe), on the
class folders of DATA/train, and writes into OUT: start.pth, the weights before the first step;
weights.pth, those after the last; result.json, the loss of every step.
"""
import argparse
import contextlib
import json
import os
import pathlib
import random
import sys
import types

with contextlib.suppress(ImportError):
    import tvshim  # noqa: F401  where torchvision is another build than torch (see compare_step.py)
import numpy
import torch
import torchvision
import yaml


def add_checkout(variable):
    """Makes the modules of the checkout that an environment variable names importable."""
    folder = os.environ.get(variable)
    if not folder or not pathlib.Path(folder).is_dir():
        sys.exit(f"{variable}: must name a checkout of the official code, not {folder!r}")
    sys.path.insert(0, folder)


def arguments(description):
    parser = argparse.ArgumentParser(description=description + "\n\n" + __doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--start", type=pathlib.Path, metavar="FILE",
                        help="first weights: the start.pth of another side, or what is fine-tuned")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="bf16")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    recipe = numbers(yaml.safe_load(args.recipe.read_text()))
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    seed(recipe["train"]["seed"])
    return args, recipe


def numbers(value):
    """The recipe with 1e-06 as a number, which YAML 1.1 takes for a text."""
    if isinstance(value, dict):
        return {key: numbers(each) for key, each in value.items()}
    if isinstance(value, list):
        return [numbers(each) for each in value]
    with contextlib.suppress(TypeError, ValueError):
        return float(value) if isinstance(value, str) else value
    return value


def seed(number):
    torch.manual_seed(number)
    numpy.random.seed(number)
    random.seed(number)


def without_gpu():
    """Lets training loops that name the GPU run on the CPU."""
    torch.Tensor.cuda = lambda self, *_, **__: self
    torch.cuda.synchronize = lambda *_: None


def old_names():
    """Gives today's torch what the official MAE code imports under its old name."""
    sys.modules.setdefault("torch._six", types.SimpleNamespace(inf=float("inf")))


def batches(args, recipe, transform, part="train"):
    """The data loader: whole shuffled batches of (transform(image), class); in order for `val`."""
    images = torchvision.datasets.ImageFolder(args.data / part, transform)
    training = part == "train"
    return torch.utils.data.DataLoader(images, recipe["train"]["batch"], shuffle=training,
                                       drop_last=training, num_workers=args.workers,
                                       persistent_workers=args.workers > 0)


def peak_lr(recipe):
    optimizer = recipe["optimizer"]
    return optimizer["base_lr"] * recipe["train"]["batch"] / (optimizer["base_batch"] or
                                                              recipe["train"]["batch"])


class Autocast(torch.nn.Module):
    """A network that computes in bf16 if asked; what it answers is float32."""

    def __init__(self, module, precision):
        super().__init__()
        self.module, self.enabled = module, precision == "bf16"

    def forward(self, *inputs, **options):
        with torch.autocast("cpu", torch.bfloat16, enabled=self.enabled):
            answer = self.module(*inputs, **options)
        return floats(answer)


def floats(answer):
    if isinstance(answer, tuple):
        return tuple(floats(part) for part in answer)
    return answer.float() if answer.is_floating_point() else answer


class Losses:
    """The loss of every step: what a loss module, or a network, answers while it trains."""

    def __init__(self, module, value=lambda answer: answer):
        self.steps = []
        module.register_forward_hook(
            lambda module, _, answer: module.training and self.steps.append(float(value(answer))))

    def write(self, args, **more):
        result = {"losses": self.steps, **more}
        (args.out / "result.json").write_text(json.dumps(result) + "\n")
