#!/usr/bin/env python3
"""Loads a folder that `convert` wrote, in transformers, timm or its authors' code (official_files.py),
and compares what comes out.

    check_export.py FOLDER... [--tolerance 1e-5]

Every tensor of a folder must be loaded, and every one of the model must come from it. Outputs are
compared where FOLDER.check.safetensors lies beside it: `pixels` [B, C, H, W], normalised, and what
PreViT makes of them, `logits` [B, classes] or `features` [B, tokens, width] after the last norm. The
end status is 0, or 1 with a line that says what differs.
"""
import argparse
import functools
import json
import pathlib
import sys

import torch
from safetensors.torch import load_file

import official_files


def load_transformers(folder, config):
    import transformers

    name = config["architectures"][0]
    # A linear layer on the class token that transformers adds, and that few weights have.
    pooler = "pooler.dense.weight" in load_file(pathlib.Path(folder) / "model.safetensors")
    bare = {"add_pooling_layer": pooler} if name in ("ViTModel", "DeiTModel") else {}
    model, report = getattr(transformers, name).from_pretrained(
        folder, output_loading_info=True, **bare)
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        if report.get(what):
            sys.exit(f"{folder}: {name}: {what}: {sorted(map(str, report[what]))}")
    transformers.AutoImageProcessor.from_pretrained(folder)
    auto = transformers.AutoModelForImageClassification
    if "ForImageClassification" in name and not name.endswith("WithTeacher"):
        auto.from_pretrained(folder)
    else:
        transformers.AutoModel.from_pretrained(folder)
    return model.eval(), name


def load_timm(folder, config):
    import timm

    model = timm.create_model(f"local-dir:{folder}", pretrained=True)
    stored = load_file(pathlib.Path(folder) / "model.safetensors")
    own = model.state_dict()
    if stored.keys() != own.keys():
        sys.exit(f"{folder}: timm: other names: {sorted(stored.keys() ^ own.keys())}")
    for key, tensor in stored.items():
        if not torch.equal(own[key], tensor):
            sys.exit(f"{folder}: timm: {key} has other values")
    return model.eval(), config["architecture"]


def outputs(model, pixels, hugging_face):
    """`logits` and `features` as far as the model has them."""
    if not hugging_face:
        return {"logits": model(pixels), "features": model.forward_features(pixels)}
    made = model(pixel_values=pixels)
    return {"logits": made.get("logits"), "features": made.get("last_hidden_state")}


def compare(made, wanted, tolerance, folder):
    worst = 0.0
    for name, want in wanted.items():
        got = made.get(name)
        if got is None or got.shape != want.shape:
            sys.exit(f"{folder}: {name}: {None if got is None else tuple(got.shape)} instead of "
                     f"{tuple(want.shape)}")
        differs = ((got - want).abs() / want.abs().clamp(min=1)).max().item()
        if not differs <= tolerance:
            sys.exit(f"{folder}: {name}: differs by {differs:.3g}, more than {tolerance:g}")
        worst = max(worst, differs)
    return worst


def check(folder, tolerance):
    checkpoint = pathlib.Path(folder) / "checkpoint.pth"
    if checkpoint.exists():
        name, make = official_files.load(checkpoint)
    else:
        config = json.loads((pathlib.Path(folder) / "config.json").read_text())
        hugging_face = "architectures" in config
        model, name = (load_transformers if hugging_face else load_timm)(folder, config)
        make = functools.partial(outputs, model, hugging_face=hugging_face)
    line = f"{folder}: {name}: loaded strictly"
    wanted_file = pathlib.Path(f"{folder}.check.safetensors")
    if wanted_file.exists() and make:
        wanted = load_file(wanted_file)
        with torch.no_grad():
            made = make(wanted.pop("pixels"))
        worst = compare(made, wanted, tolerance, folder)
        line += f", {', '.join(wanted)} differ by {worst:.3g}"
    print(line, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", metavar="FOLDER")
    parser.add_argument("--tolerance", type=float, default=1e-5)
    args = parser.parse_args()
    for folder in args.folders:
        check(folder.rstrip("/"), args.tolerance)


if __name__ == "__main__":
    main()
