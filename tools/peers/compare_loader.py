#!/usr/bin/env python3
"""Times reading, decoding and augmenting by PreViT and by its Python peers in turn, on one core.

BENCH is PreViT's bench program; pack_dataset lies beside it. PHOTOGRAPHS is a folder of JPEG files.
PACKS is a folder for both sides' packed files, which are written where they are missing: the
photographs in their own size, as their JPEG bytes or as pixels. PEER_PYTHON has torch, torchvision
and Pillow; PEER_FOLDER holds peer_loader.py. FFCV_FOLDER is a checkout of FFCV-SSL, and FFCV_PYTHON
has what peer_ffcv_loader.py (beside this file) says that it needs.

Cases: `mae`, a crop to 224 pixels and a flip; `dino`, two crops to 224 and eight to 96 with their
changes of colour and blur; `crops`, those ten without changes of colour (FFCV only).

All figures are images a second of processor time: other programs on the machine make neither side
slower but for caches and memory. Every round runs each program once. The table shows the median of
the rounds, their least and largest, and how many times as fast PreViT is from the same kind of
file. Who does what:
- PreViT gives batches of uint8 pixels, decoded once for all views, resized bicubically.
- FFCV gives the same unless --ffcv-normalize; peer_ffcv_loader.py says what it does otherwise.
- PIL and v2 (torchvision's transforms) end in single images of normalised float32, and don't make
  batches; the best of three passes counts.
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys

from compare_step import processor, versions

HERE = pathlib.Path(__file__).resolve().parent
RECIPES = HERE.parents[1] / "recipes/imagenet"
BATCH = 64
NO_COLOURS = [f"augment.{view}.{operation}=0" for view in ["global_1", "global_2", "local"]
              for operation in ["jitter", "greyscale", "blur", "solarize"]]
# name: (recipe, changes to it, batches timed)
CASES = {
    "mae": ("mae_vit_base", [], 20),
    "dino": ("dino_vit_small", [], 5),
    "crops": ("dino_vit_small", NO_COLOURS, 5),
}
# Runs a script whose clock counts the processor's time instead of the wall's.
ON_PROCESSOR_TIME = ("import runpy, sys, time; time.perf_counter = time.process_time; "
                     "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')")


class Program:
    """One of the programs of a case: where it reads from, and its rounds' images a second."""

    def __init__(self, name, store, measure):
        self.name, self.store, self.measure = name, store, measure
        self.rounds = []

    def median(self):
        return statistics.median(self.rounds)


