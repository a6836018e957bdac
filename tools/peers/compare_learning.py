#!/usr/bin/env python3
"""Trains PreViT and the authors' own code on the same photographs and compares how they learn.

PROGRAMS is a folder with PreViT's pretrain, finetune and knn_probe. PEER_PYTHON is a Python with
torch, torchvision, timm and transformers. PHOTOGRAPHS has train/ and val/ with class folders. OUT
gets the runs, learning.json and learning.svg. The official code is run from checkouts: of
facebookresearch/mae at $MAE_DIR (mae, finetune) and facebookresearch/dino at $DINO_DIR (dino).

Cases: `mae` and `dino` (plain centering), recipes/small; `beit`, transformers' model with tokens
that are the patches' mean colours on both sides; `finetune`, the official MAE fine-tuning, both
sides from one and the same --checkpoint. Both sides get one and the same resolved recipe
(OUT/CASE/recipe.yaml), whose warm-up is a fifth of the epochs and which --set changes, and the same
seeds, from which each draws its own numbers. BEiT starts on both sides from transformers' random
weights, mae and dino only with --same-start.

The loss of an epoch is the mean over all its steps. The score is knn_probe's on both sides'
weights, or fine-tuning's top-1 after the last epoch. Lines and table show the mean of the seeds and
their standard deviation. A difference of the means lies `inside` if it is no larger than the spread
of the seeds lets expect of two equal programs: Student's t test at 5%, with the pooled deviation.
So one epoch in twenty may lie outside by chance. One seed can't be judged.

A finished side is not run again: the same command goes on after an interruption (PreViT from its
last checkpoint, a peer from the start), more --seeds can be added, and another case of the same OUT
is added to its learning.json and learning.svg. Another recipe for a case of OUT is refused.
"""
import argparse
import html
import json
import math
import os
import pathlib
import re
import resource
import shutil
import statistics
import subprocess
import sys

from compare_step import processor, versions

HERE = pathlib.Path(__file__).resolve().parent
RECIPES = HERE.parents[1] / "recipes/small"

# name: (recipe, changes to it, the key of the weights that are probed, the default of --epochs)
CASES = {
    "mae": ("mae_vit_small_128", [], None, 20),
    "dino": ("dino_vit_small_128", ["dino.centering=center"], "teacher", 6),
    "finetune": ("finetune_vit_small_128",
                 ["augment.scale=[0.08, 1.0]", "optimizer.layer_decay=0.75"], None, 10),
    "beit": ("beit_vit_small_128",
             ["beit.tokenizer=colors:1024", "beit.cls_head.layers=0", "augment.jitter=0"], None,
             20),
}
# A line for every step; nothing else between the steps.
QUIET = ["output.log_steps=1", "output.preview_epochs=0", "output.checkpoint_epochs=1"]
PRETRAINING = ["knn.epochs=0"]
SIDES = ["PreViT", "peer"]
# 97.5% quantiles of Student's t distribution with 1, 2, … degrees of freedom.
STUDENT = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228]


class Side:
    """One program with one seed: where it writes, and what it measured."""

    def __init__(self, args, case, side, seed):
        self.args, self.case, self.name, self.seed = args, case, side, seed
        self.folder = args.out / case / f"{side}_{seed}"

    def result(self):
        path = self.folder / "result.json"
        return json.loads(path.read_text()) if path.exists() else None

    def finish(self, result):
        unfinished = self.folder / "result.unfinished"
        unfinished.write_text(json.dumps(result) + "\n")
        unfinished.rename(self.folder / "result.json")


