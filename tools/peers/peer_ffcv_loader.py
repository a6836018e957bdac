#!/usr/bin/env python3
"""FFCV's side of compare_loader.py: writes its packed file, and times views made from it.

Needs FFCV-SSL (facebookresearch/FFCV-SSL), the fork of FFCV that has several views of an image,
colour jitter, grey, blur and solarisation; for the case `mae` FFCV itself is enough, whose decoder,
crop and flip are the same code. On Debian: libturbojpeg0-dev, libopencv-dev and pkg-config, a
Python with numba, opencv-python-headless, scipy, torch, pillow, tqdm, psutil, pytorch_pfn_extras,
and `python setup.py build_ext --inplace` in the checkout, which is then named by PYTHONPATH.

What FFCV does otherwise than the authors' pipelines: it resizes by areas (OpenCV's INTER_AREA)
instead of bicubic, decodes JPEG with the fast DCT, and decodes a photograph anew for each of its
views. Its jitter has one order and turns hues by a matrix. Its blur is a kernel of 5x5 pixels (at
its default), by SciPy, and here comes after solarisation.
"""
import argparse
import functools
import io
import os
import sys
import threading
import time

import numpy as np
import scipy.signal
from PIL import Image

# SciPy moved what FFCV-SSL asks for.
scipy.signal.gaussian = scipy.signal.windows.gaussian
from ffcv import transforms as T  # noqa: E402
from ffcv.fields import RGBImageField  # noqa: E402
from ffcv.fields.decoders import RandomResizedCropRGBImageDecoder  # noqa: E402
from ffcv.loader import Loader, OrderOption  # noqa: E402
from ffcv.pipeline.compiler import Compiler  # noqa: E402
from ffcv.reader import Reader  # noqa: E402
from ffcv.writer import DatasetWriter  # noqa: E402

# FFCV compiles each view's operations anew, which takes minutes for ten views. Those that share
# their objects are compiled once.
Compiler.compile = functools.cache(Compiler.compile)
WARMUP = 2  # batches before the clock, as in `bench loader`
MEAN, STD = np.array([0.485, 0.456, 0.406]) * 255, np.array([0.229, 0.224, 0.225]) * 255


class Files:
    """The bytes of files, as a dataset of one field."""

    def __init__(self, paths):
        self.paths = paths

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        with open(self.paths[index], "rb") as file:
            return (file.read(),)


def encode_as_it_is(destination, data, malloc):
    """Stores a JPEG file's own bytes. FFCV's field would decode it and compress it again."""
    destination["mode"] = 0
    destination["width"], destination["height"] = Image.open(io.BytesIO(data)).size
    destination["data_ptr"], storage = malloc(len(data))
    storage[:] = np.frombuffer(data, np.uint8)


def write(args):
    field = RGBImageField(write_mode="raw")
    encode = field.encode
    if args.store == "jpeg":
        field.encode = encode_as_it_is
    else:
        field.encode = lambda destination, data, malloc: encode(
            destination, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")), malloc)
    writer = DatasetWriter(args.file, {"image": field}, num_workers=1)
    writer.from_indexed_dataset(Files(args.files))


def colours(blur, solarize):
    """DINO's changes of colour. The blur, which FFCV doesn't compile, comes last: FFCV-SSL wants
    compiled and other operations to alternate alike in all views."""
    changes = [T.RandomColorJitter(0.8, 0.4, 0.4, 0.2, 0.1), T.RandomGrayscale(0.2)]
    if solarize:
        changes.append(T.RandomSolarization(solarize, 128))
    return [*changes, T.GaussianBlur(blur, sigma=(0.1, 2.0))]


def view(args, size, scale, changes=()):
    normalize = [T.NormalizeImage(MEAN, STD, np.float32)] if args.normalize else []
    operations = [RandomResizedCropRGBImageDecoder((size, size), scale=scale),
                  T.RandomHorizontalFlip(), *changes, *normalize, T.ToTensor(), T.ToTorchImage()]
    for operation in operations:
        operation.generate_code = functools.cache(operation.generate_code)
    return operations


def views(args):
    if args.views == "mae":
        return [view(args, 224, (0.2, 1))]
    changes = colours if args.views == "dino" else lambda *_: []
    return [view(args, 224, (0.4, 1), changes(1.0, 0)),
            view(args, 224, (0.4, 1), changes(0.1, 0.2)),
            *8 * [view(args, 96, (0.05, 0.4), changes(0.5, 0))]]


def make_loader(args):
    pipelines = views(args)
    names = ["image"] + [f"image{i}" for i in range(1, len(pipelines))]
    # With one view FFCV itself will do, which has no custom_field_mapper.
    more = {"custom_field_mapper": {name: "image" for name in names[1:]}} if names[1:] else {}
    images = (WARMUP + args.images // args.batch) * args.batch
    # Any number of images makes an epoch: FFCV takes fresh memory for each epoch's batches.
    indices = np.resize(np.arange(Reader(args.file).num_samples, dtype=np.uint64), images)
    return Loader(args.file, batch_size=args.batch, num_workers=1, order=OrderOption.RANDOM,
                  indices=indices, pipelines=dict(zip(names, pipelines)), **more)


def fail(error):
    """For an error in FFCV's thread, for whose batches the program would wait for ever."""
    sys.excepthook(*error[:3])
    os._exit(1)


def measure(loader):
    """Images a second of the process's processor time."""
    images = 0
    for i, batch in enumerate(loader):
        if i < WARMUP:
            start = time.process_time()
        else:
            images += len(batch[0])
    return images / (time.process_time() - start)


def serve(args):
    threading.excepthook = fail
    loader = make_loader(args)
    measure(loader)
    print("ready", flush=True)
    for _ in sys.stdin:
        print(measure(loader), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("write", help="writes FILE from JPEG files")
    command.add_argument("file")
    command.add_argument("store", choices=["jpeg", "raw"])
    command.add_argument("files", nargs="+")
    command.set_defaults(run=write)
    command = commands.add_parser("serve", help="compiles, prints `ready`, and then one figure for "
                                                "each line of its input")
    command.add_argument("file")
    command.add_argument("views", choices=["mae", "dino", "crops"],
                         help="crops: DINO's without changes of colour")
    command.add_argument("--images", type=int, default=1280)
    command.add_argument("--batch", type=int, default=64)
    command.add_argument("--normalize", action="store_true",
                         help="to normalised float32; without it uint8, as PreViT's loader gives")
    command.set_defaults(run=serve)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
