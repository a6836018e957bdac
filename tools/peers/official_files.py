"""Loads a file that `convert --format official` wrote, for check_export.py: by torch.load(weights_only=True), then into
the authors' classes where a checkout is named, MAE_DIR=facebookresearch/mae, DINO_DIR=facebookresearch/dino. Classifiers
go into timm's, which DeiT's and MAE's are.
"""
import functools
import os
import sys

import torch


def sizes(weights, args):
    """The arguments of an authors' Vision Transformer whose tensors these are."""
    width, channels, patch, _ = weights["patch_embed.proj.weight"].shape
    told = args["previt"]["model_args"]
    return dict(img_size=told["img_size"], patch_size=patch, in_chans=channels, embed_dim=width,
                depth=len({name.split(".")[1] for name in weights if name.startswith("blocks.")}),
                num_heads=told["num_heads"],
                mlp_ratio=weights["blocks.0.mlp.fc1.bias"].numel() / width,
                norm_layer=functools.partial(torch.nn.LayerNorm, eps=1e-6))


def authors_mae(weights, args, folder):
    import numpy
    import timm.models.vision_transformer as timm_vit

    class Block(timm_vit.Block):  # the authors' timm had one more argument
        def __init__(self, *positional, qk_scale=None, **named):
            super().__init__(*positional, **named)

    numpy.float = float  # gone from newer NumPy
    own, timm_vit.Block = timm_vit.Block, Block
    sys.path.insert(0, folder)
    import models_mae

    timm_vit.Block = own
    model = models_mae.MaskedAutoencoderViT(
        decoder_embed_dim=weights["decoder_embed.bias"].numel(),
        decoder_depth=len({n.split(".")[1] for n in weights if n.startswith("decoder_blocks.")}),
        decoder_num_heads=args.get("decoder_num_heads", 1), **sizes(weights, args))
    model.load_state_dict(weights)

    def features(pixels):
        latent, _, restore = model.eval().forward_encoder(pixels, 0)
        patches = latent[:, 1:].gather(1, restore[..., None].expand(-1, -1, latent.shape[2]))
        return torch.cat([latent[:, :1], patches], 1)

    return "facebookresearch/mae", lambda pixels: {"features": features(pixels)}


def authors_dino(file, folder):
    sys.path.insert(0, folder)
    import utils
    import vision_transformer

    for key, wrapper in (("student", "module."), ("teacher", "")):
        state = {name.removeprefix(wrapper): tensor for name, tensor in file[key].items()}
        start = "backbone."
        weights = {n.removeprefix(start): t for n, t in state.items() if n.startswith(start)}
        options = sizes(weights, file["args"])
        options["img_size"] = [options["img_size"]]
        vit = vision_transformer.VisionTransformer(qkv_bias=True, **options)
        linears = sorted(int(n.split(".")[2]) for n in state
                         if n.startswith("head.mlp.") and n.endswith(".weight"))
        prototypes, bottleneck = state["head.last_layer.weight_v"].shape
        head = vision_transformer.DINOHead(
            vit.embed_dim, prototypes, nlayers=len(linears),
            hidden_dim=state["head.mlp.0.bias"].numel(), bottleneck_dim=bottleneck)
        utils.MultiCropWrapper(vit, head).load_state_dict(state)
    if file["dino_loss"]["center"].shape != (1, prototypes):
        sys.exit(f"{folder}: dino_loss: center: {tuple(file['dino_loss']['center'].shape)}")
    vit.eval()
    return ("facebookresearch/dino",
            lambda pixels: {"features": vit.get_intermediate_layers(pixels, 1)[0]})


def authors_classifier(weights, args):
    import timm.models.vision_transformer as plain
    import timm.models.deit as deit

    distilled = "head_dist.weight" in weights
    build = deit.VisionTransformerDistilled if distilled else plain.VisionTransformer
    pool = {} if distilled else {"global_pool": "avg" if "fc_norm.weight" in weights else "token"}
    classes = weights["head.weight"].shape[0] if "head.weight" in weights else 0
    model = build(num_classes=classes, **pool, **sizes(weights, args)).eval()
    model.load_state_dict(weights)
    return "timm", lambda pixels: {"logits": model(pixels),
                                   "features": model.forward_features(pixels)}


def load(path):
    """The name of the code that loaded it, and what makes its outputs; None: nothing but torch.load did."""
    file = torch.load(path, map_location="cpu", weights_only=True)
    if all(map(torch.is_tensor, file.values())):
        return "torch.load", None
    for key, state in file.items():
        if key != "args" and not all(torch.is_tensor(value) for value in state.values()):
            sys.exit(f"{path}: {key}: holds something that is no tensor")
    mae, dino = os.environ.get("MAE_DIR"), os.environ.get("DINO_DIR")
    weights = file.get("model", {})
    if "decoder_pos_embed" in weights:
        return authors_mae(weights, file["args"], mae) if mae else ("torch.load", None)
    if "dino_loss" in file:
        return authors_dino(file, dino) if dino else ("torch.load", None)
    if weights and "blocks.0.attn.q_bias" not in weights:
        return authors_classifier(weights, file["args"])
    return "torch.load", None
