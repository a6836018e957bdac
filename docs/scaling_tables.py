"""Prints the tables of docs/memory.md and docs/processes.md that are arithmetic, as `bench memory`
and `bench scaling --simulate` do it: a few minutes on one core.

    python3 docs/scaling_tables.py build/release/bench
"""

import json
import subprocess
import sys
from pathlib import Path

RECIPES = Path(__file__).resolve().parent.parent / "recipes/imagenet"

# Name, recipe, settings.
MODELS = [
    ("MAE ViT-B/16", "mae_vit_base", []),
    ("MAE ViT-L/16", "mae_vit_large", []),
    ("MAE ViT-H/14", "mae_vit_huge", []),
    ("MAE ViT-g/14", "mae_vit_huge", ["model.arch=vit_giant"]),
    ("DINO ViT-B/16", "dino_vit_base", []),
    ("DINO ViT-L/16", "dino_vit_base", ["model.arch=vit_large"]),
]
PROCESSES, IMAGES = 8, 64
CHOICES = ["neither", "checkpoint_blocks", "shard_optimizer", "both"]

# Name, recipe, GFLOP an image (docs/official_settings.md).
MAE = ("MAE ViT-L", "mae_vit_large", 124.5)
DINO = ("DINO ViT-B", "dino_vit_base", 435.6)
FLOPS = 300e12  # of a GPU, assumed
WEAK = [(MAE, 64, 400), (MAE, 64, 3200), (MAE, 256, 400), (DINO, 64, 400), (DINO, 64, 3200)]
STRONG = [(MAE, 4096, 400), (MAE, 4096, 3200), (DINO, 1024, 400), (DINO, 1024, 3200)]
GPUS = [8, 64, 256, 1024]


def bench(command, recipe, *words):
    program = [sys.argv[1], command, "--recipe", str(RECIPES / f"{recipe}.yaml"), *words]
    return json.loads(subprocess.run(program, check=True, stdout=subprocess.PIPE).stdout)


def row(cells):
    print("|", " | ".join(str(cell) for cell in cells), "|", flush=True)


def head(cells):
    row(cells)
    print("|" + "---|" * len(cells))


def memory_table():
    head(["GiB a process", "trained", *(f"`{name}`" if "_" in name else name for name in CHOICES)])
    for name, recipe, settings in MODELS:
        words = ["--batch", str(PROCESSES * IMAGES), "--nproc", str(PROCESSES)]
        for setting in ["train.precision=bf16", *settings]:
            words += ["--set", setting]
        found = bench("memory", recipe, *words)
        peaks = [f"{found['peak_mib_with'][choice] / 1024:.1f}" for choice in CHOICES]
        row([name, f"{found['trained_parameters'] / 1e6:.0f} M", *peaks])


def scaling_table(kind, cases):
    head(["", "images", "step alone", "Gb/s out of a node", *(f"{n:,}" for n in GPUS)])
    for (name, recipe, gflop), images, gbps in cases:
        milliseconds = gflop * 1e9 * images / FLOPS * 1e3
        found = bench("scaling", recipe, "--simulate", "--batch", str(images), "--node-gbps",
                      str(gbps), "--step-ms", f"{milliseconds:.1f}")
        efficiency = {line["gpus"]: line["efficiency"] for line in found[kind]}
        gradients = f"{name}, {found['buckets']} buckets, {found['gradient_mib']:,.0f} MiB"
        shares = [f"{100 * efficiency[n]:.1f} %" for n in GPUS]
        row([gradients, f"{images:,}", f"{milliseconds:.1f} ms", f"{gbps:,}", *shares])


print(f"Memory, {IMAGES} images in each of {PROCESSES} processes, bf16:\n")
memory_table()
print("\nWeak scaling:\n")
scaling_table("weak", WEAK)
print("\nStrong scaling:\n")
scaling_table("strong", STRONG)
