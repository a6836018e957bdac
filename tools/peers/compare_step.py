#!/usr/bin/env python3
"""Times training steps of PreViT and of its Python peers in turn on this machine.

BENCH is PreViT's bench program. PEER_PYTHON is a Python with torch, torchvision, timm and
transformers. PEER_FOLDER holds peer_mae_step.py and peer_dino_step.py; peer_beit_step.py lies
beside this file. The peer `official` needs a checkout of facebookresearch/mae at $MAE_DIR, and for
the DINO cases of facebookresearch/dino at $DINO_DIR; `hf` is transformers' model (MAE and BEiT).
The BEiT case gives both sides their tokens: ours are the patches' mean colours, of as many kinds.

PreViT runs as its recipe says, a peer in fp32 and in bf16. Every round runs each program once and
keeps its median step. The table shows the median of the rounds, their least and largest, and how
many times as fast PreViT is. The peer's fastest program is the one that counts: the line with a
star. Memory is the largest resident size of the process, the median of the rounds. The table goes
to stdout, what is running to stderr. Nothing else should run on the machine.

--level takes instructions away from all programs alike: from PreViT's own loops by
PREVIT_CPU_LEVEL, from oneDNN, MKL and LibTorch's operators by variables of theirs (LEVELS). On an
AMD processor MKL does not look at MKL_ENABLE_INSTRUCTIONS: whatever it says, fp32 products run a
kernel of AVX2 (98 GFLOP/s on a core of Zen 4), which only MKL_CBWR=COMPATIBLE takes away (38), so
`baseline` sets that too. oneDNN obeys (fp32: 104 GFLOP/s, with AVX2 95, with SSE41 40; bf16: 209, 3
and 2), so that a peer's masked step in bf16 can take minutes (--limit). So do LibTorch's operators
(a sigmoid: 2.4, 1.5 and 0.4 billion values a second). torch.compile takes the width of vectors from
LibTorch's variable, but lets its compiler use every instruction that is there.
"""
import argparse
import json
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
RECIPES = HERE.parents[1] / "recipes/imagenet"
TYPES = ["fp32", "bf16"]

TINY = ["model.arch=vit_tiny", "model.image_size=[32]", "model.patch_size=4",
        "mae.decoder.embed_dim=128", "mae.decoder.depth=2", "mae.decoder.num_heads=4"]
GIVEN_TOKENS = ["beit.tokenizer=colors:8192", "beit.tokenizer_interpolation=bicubic"]
# name: (recipe, batch, changes to the recipe, the peer's model, the peer's options)
CASES = {
    "mae_vit_base": ("mae_vit_base", 16, [], "b", []),
    "mae_vit_tiny": ("mae_vit_base", 64, TINY, "ti", ["--img", "32", "--patch", "4"]),
    "dino_vit_small": ("dino_vit_small", 8, [], "s", ["--epoch", "1"]),
    # As in the first epoch, in which the prototypes get no gradient.
    "dino_vit_small_frozen": ("dino_vit_small", 8, ["dino.freeze_last_layer=100"], "s",
                              ["--epoch", "0"]),
    "beit_vit_base": ("beit_vit_base", 16, GIVEN_TOKENS, "b", []),
}
PEERS = {"mae": ["hf", "official"], "dino": ["official"], "beit": ["hf"]}

# What limits each library to a level of PREVIT_CPU_LEVEL.
LEVELS = {
    "baseline": {"ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
                 "MKL_CBWR": "COMPATIBLE", "ATEN_CPU_CAPABILITY": "default"},
    "avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2",
             "ATEN_CPU_CAPABILITY": "avx2"},
    "avx512": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI", "MKL_ENABLE_INSTRUCTIONS": "AVX512",
               "ATEN_CPU_CAPABILITY": "avx512"},
    "avx512_bf16": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16",
                    "MKL_ENABLE_INSTRUCTIONS": "AVX512_E3", "ATEN_CPU_CAPABILITY": "avx512"},
    "amx": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_AMX", "MKL_ENABLE_INSTRUCTIONS": "AVX512_E4",
            "ATEN_CPU_CAPABILITY": "avx512"},
}
LEVEL_FLAGS = {"AVX2": "avx2", "AVX-512": "avx512f", "AVX-512 BF16": "avx512_bf16",
               "AMX": "amx_bf16"}


class Program:
    """One of the programs of a case, and what its rounds measured."""

    def __init__(self, name, command, precision=None):
        self.name, self.command, self.precision = name, command, precision
        self.rounds = []
        self.dropped = None  # why it runs no more

    def median(self, what):
        return statistics.median(figures[what] for figures in self.rounds)