def run(command, log):
    """Runs a command; its output goes into a file. The processor's seconds that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(log, "w", encoding="utf-8") as output:
        code = subprocess.run([str(part) for part in command], stdout=output,
                              stderr=subprocess.STDOUT, check=False).returncode
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if code != 0:
        text = log.read_text(encoding="utf-8", errors="replace").strip()
        last = (text.splitlines() or ["no message"])[-1]
        sys.exit(f"{command[0]} failed with {code}: {last}\n(all of it: {log})")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def photographs(args):
    """The photographs, or a folder of links to the first ones of each class."""
    for part in ["train", "val"]:
        if not (args.photographs / part).is_dir():
            sys.exit(f"{args.photographs}: has no {part}/")
    if args.images == 0:
        return args.photographs
    few = args.out / f"photographs_{args.images}"
    for part in ["train", "val"]:
        for folder in sorted((args.photographs / part).iterdir()):
            to = few / part / folder.name
            to.mkdir(parents=True, exist_ok=True)
            for file in sorted(folder.iterdir())[:args.images]:
                if not (to / file.name).is_symlink():
                    (to / file.name).symlink_to(file.resolve())
    return few


def resolved_recipe(args, case):
    """The recipe of a case with everything in it, as both sides read it."""
    recipe, changes, _, epochs = CASES[case]
    epochs = args.epochs or epochs
    changes = changes + QUIET + ([] if case == "finetune" else PRETRAINING)
    changes += [f"train.epochs={epochs}", f"schedule.warmup_epochs={max(1, epochs // 5)}",
                f"train.precision={args.precision}", f"train.threads={args.threads}",
                "data.workers=1"]
    program = [args.programs / ("finetune" if case == "finetune" else "pretrain"), "--recipe",
               RECIPES / f"{recipe}.yaml", "--print-recipe"]
    if case == "finetune":
        program += ["--from", "none"]
    for change in changes + args.set:
        program += ["--set", change]
    done = subprocess.run([str(part) for part in program], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        sys.exit(f"{case}: {done.stderr.strip()}")
    return done.stdout


def write_recipe(args, case):
    """Writes OUT/CASE/recipe.yaml with what else a side depends on; refuses another one there."""
    text = resolved_recipe(args, case)
    text = f"# {args.data.resolve()}, same start: {args.same_start}\n{text}"
    path = args.out / case / "recipe.yaml"
    if path.exists() and path.read_text() != text:
        sys.exit(f"{path}: is of a comparison with other settings; give another OUT")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def start_of(side):
    """The file from which a side starts; None: random weights of its own."""
    if side.case == "finetune":
        return side.args.checkpoint
    if side.name == "PreViT" and (side.args.same_start or side.case == "beit"):
        return side.folder.parent / f"peer_{side.seed}" / "run" / "start.pth"
    return None


def seeded(recipe, side):
    """The recipe with the side's seed in it."""
    text = "\n".join(f"  seed: {side.seed}" if line.startswith("  seed: ") else line
                     for line in recipe.read_text().splitlines())
    path = side.folder / "recipe_of_seed.yaml"
    path.write_text(text + "\n")
    return path


def probe(side, weights, key):
    """kNN accuracy of weights on the photographs, in percent."""
    command = [side.args.programs / "knn_probe", "--from", weights, "--data", side.args.data,
               "--workers", "1", "--out", side.folder / "knn"]
    if side.name == "peer":
        # Of the first section, the model's. Files of the official code don't tell it.
        heads = re.search(r"num_heads: (\d+)", (side.folder.parent / "recipe.yaml").read_text())
        command += ["--heads", heads.group(1)] + (["--weights", key] if key else [])
    run(command, side.folder / "knn.log")
    return json.loads((side.folder / "knn" / "result.json").read_text())["top1"]


def run_ours(side, recipe):
    program = side.args.programs / ("finetune" if side.case == "finetune" else "pretrain")
    folder = side.folder / "run"
    data = side.args.data if side.case == "finetune" else side.args.data / "train"
    command = [program, "--recipe", seeded(recipe, side), "--data", data, "--out", folder]
    start = start_of(side)
    if start or side.case == "finetune":
        command += ["--from", start or "none"]
    if folder.exists():
        command += ["--resume"]
    seconds = run(command, side.folder / "log.txt")
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    score = lines[-1]["top1"] if side.case == "finetune" else probe(side, folder, None)
    return {"losses": [line["loss"] for line in lines], "seconds": seconds, "score": score}


