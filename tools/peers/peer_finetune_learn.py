#!/usr/bin/env python3
"""Fine-tunes by the official MAE code (a checkout of facebookresearch/mae at $MAE_DIR): its
network, views, layer decay, schedule, epoch and evaluation. --start is the checkpoint that is
fine-tuned; without it the network starts from random weights. Top-1 is that of DATA/val after the
last epoch.
"""
import types

import peer_learning as peer

peer.add_checkout("MAE_DIR")

from functools import partial  # noqa: E402

import torch  # noqa: E402
from timm.loss import LabelSmoothingCrossEntropy  # noqa: E402

peer.old_names()
import engine_finetune  # noqa: E402
import models_vit  # noqa: E402
import util.datasets  # noqa: E402
import util.lr_decay  # noqa: E402
import util.misc  # noqa: E402
from util.pos_embed import interpolate_pos_embed  # noqa: E402


class Classifier(models_vit.VisionTransformer):
    """The official network; what comes after its features has changed in timm since."""

    def forward(self, images):
        return self.head(self.forward_features(images))


def network(args, recipe, classes):
    model = recipe["model"]
    classifier = Classifier(
        global_pool=model["pool"] == "avg", num_classes=classes, img_size=model["image_size"][0],
        patch_size=model["patch_size"], embed_dim=model["embed_dim"], depth=model["depth"],
        num_heads=model["num_heads"], mlp_ratio=model["mlp_ratio"], qkv_bias=True,
        drop_path_rate=model["drop_path"],
        norm_layer=partial(torch.nn.LayerNorm, eps=model["norm_eps"]))
    if args.start:
        weights = torch.load(args.start, map_location="cpu")["model"]
        interpolate_pos_embed(classifier, weights)
        missing = classifier.load_state_dict(weights, strict=False).missing_keys
        new = {"head.weight", "head.bias", "fc_norm.weight", "fc_norm.bias"}
        if not set(missing) <= new:
            raise SystemExit(f"{args.start}: lacks {sorted(set(missing) - new)}")
        torch.nn.init.trunc_normal_(classifier.head.weight, std=recipe["finetune"]["head_std"])
    return classifier


def views(recipe):
    """The official views of training and of evaluation."""
    settings = types.SimpleNamespace(
        input_size=recipe["model"]["image_size"][0], color_jitter=None,
        aa=recipe["augment"]["rand_augment"] or None, reprob=recipe["finetune"]["erasing"],
        remode="pixel", recount=1)
    return [util.datasets.build_transform(training, settings) for training in [True, False]]


def main():
    args, recipe = peer.arguments(__doc__)
    peer.without_gpu()
    training, evaluation = views(recipe)
    loader = peer.batches(args, recipe, training)
    model = network(args, recipe, len(loader.dataset.classes))
    optimizer, schedule = recipe["optimizer"], recipe["schedule"]
    groups = util.lr_decay.param_groups_lrd(model, optimizer["weight_decay"],
                                            no_weight_decay_list=model.no_weight_decay(),
                                            layer_decay=optimizer["layer_decay"])
    adamw = torch.optim.AdamW(groups, lr=peer.peak_lr(recipe), betas=tuple(optimizer["betas"]))
    settings = types.SimpleNamespace(accum_iter=1, lr=peer.peak_lr(recipe),
                                     min_lr=schedule["min_lr"], epochs=recipe["train"]["epochs"],
                                     warmup_epochs=schedule["warmup_epochs"])
    criterion = LabelSmoothingCrossEntropy(smoothing=recipe["finetune"]["smoothing"])
    scaler = util.misc.NativeScalerWithGradNormCount()
    network_in_bf16 = peer.Autocast(model, args.precision)
    losses = peer.Losses(criterion)
    for epoch in range(settings.epochs):
        engine_finetune.train_one_epoch(network_in_bf16, criterion, loader, adamw,
                                        torch.device("cpu"), epoch, scaler,
                                        max_norm=optimizer["clip_grad"] or None, args=settings)
    scores = engine_finetune.evaluate(peer.batches(args, recipe, evaluation, "val"),
                                      network_in_bf16, torch.device("cpu"))
    torch.save({"model": model.state_dict()}, args.out / "weights.pth")
    losses.write(args, top1=scores["acc1"])


if __name__ == "__main__":
    main()