def run(command, env, limit=None):
    """Runs a command, for `limit` seconds at most. Its exit code, None where it was stopped; the
    last line that it printed to stdout, or to stderr where it failed; its peak memory in MiB."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as messages:
        process = subprocess.Popen(command, stdout=output, stderr=messages, env=env)
        begin = time.monotonic()
        timer = threading.Timer(limit or threading.TIMEOUT_MAX, process.kill)
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        code = process.returncode = os.waitstatus_to_exitcode(status)
        if limit and code == -signal.SIGKILL and time.monotonic() - begin >= limit:
            code = None
        text = output if code == 0 else messages
        text.seek(0)
        return code, (text.read().strip().splitlines() or [""])[-1], usage.ru_maxrss / 1024


def our_program(args, case):
    recipe, batch, changes, _, _ = CASES[case]
    command = [args.bench, "step", "--recipe", str(RECIPES / f"{recipe}.yaml"),
               "--batch", str(batch), "--steps", str(args.steps), "--device", args.device]
    if args.precision:
        changes = changes + [f"train.precision={args.precision}"]
    for change in changes:
        command += ["--set", change]
    return Program("PreViT", command)


def peer_programs(args, case):
    _, batch, _, model, options = CASES[case]
    method = case.split("_")[0]
    programs = []
    for peer in PEERS[method]:
        if args.peer and peer not in args.peer:
            continue
        folder = HERE if method == "beit" else args.peer_folder
        script = [str(folder / f"peer_{method}_step.py")] + ([peer] if method == "mae" else [])
        device = [] if method == "dino" else ["--device", args.device]
        for compiled in [False, True] if args.compile else [False]:
            for precision in args.peer_precision or TYPES:
                command = [args.peer_python, *script, model, str(batch), precision, *options,
                           "--steps", str(args.steps), *device]
                name = peer + (" compiled" if compiled else "")
                programs.append(Program(name, command + ["--compile"] * compiled, precision))
    return programs


def milliseconds(line):
    """The median step that a program's line states, in milliseconds."""
    if line.startswith("{"):
        return json.loads(line)["milliseconds"]["median"]
    return float(re.search(r"median ([0-9.]+) ms", line).group(1))


def measure(args, program, batch, env):
    """One round of a program: adds its figures, or the reason why there are none."""
    limit = None if program.name == "PreViT" else args.limit
    code, line, memory = run(program.command, env, limit)
    if code is None:
        program.dropped = f"under {batch * (args.steps + 2) / limit:.2f}: stopped after {limit:g} s"
    elif code != 0:
        program.dropped = f"failed with {code}: {line}"
    else:
        program.rounds.append({"images_per_second": batch / milliseconds(line) * 1e3,
                               "memory_mib": memory, "line": line})
        if line.startswith("{"):
            program.precision = json.loads(line)["precision"]


def compare(args, case, env):
    """The programs of a case, ours first, with the figures of all rounds."""
    programs = [our_program(args, case), *peer_programs(args, case)]
    for i in range(args.rounds):
        for program in programs:
            if program.dropped:
                continue
            print(f"{case}, round {i + 1} of {args.rounds}: {program.name} "
                  f"{program.precision or ''}", file=sys.stderr, flush=True)
            measure(args, program, CASES[case][1], env)
    return programs


def print_rows(case, programs):
    ours = programs[0]
    timed = [peer for peer in programs[1:] if not peer.dropped]
    best = max(timed, key=lambda peer: peer.median("images_per_second"), default=None)
    for program in programs:
        row = f"{case:22} {program.name:18} {program.precision or '':5}"
        if program.dropped:
            print(f"{row} {program.dropped}", flush=True)
            continue
        speed, memory = program.median("images_per_second"), program.median("memory_mib")
        speeds = [figures["images_per_second"] for figures in program.rounds]
        row += f"{speed:9.2f} {min(speeds):9.2f} - {max(speeds):<9.2f}{memory:6.0f}"
        if program is not ours and not ours.dropped:
            row += (f"{ours.median('images_per_second') / speed:7.2f} "
                    f"{ours.median('memory_mib') / memory:7.2f}")
        print(row + (" *" if program is best else ""), flush=True)


