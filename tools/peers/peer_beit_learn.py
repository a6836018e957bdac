#!/usr/bin/env python3
"""Pretrains transformers' BeitForMaskedImageModeling with given tokens: a patch's mean colour, as
PreViT's tokenizer `colors:N` has it. The masks are blocks, as BEiT's paper (Bao et al. 2022)
describes them in its algorithm 1. Views, optimizer and schedules are written here by the recipe,
which has neither jitter nor BEiT v2's extra blocks. start.pth and weights.pth are folders that
transformers and PreViT load.
"""
import contextlib
import io
import math
import random

import peer_learning as peer

import torch
from torchvision import transforms
from transformers import BeitConfig, BeitForMaskedImageModeling


def network(args, recipe):
    model = recipe["model"]
    config = BeitConfig(
        vocab_size=vocabulary(recipe), hidden_size=model["embed_dim"],
        num_hidden_layers=model["depth"], num_attention_heads=model["num_heads"],
        intermediate_size=int(model["embed_dim"] * model["mlp_ratio"]),
        image_size=model["image_size"][0], patch_size=model["patch_size"],
        layer_norm_eps=model["norm_eps"], use_mask_token=True,
        use_absolute_position_embeddings=model["pos_embed"] == "learned",
        use_relative_position_bias=model["rel_pos_bias"] == "per_block",
        use_shared_relative_position_bias=model["rel_pos_bias"] == "shared",
        layer_scale_init_value=model["layer_scale"], drop_path_rate=model["drop_path"])
    if args.start:
        return BeitForMaskedImageModeling.from_pretrained(args.start, config=config)
    return BeitForMaskedImageModeling(config)


def vocabulary(recipe):
    return int(recipe["beit"]["tokenizer"].removeprefix("colors:"))


def tokens_of(pixels, patch, count):
    """Mean colours [B, 3, H, W] in [0, 1] as tokens [B, L], each channel on as many even levels as
    `count` tokens have room for."""
    levels = max(n for n in range(2, 256) if n ** 3 <= count)
    means = torch.nn.functional.avg_pool2d(pixels, patch).flatten(2)
    red, green, blue = (means * levels).floor().clamp(0, levels - 1).long().unbind(1)
    return (red * levels + green) * levels + blue


def block_mask(side, beit):
    """Masked patches bool [side * side]: blocks until `masked_patches` are masked, or none fits."""
    mask, target = torch.zeros(side, side, dtype=torch.bool), beit["masked_patches"]
    block = beit["block"]
    failed = 0
    while mask.sum() < target and failed < 10:
        left = target - int(mask.sum())
        area = random.uniform(block["min_patches"], min(left, block["max_patches"] or left))
        aspect = math.exp(random.uniform(-1, 1) * math.log(block["min_aspect"]))
        rows, columns = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        failed += 1
        if rows >= side or columns >= side:
            continue
        top, start = random.randint(0, side - rows), random.randint(0, side - columns)
        part = mask[top:top + rows, start:start + columns]
        if 0 < part.numel() - int(part.sum()) <= left:
            part[:] = True
            failed = 0
    return mask.flatten()


def groups(model, weight_decay):
    """Biases, vectors, the class token and positions are not decayed."""
    def kept(name, parameter):
        return parameter.ndim == 1 or name.endswith(("cls_token", "position_embeddings"))
    named = list(model.named_parameters())
    return [{"params": [p for n, p in named if not kept(n, p)], "weight_decay": weight_decay},
            {"params": [p for n, p in named if kept(n, p)], "weight_decay": 0.0}]


def rate(recipe, step, steps):
    """Of step `step`, with `steps` in an epoch: linear from 0, then half a cosine."""
    schedule, peak = recipe["schedule"], peer.peak_lr(recipe)
    warmup, total = schedule["warmup_epochs"] * steps, recipe["train"]["epochs"] * steps
    if step < warmup:
        return peak * step / max(warmup - 1, 1)
    progress = (step - warmup) / (total - warmup)
    return schedule["min_lr"] + (peak - schedule["min_lr"]) * (1 + math.cos(math.pi * progress)) / 2


def main():
    args, recipe = peer.arguments(__doc__)
    with contextlib.redirect_stdout(io.StringIO()):
        model = network(args, recipe).train()
    model.save_pretrained(args.out / "start.pth")
    size, patch = recipe["model"]["image_size"][0], recipe["model"]["patch_size"]
    loader = peer.batches(args, recipe, transforms.Compose([
        transforms.RandomResizedCrop(size, scale=tuple(recipe["augment"]["scale"]),
                                     interpolation=transforms.InterpolationMode.BICUBIC),
        transforms.RandomHorizontalFlip(recipe["augment"]["flip"]), transforms.ToTensor()]))
    normalize = transforms.Normalize(recipe["normalize"]["mean"], recipe["normalize"]["std"])
    optimizer = recipe["optimizer"]
    adamw = torch.optim.AdamW(groups(model, optimizer["weight_decay"]),
                              betas=tuple(optimizer["betas"]))
    losses = peer.Losses(model, lambda answer: answer.loss)
    for epoch in range(recipe["train"]["epochs"]):
        for i, (pixels, _) in enumerate(loader):
            for group in adamw.param_groups:
                group["lr"] = rate(recipe, epoch * len(loader) + i, len(loader))
            masked = torch.stack([block_mask(size // patch, recipe["beit"]) for _ in pixels])
            labels = tokens_of(pixels, patch, vocabulary(recipe))[masked]
            with torch.autocast("cpu", torch.bfloat16, enabled=args.precision == "bf16"):
                loss = model(normalize(pixels), bool_masked_pos=masked, labels=labels).loss
            adamw.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), optimizer["clip_grad"])
            adamw.step()
    model.save_pretrained(args.out / "weights.pth")
    losses.write(args)


if __name__ == "__main__":
    main()