def run_peer(side, recipe):
    command = [side.args.peer_python, HERE / f"peer_{side.case}_learn.py", seeded(recipe, side),
               side.args.data, side.folder / "run", "--precision", side.args.precision,
               "--threads", side.args.threads]
    start = start_of(side)
    if start:
        command += ["--start", start]
    seconds = run(command, side.folder / "log.txt")
    result = json.loads((side.folder / "run" / "result.json").read_text())
    key = CASES[side.case][2]
    score = (result["top1"] if side.case == "finetune" else
             probe(side, side.folder / "run" / "weights.pth", key))
    return {"losses": result["losses"], "seconds": seconds, "score": score}


def run_side(side, recipe):
    if side.result():
        return
    print(f"{side.case}, seed {side.seed}: {side.name}", file=sys.stderr, flush=True)
    if side.name == "peer" and side.folder.exists():
        shutil.rmtree(side.folder)  # it can't go on
    side.folder.mkdir(parents=True, exist_ok=True)
    side.finish(run_peer(side, recipe) if side.name == "peer" else run_ours(side, recipe))


def by_epoch(losses, epochs):
    steps = len(losses) // epochs
    return [statistics.fmean(losses[i * steps:(i + 1) * steps]) for i in range(epochs)]


def deviation(values):
    return statistics.stdev(values) if len(values) > 1 else None


def judge(ours, theirs):
    """Both means and deviations, the difference, the largest one that the spread allows, and
    whether it lies inside; None where there is no spread to judge by."""
    difference = statistics.fmean(ours) - statistics.fmean(theirs)
    judged = {"ours": statistics.fmean(ours), "theirs": statistics.fmean(theirs),
              "ours_deviation": deviation(ours), "theirs_deviation": deviation(theirs),
              "difference": difference, "allowed": None, "inside": None}
    freedom = len(ours) + len(theirs) - 2
    if len(ours) > 1 and len(theirs) > 1:
        squares = sum((value - statistics.fmean(side)) ** 2
                      for side in [ours, theirs] for value in side)
        pooled = math.sqrt(squares / freedom)
        quantile = STUDENT[min(freedom, len(STUDENT)) - 1]
        judged["allowed"] = quantile * pooled * math.sqrt(1 / len(ours) + 1 / len(theirs))
        judged["inside"] = abs(difference) <= judged["allowed"]
    return judged


def compare(args, case, epochs):
    """What a case's finished seeds say."""
    results = {seed: [Side(args, case, name, seed).result() for name in SIDES]
               for seed in args.seeds}
    both = {seed: pair for seed, pair in results.items() if all(pair)}
    curves = [[by_epoch(pair[side]["losses"], epochs) for pair in both.values()]
              for side in range(2)]
    scores = [[pair[side]["score"] for pair in both.values()] for side in range(2)]
    return {"seeds": list(both), "epochs": epochs,
            "steps": len(next(iter(both.values()))[0]["losses"]),
            "loss_ours": curves[0], "loss_theirs": curves[1],
            "score_ours": scores[0], "score_theirs": scores[1],
            "seconds_ours": [pair[0]["seconds"] for pair in both.values()],
            "seconds_theirs": [pair[1]["seconds"] for pair in both.values()],
            "loss": [judge([curve[i] for curve in curves[0]], [curve[i] for curve in curves[1]])
                     for i in range(epochs)],
            "score": judge(*scores)}


