#!/usr/bin/env python3
"""Loads a folder that `convert` wrote, in transformers, timm, its authors' code (official_files.py) or
ONNX Runtime, and compares outputs.

    check_export.py FOLDER... [--tolerance 1e-5]

Every tensor of a folder must be loaded, and every one of the model must come from it. A model.onnx
must pass ONNX's checker, and have all outputs that are compared and no others. Outputs are compared
where FOLDER.check.safetensors lies beside it, and FOLDER.check2.safetensors and so on: `pixels`
[B, C, H, W] as the model takes them, and what PreViT makes of them, `logits` [B, classes] or
`features` [B, tokens, width] after the last norm, or ONNX's outputs. The end status is 0, or 1 with
a line that says what differs. Each kind of folder needs only its own libraries; ONNX's are onnx,
onnxruntime, numpy and safetensors.
"""
import argparse
import glob
import json
import pathlib
import sys

import numpy as np
from safetensors.numpy import load_file


def load_torch(path):
    from safetensors.torch import load_file as load

    return load(path)


def load_transformers(folder, config):
    import transformers

    name = config["architectures"][0]
    # A linear layer on the class token that transformers adds, and that few weights have.
    pooler = "pooler.dense.weight" in load_torch(pathlib.Path(folder) / "model.safetensors")
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
    import torch

    model = timm.create_model(f"local-dir:{folder}", pretrained=True)
    stored = load_torch(pathlib.Path(folder) / "model.safetensors")
    own = model.state_dict()
    if stored.keys() != own.keys():
        sys.exit(f"{folder}: timm: other names: {sorted(stored.keys() ^ own.keys())}")
    for key, tensor in stored.items():
        if not torch.equal(own[key], tensor):
            sys.exit(f"{folder}: timm: {key} has other values")
    return model.eval(), config["architecture"]


def onnx_session(folder):
    import onnx
    import onnxruntime

    path = str(pathlib.Path(folder) / "model.onnx")
    onnx.checker.check_model(path, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    about = json.loads((pathlib.Path(folder) / "model.json").read_text())
    stored = session.get_modelmeta().custom_metadata_map
    for key, value in about.items():
        if (stored[key] if isinstance(value, str) else json.loads(stored[key])) != value:
            sys.exit(f"{folder}: {key}: {stored[key]} in model.onnx, {value} in model.json")
    return session


def onnx_outputs(session, pixels):
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"pixels": pixels})))


def with_torch(make, pixels):
    import torch

    with torch.no_grad():
        made = make(torch.from_numpy(pixels))
    return {name: value.numpy() for name, value in made.items() if value is not None}


def torch_outputs(model, pixels, hugging_face):
    """`logits` and `features` as far as the model has them."""
    def make(pixels):
        if hugging_face:
            made = model(pixel_values=pixels)
            return {"logits": made.get("logits"), "features": made.get("last_hidden_state")}
        return {"logits": model(pixels), "features": model.forward_features(pixels)}

    return with_torch(make, pixels)


def compare(made, wanted, tolerance, folder):
    worst = 0.0
    for name, want in wanted.items():
        got = made.get(name)
        if got is None or got.shape != want.shape:
            sys.exit(f"{folder}: {name}: {None if got is None else got.shape} instead of "
                     f"{want.shape}")
        differs = float((np.abs(got - want) / np.maximum(np.abs(want), 1)).max())
        if not differs <= tolerance:
            sys.exit(f"{folder}: {name}: differs by {differs:.3g}, more than {tolerance:g}")
        worst = max(worst, differs)
    return worst


def load(folder):
    """What the folder is, and a function from pixels to named outputs, or None."""
    if (pathlib.Path(folder) / "model.onnx").exists():
        session = onnx_session(folder)
        return "ONNX, checked", lambda pixels: onnx_outputs(session, pixels)
    checkpoint = pathlib.Path(folder) / "checkpoint.pth"
    if checkpoint.exists():
        import official_files

        name, make = official_files.load(checkpoint)
        return f"{name}: loaded strictly", make and (lambda pixels: with_torch(make, pixels))
    config = json.loads((pathlib.Path(folder) / "config.json").read_text())
    hugging_face = "architectures" in config
    model, name = (load_transformers if hugging_face else load_timm)(folder, config)
    return f"{name}: loaded strictly", lambda pixels: torch_outputs(model, pixels, hugging_face)


def check(folder, tolerance):
    line, run = load(folder)
    onnx = (pathlib.Path(folder) / "model.onnx").exists()
    for file in sorted(glob.glob(glob.escape(folder) + ".check*.safetensors")) if run else []:
        wanted = load_file(file)
        pixels = wanted.pop("pixels")
        worst = 0.0
        for count in {len(pixels), 1}:
            made = run(pixels[:count])
            if onnx and made.keys() != wanted.keys():
                sys.exit(f"{folder}: gives {sorted(made)} instead of {sorted(wanted)}")
            first = {name: want[:count] for name, want in wanted.items()}
            worst = max(worst, compare(made, first, tolerance, folder))
        line += f"; {', '.join(wanted)} of {pixels.shape} differ by {worst:.3g}"
    print(f"{folder}: {line}", flush=True)


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
