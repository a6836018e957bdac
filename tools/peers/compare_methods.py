#!/usr/bin/env python3
"""Which method suits these photographs? Pretrains the small network by each method for the same time
of one core, and judges each by kNN, a linear probe and fine-tuning. Fine-tuning from random weights
stands beside them.

PHOTOGRAPHS has train/ and val/ with class folders. The recipes are recipes/small. --seconds of
processor time become whole epochs by what an epoch takes; a fifth of them warm up. For `beit`,
tokens are the patches' mean colours; for `beit_vqkd`, those of a tokenizer that sees by DINO's
network: half of the time goes to training the tokenizer, and what DINO took stands in its row
besides. `deit` learns from the labels alone, for as many epochs as fit and those of fine-tuning.

The same command goes on where it was stopped; more methods and seeds can be added. Prints a table:
means, and ± half the range of the seeds. OUT/comparison.html has the curves of fine-tuning.
"""
import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import shutil
import statistics
import sys

from compare_learning import RECIPES, run

VIT, BEIT = "finetune_vit_small_128", "finetune_beit_vit_small_128"  # recipes of fine-tuning


@dataclasses.dataclass(frozen=True)
class Method:
    finetuning: str | None = VIT  # recipe; None: is not fine-tuned
    recipe: str | None = None  # NAME_vit_small_128 if None
    settings: tuple = ()  # beside those of its recipe
    program: str | None = "pretrain"  # None: is not trained
    share: float = 1  # of --seconds
    takes: str | None = None  # the method whose run of the same seed it needs,
    taken_as: str | None = None  # as the value of this setting
    has_row: bool = True

    @property
    def with_labels(self):
        return self.program == "finetune"


METHODS = {
    "mae": Method(),
    "simmim": Method(BEIT),
    "beit": Method(BEIT, settings=("beit.tokenizer=colors:1024", "beit.cls_head.layers=0")),
    "dino": Method(),
    "ibot": Method(),
    "dinov2": Method(),
    "vqkd": Method(None, "tokenizer_vqkd_128", program="train_tokenizer", share=0.5,
                   takes="dino", taken_as="vqkd.teacher", has_row=False),
    "beit_vqkd": Method(BEIT, "beit_vit_small_128", ("beit.cls_head.layers=0",), share=0.5,
                        takes="vqkd", taken_as="beit.tokenizer"),
    "deit": Method(None, program="finetune"),
    "none": Method(program=None, takes="mae"),  # whose untrained network the probes see
}
ONE_CORE = ["train.threads=1", "data.workers=1", "output.preview_epochs=0"]


def kept(path, value):
    """What a file holds, or, where there is none, a value that is worked out and kept in it."""
    if not path.exists():
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(value()))
        unfinished.rename(path)
    return json.loads(path.read_text())


def run_folder(args, name, seed):
    return args.out / f"{name}_{seed}"


def run_program(args, program, data, out, recipe, more, values):
    """Goes on where a run was stopped. Gives its processor time in seconds."""
    command = [args.programs / program, "--recipe", RECIPES / f"{recipe}.yaml", "--data", data,
               "--out", out, *more] + (["--resume"] if out.exists() else [])
    for value in [*ONE_CORE, *values]:
        command += ["--set", value]
    return run(command, out.with_suffix(".log"))


def train(args, name, seed, out, values):
    """The method's own training; `out` gets its run."""
    method = METHODS[name]
    data = args.photographs if method.with_labels else args.photographs / "train"
    taken = [f"{method.taken_as}={run_folder(args, method.takes, seed)}"] if method.takes else []
    quiet = ["knn.epochs=0"] if method.program == "pretrain" else []
    return run_program(args, method.program, data, out,
                       method.recipe or f"{name}_vit_small_128",
                       ["--from", "none"] if method.with_labels else [],
                       [*method.settings, *taken, *quiet, f"train.seed={seed}", *values])


def epochs_that_fit(args, name):
    """By the time of a run of three epochs without that of a run of one."""
    trial = args.out / f"{name}_trial"

    def seconds(epochs):
        shutil.rmtree(trial, ignore_errors=True)
        return train(args, name, args.seeds[0], trial,
                     [f"train.epochs={epochs}", "schedule.warmup_epochs=0"])
    one, three = seconds(1), seconds(3)
    shutil.rmtree(trial)
    fit = max(1, round(2 * args.seconds * METHODS[name].share / max(three - one, 0.1)))
    return fit + (args.finetune_epochs if METHODS[name].with_labels else 0)


def processor_seconds(trained):
    """Of the whole run, whose checkpoints add them up."""
    newest = max((trained / "checkpoints").iterdir())
    return json.loads((newest / "meta.json").read_text())["meta"]["processor_seconds"]


