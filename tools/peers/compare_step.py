#!/usr/bin/env python3
"""Times training steps of PreViT and of its Python peers in turn on this machine, and prints the ratios.

usage: compare_step.py BENCH PEER_PYTHON PEER_FOLDER [--case NAME]... [--peer hf|official]... [--rounds N]

BENCH: the bench program. PEER_PYTHON: a Python with torch, timm and transformers. PEER_FOLDER: holds
peer_mae_step.py and peer_dino_step.py. The peer `official` needs a checkout of facebookresearch/mae at $MAE_DIR,
for the dino cases (which have no other peer) one of facebookresearch/dino at $DINO_DIR. The beit cases compare with
transformers' model alone (peer_beit_step.py, beside this file), both sides with given tokens: ours are the patches' mean
colours, of as many tokens.
A round runs every program once; the best round counts. Memory is the largest resident size of a process.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
RECIPES = HERE.parents[1] / "recipes/imagenet"
GIVEN_TOKENS = ["beit.tokenizer=colors:8192", "beit.tokenizer_interpolation=bicubic"]
TINY = ["model.arch=vit_tiny", "model.image_size=[32]", "model.patch_size=4", "mae.decoder.embed_dim=128",
        "mae.decoder.depth=2", "mae.decoder.num_heads=4"]
# The peer's step is one of its first epoch: the prototypes get no gradient.
DINO = ["dino.freeze_last_layer=100"]
# name: (recipe, batch, precision, changes to the recipe, the peer's arguments)
CASES = {
    "base_bf16": ("mae_vit_base", 16, "bf16", [], ["b", "16", "bf16"]),
    "base_fp32": ("mae_vit_base", 16, "fp32", [], ["b", "16", "fp32"]),
    "tiny_bf16": ("mae_vit_base", 64, "bf16", TINY, ["ti", "64", "bf16", "--img", "32", "--patch", "4"]),
    "tiny_fp32": ("mae_vit_base", 64, "fp32", TINY, ["ti", "64", "fp32", "--img", "32", "--patch", "4"]),
    "dino_bf16": ("dino_vit_small", 8, "bf16", DINO, ["s", "8", "bf16"]),
    "dino_fp32": ("dino_vit_small", 8, "fp32", DINO, ["s", "8", "fp32"]),
    "beit_bf16": ("beit_vit_base", 16, "bf16", GIVEN_TOKENS, ["b", "16", "bf16"]),
    "beit_fp32": ("beit_vit_base", 16, "fp32", GIVEN_TOKENS, ["b", "16", "fp32"]),
}


def run(command, env=None):
    """The last line that the command prints, and its peak memory in MiB."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command[0]}: failed with {process.returncode}")
    return output.strip().splitlines()[-1], usage.ru_maxrss / 1024


def method(case):
    return CASES[case][0].split("_")[0]


def ours(args, case):
    recipe, batch, precision, changes, _ = CASES[case]
    command = [args.bench, "step", "--recipe", str(RECIPES / f"{recipe}.yaml"), "--batch", str(batch),
               "--steps", str(args.steps), "--device", args.device]
    for change in changes + [f"train.precision={precision}"]:
        command += ["--set", change]
    line, memory = run(command)
    return json.loads(line)["images_per_second"], memory


def peer(args, case, name):
    env = dict(os.environ, PYTHONPATH=str(args.peer_folder))
    size = [*CASES[case][4], "--steps", str(args.steps)]
    on_device = ["--device", args.device]
    script = {"dino": [args.peer_folder / "peer_dino_step.py", *size],
              "beit": [HERE / "peer_beit_step.py", *size, *on_device],
              "mae": [args.peer_folder / "peer_mae_step.py", name, *size, *on_device]}[method(case)]
    command = [args.peer_python, *map(str, script)]
    line, memory = run(command, env)
    return float(re.search(r"= ([0-9.]+) img/s", line).group(1)), memory


def compare(args, case):
    programs = {"previt": lambda: ours(args, case)}
    peers = {"dino": ["official"], "beit": ["hf"]}.get(method(case), args.peer)
    for name in peers:
        programs[name] = lambda name=name: peer(args, case, name)
    rounds = [{name: measure() for name, measure in programs.items()} for _ in range(args.rounds)]
    best = {name: max(r[name][0] for r in rounds) for name in programs}
    memory = {name: min(r[name][1] for r in rounds) for name in programs}
    fastest = max(peers, key=best.get)
    for name in programs:
        print(f"{case:10} {name:9} {best[name]:9.2f} images/s {memory[name]:8.0f} MiB")
    print(f"{case:10} ratio to {fastest}: {best['previt'] / best[fastest]:.2f} in speed, "
          f"{memory['previt'] / memory[fastest]:.2f} in memory", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench")
    parser.add_argument("peer_python")
    parser.add_argument("peer_folder", type=pathlib.Path)
    parser.add_argument("--case", action="append", choices=CASES)
    parser.add_argument("--peer", action="append", choices=["hf", "official"])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    args.peer = args.peer or ["hf"]
    for case in args.case or CASES:
        compare(args, case)


if __name__ == "__main__":
    main()
