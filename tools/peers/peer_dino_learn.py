#!/usr/bin/env python3
"""Pretrains the official DINO code (a checkout of facebookresearch/dino at $DINO_DIR): its crops,
network, head, loss, schedules and epoch, with plain centering.
"""
import types

import peer_learning as peer

peer.add_checkout("DINO_DIR")

from functools import partial  # noqa: E402

import torch  # noqa: E402

import main_dino  # noqa: E402
import utils  # noqa: E402
import vision_transformer  # noqa: E402


def crops(recipe):
    """The official crops, in the recipe's sizes."""
    views, dino = recipe["augment"], recipe["dino"]
    augment = main_dino.DataAugmentationDINO(tuple(views["global_1"]["scale"]),
                                             tuple(views["local"]["scale"]), dino["local_crops"])
    for transform, view in [(augment.global_transfo1, views["global_1"]),
                            (augment.global_transfo2, views["global_2"]),
                            (augment.local_transfo, views["local"])]:
        transform.transforms[0].size = (view["height"], view["width"])
    return augment


def network(recipe):
    model, head = recipe["model"], recipe["dino"]["head"]
    backbone = vision_transformer.VisionTransformer(
        img_size=model["image_size"], patch_size=model["patch_size"],
        embed_dim=model["embed_dim"], depth=model["depth"], num_heads=model["num_heads"],
        mlp_ratio=model["mlp_ratio"], qkv_bias=True, drop_path_rate=model["drop_path"],
        norm_layer=partial(torch.nn.LayerNorm, eps=model["norm_eps"]))
    return utils.MultiCropWrapper(backbone, vision_transformer.DINOHead(
        model["embed_dim"], head["out_dim"], use_bn=head["use_bn"],
        norm_last_layer=head["norm_last_layer"], nlayers=head["layers"],
        hidden_dim=head["hidden_dim"], bottleneck_dim=head["bottleneck_dim"]))


def pair(args, recipe):
    student, teacher = network(recipe), network(recipe)
    teacher.load_state_dict(student.state_dict())
    if args.start:
        start = torch.load(args.start, map_location="cpu")
        student.load_state_dict(start["student"])
        teacher.load_state_dict(start["teacher"])
    teacher.requires_grad_(False)
    return peer.Autocast(student, args.precision), peer.Autocast(teacher, args.precision)


def loss_of(recipe):
    dino = recipe["dino"]
    return main_dino.DINOLoss(
        dino["head"]["out_dim"], dino["global_crops"] + dino["local_crops"],
        dino["warmup_teacher_temp"], dino["teacher_temp"], dino["warmup_teacher_temp_epochs"],
        recipe["train"]["epochs"], dino["student_temp"], dino["center_momentum"])


def schedules(recipe, steps):
    """Of the rate, of weight decay, of the teacher's momentum."""
    optimizer, schedule, dino = recipe["optimizer"], recipe["schedule"], recipe["dino"]
    epochs = recipe["train"]["epochs"]
    return [utils.cosine_scheduler(peer.peak_lr(recipe), schedule["min_lr"], epochs, steps,
                                   warmup_epochs=schedule["warmup_epochs"]),
            utils.cosine_scheduler(optimizer["weight_decay"], optimizer["weight_decay_end"],
                                   epochs, steps),
            utils.cosine_scheduler(dino["teacher_momentum"], dino["teacher_momentum_end"],
                                   epochs, steps)]


def state(student, teacher, loss):
    return {"student": student.module.state_dict(), "teacher": teacher.module.state_dict(),
            "dino_loss": loss.state_dict()}


def main():
    args, recipe = peer.arguments(__doc__)
    peer.without_gpu()
    # One process is all there is: the center needs no sum over others.
    main_dino.dist = types.SimpleNamespace(all_reduce=lambda _: None, get_world_size=lambda: 1)
    student, teacher = pair(args, recipe)
    loss = loss_of(recipe)
    torch.save(state(student, teacher, loss), args.out / "start.pth")
    loader = peer.batches(args, recipe, crops(recipe))
    optimizer = torch.optim.AdamW(utils.get_params_groups(student),
                                  betas=tuple(recipe["optimizer"]["betas"]))
    settings = types.SimpleNamespace(epochs=recipe["train"]["epochs"],
                                     clip_grad=recipe["optimizer"]["clip_grad"],
                                     freeze_last_layer=recipe["dino"]["freeze_last_layer"])
    losses = peer.Losses(loss)
    for epoch in range(settings.epochs):
        main_dino.train_one_epoch(student, teacher, teacher.module, loss, loader, optimizer,
                                  *schedules(recipe, len(loader)), epoch, None, settings)
    torch.save(state(student, teacher, loss), args.out / "weights.pth")
    losses.write(args)


if __name__ == "__main__":
    main()
