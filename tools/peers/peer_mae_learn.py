#!/usr/bin/env python3
"""Pretrains the official MAE code (a checkout of facebookresearch/mae at $MAE_DIR): its network,
loss, schedule and epoch. Which parameters are decayed is said here, as by the function of old timm
that the official code calls: biases and vectors are not.
"""
import types

import peer_learning as peer

peer.add_checkout("MAE_DIR")

from functools import partial  # noqa: E402

import torch  # noqa: E402
from torchvision import transforms  # noqa: E402

peer.old_names()
import engine_pretrain  # noqa: E402
import models_mae  # noqa: E402
import util.misc  # noqa: E402


def view(recipe):
    augment, normalize = recipe["augment"], recipe["normalize"]
    return transforms.Compose([
        transforms.RandomResizedCrop(recipe["model"]["image_size"][0],
                                     scale=tuple(augment["scale"]), interpolation=3),
        transforms.RandomHorizontalFlip(augment["flip"]),
        transforms.ToTensor(),
        transforms.Normalize(normalize["mean"], normalize["std"])])


def network(recipe):
    model, mae = recipe["model"], recipe["mae"]
    decoder = mae["decoder"]
    return models_mae.MaskedAutoencoderViT(
        img_size=model["image_size"][0], patch_size=model["patch_size"],
        embed_dim=model["embed_dim"], depth=model["depth"], num_heads=model["num_heads"],
        decoder_embed_dim=decoder["embed_dim"], decoder_depth=decoder["depth"],
        decoder_num_heads=decoder["num_heads"], mlp_ratio=model["mlp_ratio"],
        norm_layer=partial(torch.nn.LayerNorm, eps=model["norm_eps"]),
        norm_pix_loss=mae["norm_pix_loss"])


def groups(model, weight_decay):
    """Biases and vectors are not decayed."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [{"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0}]


def main():
    args, recipe = peer.arguments(__doc__)
    peer.without_gpu()
    model = network(recipe)
    if args.start:
        model.load_state_dict(torch.load(args.start, map_location="cpu")["model"])
    torch.save({"model": model.state_dict()}, args.out / "start.pth")
    loader = peer.batches(args, recipe, view(recipe))
    optimizer, schedule = recipe["optimizer"], recipe["schedule"]
    adamw = torch.optim.AdamW(groups(model, optimizer["weight_decay"]), lr=peer.peak_lr(recipe),
                              betas=tuple(optimizer["betas"]))
    settings = types.SimpleNamespace(
        accum_iter=1, mask_ratio=recipe["mae"]["mask_ratio"], lr=peer.peak_lr(recipe),
        min_lr=schedule["min_lr"], warmup_epochs=schedule["warmup_epochs"],
        epochs=recipe["train"]["epochs"])
    scaler = util.misc.NativeScalerWithGradNormCount()
    network_in_bf16 = peer.Autocast(model, args.precision)
    losses = peer.Losses(network_in_bf16, lambda answer: answer[0])
    for epoch in range(settings.epochs):
        engine_pretrain.train_one_epoch(network_in_bf16, loader, adamw, torch.device("cpu"), epoch,
                                        scaler, args=settings)
    torch.save({"model": model.state_dict()}, args.out / "weights.pth")
    losses.write(args)


if __name__ == "__main__":
    main()
