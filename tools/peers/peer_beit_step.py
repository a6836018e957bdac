#!/usr/bin/env python3
"""Times one BEiT training step (forward, backward, clipping, AdamW) of transformers' BeitForMaskedImageModeling with
given tokens: shared relative positions, LayerScale 0.1, drop path 0.1, 8192 tokens, 75 masked patches of each image.

usage: peer_beit_step.py MODEL BATCH DTYPE [--img N] [--patch N] [--masked N] [--compile] [--steps N] [--device DEVICE]

MODEL: ti, s, b or l. DTYPE: bf16 (autocast) or fp32.
"""
import peer_step  # before what imports torchvision
import torch
from transformers import BeitConfig, BeitForMaskedImageModeling

ARCHS = {"ti": (192, 12, 3), "s": (384, 12, 6), "b": (768, 12, 12), "l": (1024, 24, 16)}
VOCAB_SIZE = 8192


def build(args):
    width, depth, heads = ARCHS[args.model]
    config = BeitConfig(vocab_size=VOCAB_SIZE, hidden_size=width, num_hidden_layers=depth, num_attention_heads=heads,
                        intermediate_size=4 * width, image_size=args.img, patch_size=args.patch, use_mask_token=True,
                        use_absolute_position_embeddings=False, use_relative_position_bias=False,
                        use_shared_relative_position_bias=True, layer_scale_init_value=0.1, drop_path_rate=0.1)
    return BeitForMaskedImageModeling(config).train().to(args.device)


def main():
    args = peer_step.arguments(__doc__, ARCHS, img=224, patch=16, masked=75)
    torch.manual_seed(0)
    model = build(args)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05, fused=True)
    forward = torch.compile(model) if args.compile else model
    patches = (args.img // args.patch) ** 2
    pixels = torch.randn(args.batch, 3, args.img, args.img, device=args.device)
    masked = torch.rand(args.batch, patches, device=args.device).argsort(1) < args.masked
    labels = torch.randint(VOCAB_SIZE, (args.batch * args.masked,), device=args.device)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(args.device.split(":")[0], torch.bfloat16, enabled=args.dtype == "bf16"):
            loss = forward(pixels, bool_masked_pos=masked, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 3.0)
        optimizer.step()
        return float(loss)

    peer_step.report(args, "hf", f"beit vit-{args.model}/{args.patch}@{args.img}", step)


if __name__ == "__main__":
    main()