def row(name, judged, digits):
    def side(which):
        spread = judged[f"{which}_deviation"]
        return (f"{judged[which]:.{digits}f}" +
                (f" ± {spread:.{digits}f}" if spread is not None else ""))
    verdict = {None: "one seed", True: "inside", False: "outside"}[judged["inside"]]
    allowed = "" if judged["allowed"] is None else f"{judged['allowed']:.{digits}f}"
    return (f"{name:12} {side('ours'):>16} {side('theirs'):>16} "
            f"{judged['difference']:+10.{digits}f} {allowed:>9}  {verdict}")


def print_case(case, compared):
    score = "top-1" if case == "finetune" else "kNN"
    print(f"\n{case}, {compared['epochs']} epochs of {compared['steps'] // compared['epochs']} "
          f"steps, seeds {', '.join(map(str, compared['seeds']))}; processor time of a run: PreViT "
          f"{statistics.fmean(compared['seconds_ours']):.0f} s, peer "
          f"{statistics.fmean(compared['seconds_theirs']):.0f} s")
    print(f"{'':12} {'PreViT':>16} {'peer':>16} {'difference':>10} {'allowed':>9}")
    for i, judged in enumerate(compared["loss"]):
        print(row(f"epoch {i + 1}", judged, 3))
    print(row(score, compared["score"], 1), flush=True)


# --- the plot ------------------------------------------------------------------------------------

WIDTH, HEIGHT, MARGIN, GAP = 420, 260, 44, 12
STYLE = """
svg { --page:#f6f7f9; --card:#fff; --text:#1c2330; --muted:#6b7484; --grid:#e4e7ec;
  --ours:#2563eb; --theirs:#d97706; }
@media (prefers-color-scheme: dark) { svg { --page:#12151b; --card:#1b2029; --text:#e6e9ef;
  --muted:#98a1b0; --grid:#2c333f; --ours:#6ea8fe; --theirs:#fbbf24; } }
text { fill:var(--muted); font:12px system-ui,sans-serif; } .title { fill:var(--text);
  font-size:15px; font-weight:600; } path { fill:none; stroke-width:2; } .band { stroke:none;
  opacity:.2; }
"""


