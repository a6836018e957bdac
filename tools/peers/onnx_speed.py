#!/usr/bin/env python3
"""Times a model.onnx that `convert --format onnx` wrote in ONNX Runtime, beside PreViT's own `embed`
of the weights that it came from, on the same images with the same number of threads.

    onnx_speed.py --from CKPT --onnx FOLDER [--programs build/release] [--batch 8] [--threads 1]

The images are bitmaps of the size that views are cropped from, so that little but the network is
timed. ONNX Runtime gets finished pixels. `embed` runs twice, with --images and with three times as
many, and the difference counts: it has no start in it, but reading and cropping. Both run in turn,
--rounds times; medians are printed as one JSON line. Needs numpy and onnxruntime.
"""
import argparse
import json
import os
import pathlib
import statistics
import struct
import subprocess
import tempfile
import time

import numpy as np
import onnxruntime


def write_bitmap(path, pixels):
    height, width, _ = pixels.shape
    rows = np.zeros((height, (width * 3 + 3) // 4 * 4), np.uint8)
    rows[:, :width * 3] = pixels[::-1, :, ::-1].reshape(height, -1)  # from the bottom, blue first
    data = rows.tobytes()
    head = struct.pack("<2sIHHI", b"BM", 54 + len(data), 0, 0, 54)
    about = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(data), 0, 0, 0, 0)
    path.write_bytes(head + about + data)


def network_pixels(images, about):
    top = (images.shape[1] - about["height"]) // 2
    left = (images.shape[2] - about["width"]) // 2
    view = images[:, top:top + about["height"], left:left + about["width"]].astype(np.float32)
    if about["pixels"] == "normalized":
        view = (view / 255 - np.float32(about["mean"])) / np.float32(about["std"])
    return np.ascontiguousarray(view.transpose(0, 3, 1, 2), dtype=np.float32)


def onnx_seconds(session, pixels, batch):
    start = time.perf_counter()
    for first in range(0, len(pixels), batch):
        session.run(None, {"pixels": pixels[first:first + batch]})
    return time.perf_counter() - start


def embed_seconds(args, images, out):
    words = [f"{args.programs}/embed", "--from", args.source, "--images", images, "--out", out,
             "--batch", str(args.batch), "--workers", "1", "--device", "cpu"]
    for setting in args.set:
        words += ["--set", setting]
    start = time.perf_counter()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   env={**os.environ, "OMP_NUM_THREADS": str(args.threads)})
    return time.perf_counter() - start


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(": ", 1)[1]
    return ""


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="source", required=True, help="what convert was given")
    parser.add_argument("--onnx", required=True, help="what convert wrote")
    parser.add_argument("--programs", default="build/release", help="folder with embed")
    parser.add_argument("--set", action="append", default=[], help="for embed, as convert had it")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()

    about = json.loads(pathlib.Path(args.onnx, "model.json").read_text())
    if about["channels"] != "RGB":
        parser.error(f"{args.onnx}: only networks for colours")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(f"{args.onnx}/model.onnx", options,
                                           providers=["CPUExecutionProvider"])
    side = max(about["resize_shortest_side"], about["height"], about["width"])
    count = 3 * args.images
    images = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    pixels = network_pixels(images[:2 * args.images], about)
    onnx, own = [], []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name, number in (("few", args.images), ("many", count)):
            (folder / name).mkdir()
            for i in range(number):
                write_bitmap(folder / name / f"{i:04}.bmp", images[i])
        onnx_seconds(session, pixels[:args.batch], args.batch)  # its first run plans memory
        for _ in range(args.rounds):
            onnx.append(len(pixels) / onnx_seconds(session, pixels, args.batch))
            few, many = (embed_seconds(args, str(folder / name), str(folder / f"{name}.h5"))
                         for name in ("few", "many"))
            own.append((count - args.images) / (many - few))
    speeds = {"onnxruntime": statistics.median(onnx), "previt": statistics.median(own)}
    print(json.dumps({
        "images_per_second": {name: round(speed, 2) for name, speed in speeds.items()},
        "ratio": round(speeds["previt"] / speeds["onnxruntime"], 3),
        "spread": {"onnxruntime": [round(min(onnx), 2), round(max(onnx), 2)],
                   "previt": [round(min(own), 2), round(max(own), 2)]},
        "batch": args.batch, "threads": args.threads, "opset": about["opset"],
        "outputs": about["outputs"], "processor": processor(),
        "onnxruntime": onnxruntime.__version__}))


if __name__ == "__main__":
    main()