def probe(args, kind, weights, out, more):
    run([args.programs / f"{kind}_probe", "--from", weights, "--data", args.photographs,
         "--workers", "1", "--out", out, *more], out.with_suffix(".log"))
    return top1(out)


def top1(out):
    return json.loads((out / "result.json").read_text())["top1"]


def finetune(args, method, weights, seed, out):
    run_program(args, "finetune", args.photographs, out, method.finetuning, ["--from", weights],
                [f"train.epochs={args.finetune_epochs}", f"train.seed={seed}"])
    return top1(out)


def scores(args, name, seed):
    """Of a method's run, or of what its network is before."""
    method, out = METHODS[name], run_folder(args, name, seed)
    if not method.has_row:
        return {}
    if method.with_labels:
        return {"fine-tuned": top1(out)}
    if method.program:
        weights, start, more = out, out, []
    else:
        weights, start, more = run_folder(args, method.takes, seed), "none", ["--untrained"]

    def beside(what):
        return out.with_name(f"{out.name}_{what}")
    return {"kNN": probe(args, "knn", weights, beside("knn"), more),
            "linear probe": probe(args, "linear", weights, beside("linear"), more),
            "fine-tuned": finetune(args, method, start, seed, beside("finetuned"))}


def result(args, name, seed):
    """What one method reached with one seed."""
    def reached():
        epochs, seconds, out = 0, 0.0, run_folder(args, name, seed)
        if METHODS[name].program:
            epochs = json.loads((args.out / f"{name}_epochs.json").read_text())
            warmup = max(1, epochs // 5) if epochs > 1 else 0
            train(args, name, seed, out,
                  [f"train.epochs={epochs}", f"schedule.warmup_epochs={warmup}"])
            seconds = processor_seconds(out)
        return {"epochs": epochs, "seconds": seconds, **scores(args, name, seed)}
    found = kept(args.out / f"{name}_{seed}.json", reached)
    print(f"{name}_{seed}", found, file=sys.stderr, flush=True)
    return found


def mean_with_range(values):
    if not values:
        return ""
    spread = f" ± {(max(values) - min(values)) / 2:.1f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.1f}{spread}"


def seconds_with_those_taken(name, results):
    """`own + those of the runs it takes`, means of the seeds."""
    times = []
    while name is not None:
        own = [found["seconds"] for (method, _), found in results.items() if method == name]
        times.append(f"{statistics.fmean(own):.0f}")
        name = METHODS[name].takes
    return " + ".join(times) + " s"


def table(args, results):
    """A row for each method: means of the seeds."""
    columns = ["kNN", "linear probe", "fine-tuned"]
    print(f"| pretraining | epochs | processor time | {' | '.join(columns)} |")
    print("|" + "---|" * (3 + len(columns)))
    for name in filter(lambda name: METHODS[name].has_row, args.methods):
        found = [results[name, seed] for seed in args.seeds]
        trained = METHODS[name].program is not None
        cells = [name, str(found[0]["epochs"]) if trained else "",
                 seconds_with_those_taken(name, results) if trained else ""]
        cells += [mean_with_range([one[column] for one in found if column in one])
                  for column in columns]
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
    for name in args.methods:
        if METHODS[name].takes not in [None, *args.methods]:
            parser.error(f"{name}: goes with {METHODS[name].takes}, whose run it takes")
    return args


def stages(names):
    """The methods in groups, so that each comes after the one whose run it takes."""
    done = []
    while len(done) < len(names):
        stage = [name for name in names if name not in done and
                 METHODS[name].takes in [None, *done]]
        yield stage
        done += stage


def main():
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    os.environ["OMP_NUM_THREADS"] = "1"  # for the probes too
    asked = [args.seconds, args.finetune_epochs, str(args.photographs.resolve())]
    if kept(args.out / "asked.json", lambda: asked) != asked:
        sys.exit(f"{args.out}: is of a comparison with other settings; give another OUT")
    results = {}
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for names in stages(args.methods):
            for name in filter(lambda name: METHODS[name].program, names):
                kept(args.out / f"{name}_epochs.json", lambda: epochs_that_fit(args, name))
            pairs = [(name, seed) for seed in args.seeds for name in names]
            results.update(zip(pairs, pool.map(lambda pair: result(args, *pair), pairs)))
    runs = [args.out / f"{name}_{args.seeds[0]}_finetuned" for name in args.methods
            if METHODS[name].finetuning]
    if len(runs) > 1:
        run([args.programs / "report", "--compare", *runs, "--to", args.out / "comparison.html"],
            args.out / "comparison.log")
    table(args, results)


if __name__ == "__main__":
    main()