def panel(case, compared, left, top):
    """One case: the mean of each side's seeds by epoch, in a band from the least to the largest."""
    sides = [("ours", compared["loss_ours"]), ("theirs", compared["loss_theirs"])]
    values = [value for _, curves in sides for curve in curves for value in curve]
    low, high, epochs = min(values), max(values), compared["epochs"]
    high += 1e-9 * (high == low)

    def point(epoch, value):
        x = MARGIN + (WIDTH - MARGIN - 16) * (epoch / max(epochs - 1, 1))
        return f"{x:.1f} {HEIGHT - 30 - (HEIGHT - 76) * (value - low) / (high - low):.1f}"
    parts = [f'<rect width="{WIDTH}" height="{HEIGHT}" rx="10" fill="var(--card)"/>'
             f'<text class="title" x="14" y="22">{html.escape(case)}: loss by epoch</text>']
    for share in [0, 0.5, 1]:
        value = low + share * (high - low)
        parts.append(f'<path d="M {point(0, value)} L {point(max(epochs - 1, 1), value)}" '
                     f'stroke="var(--grid)" style="stroke-width:1"/><text x="6" '
                     f'y="{float(point(0, value).split()[1]) + 4:.1f}">{value:.2f}</text>')
    for epoch in sorted({0, (epochs - 1) // 2, epochs - 1}):
        parts.append(f'<text text-anchor="middle" x="{point(epoch, low).split()[0]}" '
                     f'y="{HEIGHT - 10}">{epoch + 1}</text>')
    for name, curves in sides:
        columns = list(zip(*curves))
        upper = [point(i, max(column)) for i, column in enumerate(columns)]
        lower = [point(i, min(column)) for i, column in enumerate(columns)][::-1]
        mean = [point(i, statistics.fmean(column)) for i, column in enumerate(columns)]
        parts.append(f'<path class="band" style="fill:var(--{name})" '
                     f'd="M {" L ".join(upper + lower)} Z"/><path stroke="var(--{name})" '
                     f'd="M {" L ".join(mean)}"/>')
    for i, (name, label) in enumerate([("ours", "PreViT"), ("theirs", "peer")]):
        parts.append(f'<text x="{WIDTH - 120 + 62 * i}" y="22" style="fill:var(--{name})">'
                     f'{label}</text>')
    return f'<g transform="translate({left} {top})">{"".join(parts)}</g>'


def plot(cases):
    """The panels of all cases, two in a row."""
    columns = min(len(cases), 2)
    panels = [panel(case, compared, GAP + i % columns * (WIDTH + GAP),
                    GAP + i // columns * (HEIGHT + GAP))
              for i, (case, compared) in enumerate(sorted(cases.items()))]
    width = GAP + columns * (WIDTH + GAP)
    height = GAP + -(-len(cases) // columns) * (HEIGHT + GAP)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">'
            f'<style>{STYLE}</style><rect width="{width}" height="{height}" rx="12" '
            f'fill="var(--page)"/>\n' + "\n".join(panels) + "</svg>\n")


# --- the command ---------------------------------------------------------------------------------


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", type=pathlib.Path)
    parser.add_argument("peer_python")
    parser.add_argument("photographs", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--case", action="append", choices=CASES, help="all without it")
    parser.add_argument("--seeds", type=lambda text: [int(part) for part in text.split(",")],
                        default=[0, 1, 2], metavar="N,N", help="0,1,2 without it")
    parser.add_argument("--images", type=int, default=0, metavar="N",
                        help="the first N of each class, of train/ and of val/; 0: all")
    parser.add_argument("--epochs", type=int, default=0, help="the case's own without it")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                        help="a change to the recipe; name one --case with it")
    parser.add_argument("--same-start", action="store_true",
                        help="PreViT starts from the peer's first weights")
    parser.add_argument("--checkpoint", type=pathlib.Path, metavar="FILE",
                        help="MAE's .pth that is fine-tuned; the peer's first of mae without it")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="bf16",
                        help="of both sides")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    args.case = args.case or list(CASES)
    args.out.mkdir(parents=True, exist_ok=True)
    args.data = photographs(args)
    if "finetune" in args.case:
        made = args.out / "mae" / f"peer_{args.seeds[0]}" / "run" / "weights.pth"
        args.checkpoint = args.checkpoint or made
        if not args.checkpoint.exists() and "mae" not in args.case:
            parser.error(f"finetune: no checkpoint {args.checkpoint}; run --case mae first, or "
                         "give --checkpoint")
    return args


def describe_run(args):
    return {"processor": processor(), "precision": args.precision, "threads": args.threads,
            "peers": versions(args.peer_python, ["torch", "transformers", "timm"]),
            "same_start": args.same_start, "command": sys.argv,
            "images": sum(1 for _ in (args.data / "train").glob("*/*"))}


def main():
    args = arguments()
    about = describe_run(args)
    cpu = about["processor"]
    print(f"processor  {cpu['name']} ({cpu['architecture']}), {args.threads} thread(s)\n"
          f"versions   peers with {about['peers']}; both sides in {args.precision}\n"
          f"images     {about['images']}; mean ± standard deviation over seeds; allowed: what the "
          "spread lets two equal programs differ by", flush=True)
    written = args.out / "learning.json"
    cases = json.loads(written.read_text()) if written.exists() else {}
    for case in args.case:
        recipe = write_recipe(args, case)
        for seed in args.seeds:
            for name in SIDES[::-1]:  # PreViT may start from the peer's first weights
                run_side(Side(args, case, name, seed), recipe)
            epochs = args.epochs or CASES[case][3]
            cases[case] = {**about, **compare(args, case, epochs)}
            written.write_text(json.dumps(cases, indent=1) + "\n")
            (args.out / "learning.svg").write_text(plot(cases))
        print_case(case, cases[case])


if __name__ == "__main__":
    main()
