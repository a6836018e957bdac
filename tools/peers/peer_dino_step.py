#!/usr/bin/env python3
"""Times one DINO training step (teacher and student forward, backward, clipping, AdamW, teacher's average, center) of
the official code, a checkout of facebookresearch/dino at $DINO_DIR; prototypes are trained, as after the first epoch.

usage: peer_dino_step.py MODEL BATCH DTYPE [--locals N] [--out-dim N] [--compile] [--steps N] [--device DEVICE]

MODEL: ti, s or b, with patches of 16. DTYPE: bf16 (autocast) or fp32.
"""
import os
import sys

import peer_step
import torch

ARCHS = {"ti": "vit_tiny", "s": "vit_small", "b": "vit_base"}
MOMENTUM = 0.996


def build(args):
    """Student, teacher and loss; the loss's schedule, which counts epochs, is one temperature."""
    sys.path.insert(0, os.environ["DINO_DIR"])
    torch.hub.list = lambda *_, **__: []  # main_dino asks the net for names as it is imported
    import main_dino
    import utils
    import vision_transformer

    make = getattr(vision_transformer, ARCHS[args.model])
    networks = []
    for drop_path in (0.1, 0.0):
        vit = make(patch_size=16, drop_path_rate=drop_path)
        networks.append(utils.MultiCropWrapper(vit, vision_transformer.DINOHead(vit.embed_dim, args.out_dim)))
    student, teacher = networks
    teacher.load_state_dict(student.state_dict())
    teacher.requires_grad_(False)
    loss = main_dino.DINOLoss(args.out_dim, args.locals + 2, 0.04, 0.04, 0, 1)
    return student.to(args.device), teacher.to(args.device), loss.to(args.device), utils


def main():
    args = peer_step.arguments(__doc__, ARCHS, locals=8, out_dim=65536)
    kind = args.device.split(":")[0]
    torch.distributed.init_process_group("nccl" if kind == "cuda" else "gloo", rank=0, world_size=1,
                                         store=torch.distributed.HashStore())  # its center is a mean over processes
    torch.manual_seed(0)
    student, teacher, dino_loss, utils = build(args)
    optimizer = torch.optim.AdamW(utils.get_params_groups(student), lr=1e-4, fused=True)
    run_student, run_teacher = (torch.compile(n) if args.compile else n for n in (student, teacher))
    crops = [torch.randn(args.batch, 3, side, side, device=args.device) for side in [224] * 2 + [96] * args.locals]

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(kind, torch.bfloat16, enabled=args.dtype == "bf16"):
            loss = dino_loss(run_student(crops), run_teacher(crops[:2]), 0)
        loss.backward()
        utils.clip_gradients(student, 3.0)
        optimizer.step()
        with torch.no_grad():
            for q, k in zip(student.parameters(), teacher.parameters(), strict=True):
                k.data.mul_(MOMENTUM).add_((1 - MOMENTUM) * q.detach().data)
        return float(loss.detach())

    peer_step.report(args, "official", f"dino vit-{args.model}/16 2+{args.locals}", step)


if __name__ == "__main__":
    main()