def processor():
    """The processor's name, cores and levels, of those that PREVIT_CPU_LEVEL names on x86-64."""
    output = subprocess.run(["lscpu"], stdout=subprocess.PIPE, text=True, check=True,
                            env=dict(os.environ, LC_ALL="C")).stdout
    fields = dict(line.split(":", 1) for line in output.splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    flags = fields.get("Flags", "").split()
    return {"name": fields.get("Model name", "unknown"),
            "family_and_model": f"{fields.get('CPU family', '-')}/{fields.get('Model', '-')}",
            "architecture": fields.get("Architecture"),
            "cores": len(os.sched_getaffinity(0)),
            "levels": [level for level, flag in LEVEL_FLAGS.items() if flag in flags]}


def libtorch_version(bench):
    """The version of the LibTorch that the bench program is linked with, from its headers."""
    libraries = subprocess.run(["ldd", bench], stdout=subprocess.PIPE, text=True,
                               check=True).stdout
    library = re.search(r"=> (\S*libtorch_cpu\.so)", libraries)
    if not library:
        return "unknown"
    include = pathlib.Path(library.group(1)).resolve().parents[1] / "include"
    for header in ["torch/headeronly/version.h", "torch/csrc/api/include/torch/version.h"]:
        if (include / header).exists():
            numbers = re.findall(r"define TORCH_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)",
                                 (include / header).read_text())
            if numbers:
                return ".".join(numbers)
    return "unknown"


def versions(python, packages):
    code = ("from importlib.metadata import version\n"
            f"print(*(f'{{n}} {{version(n)}}' for n in {packages}), sep=', ')")
    return subprocess.run([python, "-c", code], stdout=subprocess.PIPE, text=True,
                          check=True).stdout.strip()


def describe_run(args):
    return {"processor": processor(), "load": os.getloadavg()[0], "level": args.level or "all",
            "libtorch": libtorch_version(args.bench),
            "peers": versions(args.peer_python, ["torch", "transformers", "timm"]),
            "rounds": args.rounds, "steps": args.steps, "device": args.device,
            "command": sys.argv}


def print_header(about):
    cpu = about["processor"]
    print(f"processor  {cpu['name']} (family/model {cpu['family_and_model']}, "
          f"{cpu['architecture']}), {cpu['cores']} cores, "
          f"{', '.join(cpu['levels']) or 'baseline'}; load before {about['load']:.2f}")
    print(f"level      {about['level']}; device {about['device']}")
    print(f"versions   PreViT with LibTorch {about['libtorch']}; peers with {about['peers']}")
    print(f"rounds     {about['rounds']} of {about['steps']} steps; images/s: median, least - most;"
          " memory in MiB; ratios are PreViT's to that line")
    print(f"\n{'work':22} {'program':18} {'type':5} {'images/s':>8} {'least':>9} - {'most':9}"
          f"{'MiB':>6}{'speed':>7} {'memory':>7}", flush=True)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench")
    parser.add_argument("peer_python")
    parser.add_argument("peer_folder", type=pathlib.Path)
    parser.add_argument("--case", action="append", choices=CASES, help="all without it")
    parser.add_argument("--peer", action="append", choices=["hf", "official"],
                        help="all without it")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5, help="steps timed in a round, after 2 more")
    parser.add_argument("--precision", choices=TYPES, help="PreViT's; the recipe's without it")
    parser.add_argument("--peer-precision", action="append", choices=TYPES, help="both without it")
    parser.add_argument("--compile", action="store_true", help="peers also with torch.compile")
    parser.add_argument("--level", choices=LEVELS, help="mask the processor's higher levels")
    parser.add_argument("--limit", type=float, default=300, metavar="SECONDS",
                        help="a peer that takes longer in one round is stopped and left out")
    parser.add_argument("--device", default="cpu", help="of all programs; for DINO cpu")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="all raw figures")
    args = parser.parse_args()
    args.case = args.case or list(CASES)
    if args.device != "cpu" and any(case.startswith("dino") for case in args.case):
        parser.error("--device: DINO's peer runs on the CPU only; choose other cases")
    return args


def main():
    args = arguments()
    env = dict(os.environ, PYTHONPATH=str(args.peer_folder))
    if args.level:
        env.update(LEVELS[args.level], PREVIT_CPU_LEVEL=args.level)
    about = describe_run(args)
    print_header(about)
    figures = {}
    for case in args.case:
        programs = compare(args, case, env)
        print_rows(case, programs)
        figures[case] = [vars(program) for program in programs]
        if args.json:
            args.json.write_text(json.dumps({**about, "cases": figures}, indent=1) + "\n")
    if any(str(program["dropped"]).startswith("failed") for case in figures.values()
           for program in case):
        sys.exit("a program failed: see its line")


if __name__ == "__main__":
    main()