def last_line(command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{command[0]}: failed with {done.returncode}")
    return done.stdout.strip().splitlines()[-1]


def note(text):
    print(text, file=sys.stderr, flush=True)


def ours(args, case, data):
    recipe, changes, batches = CASES[case]
    command = [args.bench, "loader", "--recipe", str(RECIPES / f"{recipe}.yaml"), "--data",
               str(data), "--split", "all", "--workers", "1", "--batch", str(BATCH),
               "--batches", str(batches)]
    for change in changes:
        command += ["--set", change]
    return lambda: json.loads(last_line(command))["per_core"]


def torchvision(args, case, backend):
    command = [args.peer_python, "-c", ON_PROCESSOR_TIME, f"{args.peer_folder}/peer_loader.py",
               str(args.photographs), case, "--backend", backend]
    env = dict(os.environ, PYTHONPATH=args.peer_folder)
    return lambda: float(re.search(r": ([0-9.]+) images/s", last_line(command, env=env)).group(1))


def ffcv_command(args, *arguments):
    env = dict(os.environ, PYTHONPATH=args.ffcv_folder)
    return [args.ffcv_python, str(HERE / "peer_ffcv_loader.py"), *map(str, arguments)], env


class Ffcv:
    """FFCV in a process that stays, since it takes minutes to compile its views."""

    def __init__(self, args, case, pack, normalize):
        command, env = ffcv_command(args, "serve", pack, case, "--batch", BATCH,
                                    "--images", BATCH * CASES[case][2],
                                    *["--normalize"] * normalize)
        self.process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.read("ready")

    def read(self, expected=None):
        line = self.process.stdout.readline().strip()
        if not line or (expected and line != expected):
            sys.exit(f"peer_ffcv_loader.py: no {expected or 'figure'}, but {line!r}")
        return line

    def __call__(self):
        print(file=self.process.stdin, flush=True)
        return float(self.read())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def write_packs(args):
    """The packed files by kind: ours, FFCV's."""
    args.packs.mkdir(parents=True, exist_ok=True)
    photographs = sorted(map(str, args.photographs.rglob("*.jpg")))
    packs = {}
    for store, name in {"jpeg": "encoded", "raw": "raw"}.items():
        own, theirs = args.packs / f"{store}.h5", args.packs / f"{store}.beton"
        if not own.exists():
            pack_dataset = str(pathlib.Path(args.bench).resolve().parent / "pack_dataset")
            note(last_line([pack_dataset, "--data", str(args.photographs), "--out", str(own),
                            "--store", name, "--workers", "1"]))
        if args.ffcv_python and not theirs.exists():
            command, env = ffcv_command(args, "write", theirs, store, *photographs)
            subprocess.run(command, env=env, check=True)
        packs[store] = own, theirs
    return packs


def programs(args, case, packs):
    result = [Program("PreViT", "files", ours(args, case, args.photographs))]
    result += [Program("PreViT", f"{store} pack", ours(args, case, packs[store][0]))
               for store in packs]
    if args.peer_python and case != "crops":
        result += [Program(backend, "files", torchvision(args, case, backend))
                   for backend in ["pil", "v2"]]
    for normalize in [False, True] if args.ffcv_normalize else [False]:
        for store in packs if args.ffcv_python else []:
            name = "FFCV float32" if normalize else "FFCV"
            note(f"{case}: {name} compiles its views, {store}")
            result.append(Program(name, f"{store} pack",
                                  Ffcv(args, case, packs[store][1], normalize)))
    return result


def compare(args, case, packs):
    running = programs(args, case, packs)
    for i in range(args.rounds):
        for program in running:
            note(f"{case}, round {i + 1} of {args.rounds}: {program.name}, {program.store}")
            program.rounds.append(program.measure())
    own = {program.store: program.median() for program in running if program.name == "PreViT"}
    for program in running:
        speed = program.median()
        row = (f"{case:6} {program.name:13} {program.store:10}{speed:9.1f} "
               f"{min(program.rounds):9.1f} - {max(program.rounds):<9.1f}")
        if program.name != "PreViT":
            row += f"{own[program.store] / speed:7.2f}"
        print(row, flush=True)
        if isinstance(program.measure, Ffcv):
            program.measure.close()


def print_header(args):
    cpu = processor()
    print(f"processor  {cpu['name']} (family/model {cpu['family_and_model']}), one core; load "
          f"before {os.getloadavg()[0]:.2f}")
    for name, python, packages in [
            ("PIL and v2", args.peer_python, ["torch", "torchvision", "pillow"]),
            ("FFCV", args.ffcv_python, ["torch", "numba", "numpy"])]:
        if python:
            print(f"versions   {name}: {versions(python, packages)}")
    print(f"rounds     {args.rounds}; images/s of processor time: median, least - most; the ratio "
          f"is PreViT's to that line")
    print(f"\n{'views':6} {'program':13} {'from':10}{'images/s':>9} {'least':>9} - {'most':9}"
          f"{'ratio':>7}", flush=True)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench")
    parser.add_argument("photographs", type=pathlib.Path)
    parser.add_argument("packs", type=pathlib.Path)
    parser.add_argument("--peer", nargs=2, metavar=("PEER_PYTHON", "PEER_FOLDER"))
    parser.add_argument("--ffcv", nargs=2, metavar=("FFCV_PYTHON", "FFCV_FOLDER"))
    parser.add_argument("--ffcv-normalize", action="store_true",
                        help="time FFCV also with normalised float32 at the end")
    parser.add_argument("--case", action="append", choices=CASES, help="all without it")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--core", type=int, help="which one; the last without it")
    args = parser.parse_args()
    args.peer_python, args.peer_folder = args.peer or (None, None)
    args.ffcv_python, args.ffcv_folder = args.ffcv or (None, None)
    return args


def main():
    args = arguments()
    core = max(os.sched_getaffinity(0)) if args.core is None else args.core
    os.sched_setaffinity(0, {core})  # of all programs that this one starts
    print_header(args)
    packs = write_packs(args)
    for case in args.case or CASES:
        compare(args, case, packs)


if __name__ == "__main__":
    main()
