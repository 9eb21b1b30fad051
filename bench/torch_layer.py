#!/usr/bin/env python3
"""The default training step of Anemone in PyTorch, for comparison: the layer of configs/layer.toml, its loss, and
all gradients; the optimizer is timed apart.

    apt-get install python3-torch libopenblas0-openmp
    bench/torch_layer.py fp32|bf16 [--threads N] [--steps N] [--json]

bf16 is autocast: products in bf16, the rest in fp32. PyTorch's time depends on its BLAS by a factor of two: where
OpenBLAS with OpenMP is installed, it is preloaded."""

import argparse
import contextlib
import json
import os
import statistics
import sys
import time

BLAS = "/usr/lib/x86_64-linux-gnu/openblas-openmp/libblas.so.3"
if os.path.exists(BLAS) and "LD_PRELOAD" not in os.environ:
    os.environ["LD_PRELOAD"] = BLAS
    os.execv(sys.executable, [sys.executable] + sys.argv)

import torch
from torch import nn
from torch.nn import functional

DIM, HIDDEN, HEADS, SEQ = 768, 2048, 12, 512
HEAD_DIM = DIM // HEADS


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(DIM))

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * self.weight


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        linear = lambda inputs, outputs: nn.Linear(inputs, outputs, bias=False)
        self.norm1, self.norm2 = Norm(), Norm()
        self.wq, self.wk, self.wv, self.wo = (linear(DIM, DIM) for _ in range(4))
        self.w1, self.w3, self.w2 = linear(DIM, HIDDEN), linear(DIM, HIDDEN), linear(HIDDEN, DIM)
        mask = torch.full((SEQ, SEQ), -65504.0).triu(1)
        self.register_buffer("mask", mask)

    def attention(self, x):
        heads = lambda y: y.view(SEQ, HEADS, HEAD_DIM).transpose(0, 1)
        q, k, v = heads(self.wq(x)), heads(self.wk(x)), heads(self.wv(x))
        scores = (q @ k.transpose(1, 2)).float() / HEAD_DIM**0.5 + self.mask
        probabilities = scores.softmax(-1).to(v.dtype)
        return self.wo((probabilities @ v).transpose(0, 1).reshape(SEQ, DIM))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        h = self.norm2(x)
        return x + self.w2(functional.silu(self.w1(h)) * self.w3(h))


def milliseconds(action):
    start = time.perf_counter()
    action()
    return 1e3 * (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("precision", choices=["fp32", "bf16"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.manual_seed(42)
    torch.set_num_threads(args.threads)

    layer = Layer()
    x = 0.1 * (2 * torch.rand(SEQ, DIM) - 1)
    target = 0.1 * torch.sin(0.03 * torch.arange(SEQ * DIM).view(DIM, SEQ).T + 1)
    optimizer = torch.optim.Adam(layer.parameters(), 1e-3)

    def step():
        bf16 = torch.autocast("cpu", torch.bfloat16)
        with bf16 if args.precision == "bf16" else contextlib.nullcontext():
            y = layer(x)
        functional.mse_loss(y.float(), target).backward()

    for _ in range(3):
        step()
    ms = statistics.median(milliseconds(step) for _ in range(args.steps))
    optimizer.step()
    adam = statistics.median(milliseconds(optimizer.step) for _ in range(5))
    result = {"precision": args.precision, "threads": args.threads, "ms_per_step": round(ms, 2),
              "adam_ms": round(adam, 2), "torch": torch.__version__}
    print(json.dumps(result) if args.json else
          f"PyTorch {torch.__version__} {args.precision}, {args.threads} threads: "
          f"{ms:.1f} ms a step, Adam {adam:.1f} ms")


if __name__ == "__main__":
    main()
