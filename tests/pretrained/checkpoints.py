"""Small checkpoints with the names and shapes of fairseq."""

import argparse

import torch
from torch import nn


def network(encoder, aggregator, skip=False, gru=None, bias=True, affine=True, n_steps=3, vq=None):
    """Modules nested as in fairseq, so that torch gives their weights the same names."""
    root, dim = nn.Module(), 1
    blocks = nn.ModuleList()
    for width, kernel, stride in encoder:
        conv = nn.Conv1d(dim, width, kernel, stride, bias=False)
        blocks.append(nn.Sequential(conv, nn.Dropout(), nn.GroupNorm(1, width, affine=affine)))
        dim = width
    root.feature_extractor = nn.ModuleDict({"conv_layers": blocks})
    n_targets = dim
    if vq:
        root.vector_quantizer = quantizer(dim, **vq)
    root.feature_aggregator = nn.Module()
    if gru:
        root.feature_aggregator = nn.Sequential(nn.Identity(), nn.GRU(dim, gru))
        dim = gru
    else:
        blocks, projections = nn.ModuleList(), nn.ModuleList()
        for width, kernel, _ in aggregator:
            conv, norm = nn.Conv1d(dim, width, kernel, bias=bias), nn.GroupNorm(1, width)
            norm = norm if affine else nn.GroupNorm(1, width, affine=False)
            blocks.append(nn.Sequential(nn.Identity(), conv, nn.Dropout(), norm))
            wanted = skip and width != dim
            projections.append(nn.Conv1d(dim, width, 1, bias=False) if wanted else None)
            dim = width
        root.feature_aggregator.conv_layers = blocks
        root.feature_aggregator.residual_proj = projections
    steps = nn.ConvTranspose2d(dim, n_targets, (1, n_steps))
    root.wav2vec_predictions = nn.ModuleDict({"project_to_steps": steps})
    return root


def quantizer(dim, kind, n_codes, n_groups=2, shared=False, depth=1):
    root, n_tables, width = nn.Module(), 1 if shared else n_groups, dim // n_groups
    if kind == "kmeans":
        conv = nn.Conv1d(dim, dim, 1, groups=n_groups, bias=False)
        root.projection = nn.Sequential(conv, nn.GroupNorm(n_groups, dim))
        root.embedding = nn.Parameter(torch.rand(n_codes, n_tables, width))
        return root
    root.vars = nn.Parameter(torch.rand(1, n_tables * n_codes, width))
    if depth == 1:
        root.weight_proj = nn.Linear(dim, n_groups * n_codes)
    else:
        widths = [dim] + [2 * dim] * (depth - 1)
        inner = [nn.Sequential(nn.Linear(n, 2 * dim), nn.ReLU()) for n in widths[:-1]]
        root.weight_proj = nn.Sequential(*inner, nn.Linear(2 * dim, n_groups * n_codes))
    return root


def old(arguments, tensors):
    """A file of 2019."""
    return {"args": argparse.Namespace(**arguments), "model": tensors, "extra_state": {"epoch": 3}}
