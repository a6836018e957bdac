#!/usr/bin/env python3
"""Which method suits these photographs? Pretrains the small network by each method for the same time
of one core, and judges each by kNN, a linear probe and fine-tuning. Fine-tuning from random weights
stands beside them.

PHOTOGRAPHS has train/ and val/ with class folders. The recipes are recipes/small. --seconds of
processor time become whole epochs by what an epoch takes; a fifth of them warm up. BEiT's tokens
are the patches' mean colours, which need no tokenizer that would be trained first.

The same command goes on where it was stopped; more methods and seeds can be added. Prints a table:
means, and ± half the range of the seeds. OUT/comparison.html has the curves of fine-tuning.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import shutil
import statistics
import sys

from compare_learning import RECIPES, run

# name: (settings beside those of its recipe, the recipe of fine-tuning)
METHODS = {
    "mae": ([], "finetune_vit_small_128"),
    "simmim": ([], "finetune_beit_vit_small_128"),
    "beit": (["beit.tokenizer=colors:1024", "beit.cls_head.layers=0"],
             "finetune_beit_vit_small_128"),
    "dino": ([], "finetune_vit_small_128"),
    "ibot": ([], "finetune_vit_small_128"),
    "none": ([], "finetune_vit_small_128"),
}
ONE_CORE = ["train.threads=1", "data.workers=1", "output.preview_epochs=0"]


def recipe(name):
    return ["--recipe", RECIPES / f"{name}.yaml"]


def settings(values):
    return [part for value in values for part in ["--set", value]]


def kept(path, value):
    """What a file holds, or, where there is none, a value that is worked out and kept in it."""
    if not path.exists():
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(value()))
        unfinished.rename(path)
    return json.loads(path.read_text())


def pretrain(args, method, out, epochs, more):
    command = [args.programs / "pretrain", *recipe(f"{method}_vit_small_128"), "--data",
               args.photographs / "train", "--out", out] + (["--resume"] if out.exists() else [])
    return run(command + settings(METHODS[method][0] + ONE_CORE + more +
                                  ["knn.epochs=0", f"train.epochs={epochs}"]),
               out.with_suffix(".log"))


def epochs_that_fit(args, method):
    """By the time of a run of three epochs without that of a run of one."""
    trial = args.out / f"{method}_trial"

    def seconds(epochs):
        shutil.rmtree(trial, ignore_errors=True)
        return pretrain(args, method, trial, epochs, ["schedule.warmup_epochs=0"])
    one, three = seconds(1), seconds(3)
    shutil.rmtree(trial)
    return max(1, round(2 * args.seconds / max(three - one, 0.1)))


def processor_seconds(run_folder):
    """Of the whole run, whose checkpoints add them up."""
    newest = max((run_folder / "checkpoints").iterdir())
    return json.loads((newest / "meta.json").read_text())["meta"]["processor_seconds"]


def probe(args, kind, weights, out, more):
    run([args.programs / f"{kind}_probe", "--from", weights, "--data", args.photographs,
         "--workers", "1", "--out", out, *more], out.with_suffix(".log"))
    return json.loads((out / "result.json").read_text())["top1"]


def finetune(args, method, weights, seed, out):
    run([args.programs / "finetune", "--from", weights, *recipe(METHODS[method][1]), "--data",
         args.photographs, "--out", out] + (["--resume"] if out.exists() else []) +
        settings(ONE_CORE + [f"train.epochs={args.finetune_epochs}", f"train.seed={seed}"]),
        out.with_suffix(".log"))
    return json.loads((out / "result.json").read_text())["top1"]


def result(args, method, seed):
    """What one method reached with one seed."""
    name = f"{method}_{seed}"

    def reached():
        epochs, seconds, start = 0, 0.0, "none"
        weights, more = args.out / f"mae_{seed}", ["--untrained"]  # the network before training
        if method != "none":
            start = weights = args.out / name
            more = []
            epochs = json.loads((args.out / f"{method}_epochs.json").read_text())
            warmup = f"schedule.warmup_epochs={max(1, epochs // 5)}"
            pretrain(args, method, weights, epochs, [f"train.seed={seed}", warmup])
            seconds = processor_seconds(weights)
        return {"epochs": epochs, "seconds": seconds,
                "kNN": probe(args, "knn", weights, args.out / f"{name}_knn", more),
                "linear probe": probe(args, "linear", weights, args.out / f"{name}_linear",
                                      more),
                "fine-tuned": finetune(args, method, start, seed, args.out / f"{name}_finetuned")}
    found = kept(args.out / f"{name}.json", reached)
    print(name, found, file=sys.stderr, flush=True)
    return found


def table(args, results):
    """A row for each method: means of the seeds."""
    scores = ["kNN", "linear probe", "fine-tuned"]
    print(f"| pretraining | epochs | processor time | {' | '.join(scores)} |")
    print("|" + "---|" * (3 + len(scores)))
    for method in args.methods:
        found = [results[method, seed] for seed in args.seeds]
        cells = [method, str(found[0]["epochs"]),
                 f"{statistics.fmean(one['seconds'] for one in found):.0f} s"]
        for score in scores:
            values = [one[score] for one in found]
            spread = f" ± {(max(values) - min(values)) / 2:.1f}" if len(values) > 1 else ""
            cells.append(f"{statistics.fmean(values):.1f}{spread}")
        print(f"| {' | '.join(cells)} |")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", type=lambda text: pathlib.Path(text).resolve(),
                        help="folder with PreViT's programs")
    parser.add_argument("photographs", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=300, help="of pretraining (300)")
    parser.add_argument("--methods", type=lambda text: text.split(","), default=list(METHODS),
                        metavar="NAME,NAME", help=f"of {','.join(METHODS)} (all)")
    parser.add_argument("--seeds", type=lambda text: [int(one) for one in text.split(",")],
                        default=[0, 1], metavar="N,N", help="(0,1)")
    parser.add_argument("--finetune-epochs", type=int, default=15, help="(15)")
    parser.add_argument("--jobs", type=int, default=1, help="at once, a core each (1)")
    args = parser.parse_args()
    unknown = [name for name in args.methods if name not in METHODS]
    if unknown:
        parser.error(f"{unknown[0]}: not one of {', '.join(METHODS)}")
    if "none" in args.methods and "mae" not in args.methods:
        parser.error("none: goes with mae, whose untrained network the probes see")
    return args


def main():
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    os.environ["OMP_NUM_THREADS"] = "1"  # for the probes too
    asked = [args.seconds, args.finetune_epochs, str(args.photographs.resolve())]
    if kept(args.out / "asked.json", lambda: asked) != asked:
        sys.exit(f"{args.out}: is of a comparison with other settings; give another OUT")
    trained = [method for method in args.methods if method != "none"]
    for method in trained:
        kept(args.out / f"{method}_epochs.json", lambda: epochs_that_fit(args, method))
    results = {}
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for methods in [trained, [name for name in args.methods if name == "none"]]:
            pairs = [(method, seed) for seed in args.seeds for method in methods]
            results.update(zip(pairs, pool.map(lambda pair: result(args, *pair), pairs)))
    runs = [args.out / f"{method}_{args.seeds[0]}_finetuned" for method in args.methods]
    if len(runs) > 1:
        run([args.programs / "report", "--compare", *runs, "--to", args.out / "comparison.html"],
            args.out / "comparison.log")
    table(args, results)


if __name__ == "__main__":
    main()
