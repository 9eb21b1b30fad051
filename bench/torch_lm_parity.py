#!/usr/bin/env python3
"""Does a language model train here as it does in PyTorch? The same initial weights and sequences in both, fp32.

    apt-get install python3-torch libopenblas0-openmp
    bench/torch_lm_parity.py prepare DIR --text FILE      # DIR/init.safetensors, DIR/text.tokens, DIR/parity.toml
    anemone train --config DIR/parity.toml --init DIR/init.safetensors --out DIR/run
    bench/torch_lm_parity.py train DIR                    # PyTorch's losses: DIR/torch.txt
    bench/torch_lm_parity.py train DIR --double           # the same in fp64: DIR/torch64.txt
    bench/torch_lm_parity.py compare DIR                  # how far the losses of the updates differ

The model is `tiny`: dim 192, hidden 512, 4 layers, 6 heads, bytes, 256 positions; an update is the mean of 16
sequences, in the order that ours shuffles them. Rounding errors grow as training goes on: what fp32 makes of the exact
course, in either program, is what the fp64 run is for."""

import argparse
import array
import json
import math
import os
import struct
import sys
import time

BLAS = "/usr/lib/x86_64-linux-gnu/openblas-openmp/libblas.so.3"
if os.path.exists(BLAS) and "LD_PRELOAD" not in os.environ:
    os.environ["LD_PRELOAD"] = BLAS
    os.execv(sys.executable, [sys.executable] + sys.argv)

import torch
from torch.nn import functional

DIM, HIDDEN, LAYERS, HEADS, VOCAB, SEQ, SEQUENCES = 192, 512, 4, 6, 256, 256, 16
HEAD_DIM = DIM // HEADS
RATE, WARMUP, LEAST, BETAS, EPSILON, DECAY, CLIP = 3e-3, 50, 0.05, (0.9, 0.95), 1e-8, 0.1, 1.0
HELD_OUT = 0.1
SEED = 42  # of train.seed

CONFIG = """[model]
dim = {dim}
hidden = {hidden}
layers = {layers}
heads = {heads}
vocab = {vocab}
seq = {seq}
rope = "pairs"

[data]
source = "tokens"
path = "{tokens}"
validation_fraction = {held_out}

[train]
steps = {steps}
accumulate = {sequences}
learning_rate = {rate}
schedule = "cosine"
warmup = {warmup}
min_learning_rate_fraction = {least}
beta1 = {beta1}
beta2 = {beta2}
epsilon = {epsilon}
weight_decay = {decay}
grad_clip = {clip}
seed = {seed}
checkpoint_steps = 0
checkpoint_minutes = 0

[engine]
precision = "fp32"
"""


def parameter_shapes():
    shapes = {"embedding": (VOCAB, DIM)}
    for layer in range(LAYERS):
        for name, shape in (("wq", (DIM, DIM)), ("wk", (DIM, DIM)), ("wv", (DIM, DIM)), ("wo", (DIM, DIM)),
                            ("w1", (HIDDEN, DIM)), ("w2", (DIM, HIDDEN)), ("w3", (HIDDEN, DIM)),
                            ("norm1", (DIM,)), ("norm2", (DIM,))):
            shapes[f"l{layer}.{name}"] = shape
    shapes["final_norm"] = (DIM,)
    return shapes


def write_safetensors(path, tensors):
    header, offset = {}, 0
    for name, values in tensors.items():
        size = values.numel() * 4
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for values in tensors.values():
            file.write(array.array("f", values.flatten().tolist()).tobytes())


def read_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = bytearray(file.read())
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        values = torch.frombuffer(data, dtype=torch.float32, offset=begin, count=(end - begin) // 4)
        tensors[name] = values.reshape(entry["shape"]).clone()
    return tensors


def prepare(folder, text, updates):
    os.makedirs(folder, exist_ok=True)
    torch.manual_seed(1)
    tensors = {name: torch.ones(shape) if len(shape) == 1 else 0.02 * torch.randn(shape)
               for name, shape in parameter_shapes().items()}
    write_safetensors(os.path.join(folder, "init.safetensors"), tensors)
    tokens = os.path.abspath(os.path.join(folder, "text.tokens"))  # the config is used from any folder
    with open(text, "rb") as source, open(tokens, "wb") as file:  # bare uint16 ids, as llama2.c has them
        file.write(array.array("H", list(source.read())).tobytes())
    with open(os.path.join(folder, "parity.toml"), "w") as file:
        file.write(CONFIG.format(dim=DIM, hidden=HIDDEN, layers=LAYERS, heads=HEADS, vocab=VOCAB, seq=SEQ, tokens=tokens,
                                 held_out=HELD_OUT, steps=updates * SEQUENCES, sequences=SEQUENCES, rate=RATE, warmup=WARMUP,
                                 least=LEAST, beta1=BETAS[0], beta2=BETAS[1], epsilon=EPSILON, decay=DECAY, clip=CLIP, seed=SEED))


def norm(x, weight):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * weight


def turn(x, angles):  # [batch, heads, seq, head_dim], pairs of neighbouring channels
    turned = torch.view_as_complex(x.reshape(*x.shape[:-1], HEAD_DIM // 2, 2)) * angles
    return torch.view_as_real(turned).flatten(-2)


def logits_of(p, tokens, angles, later):
    x = p["embedding"][tokens]
    for layer in range(LAYERS):
        w = {name: p[f"l{layer}.{name}"] for name in ("wq", "wk", "wv", "wo", "w1", "w2", "w3", "norm1", "norm2")}
        normed = norm(x, w["norm1"])
        q, k, v = ((normed @ w[name].T).unflatten(-1, (HEADS, HEAD_DIM)).transpose(1, 2) for name in ("wq", "wk", "wv"))
        scores = turn(q, angles) @ turn(k, angles).transpose(-1, -2) / math.sqrt(HEAD_DIM)
        mixed = torch.softmax(scores.masked_fill(later, float("-inf")), -1) @ v
        x = x + mixed.transpose(1, 2).flatten(-2) @ w["wo"].T
        normed = norm(x, w["norm2"])
        x = x + (functional.silu(normed @ w["w1"].T) * (normed @ w["w3"].T)) @ w["w2"].T
    return norm(x, p["final_norm"]) @ p["embedding"].T


def shuffled(samples, seed):
    """An epoch of ours, the first: Fisher and Yates's shuffle by SplitMix64."""
    mask, state = (1 << 64) - 1, seed
    order = list(range(samples))
    for left in range(samples, 1, -1):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        other = (z ^ (z >> 31)) % left
        order[left - 1], order[other] = order[other], order[left - 1]
    return order


def rate_of(update, updates):
    if update < WARMUP:
        return RATE * (update + 1) / WARMUP
    progress = (update - WARMUP) / (updates - WARMUP)
    return RATE * (LEAST + (1 - LEAST) * (1 + math.cos(math.pi * progress)) / 2)


def train(folder, updates, threads, double):
    torch.set_num_threads(threads)
    real, turning = (torch.float64, torch.complex128) if double else (torch.float32, torch.complex64)
    p = {name: values.to(real).requires_grad_()
         for name, values in read_safetensors(os.path.join(folder, "init.safetensors")).items()}
    with open(os.path.join(folder, "text.tokens"), "rb") as file:
        tokens = torch.tensor(array.array("H", file.read()).tolist())
    tokens = tokens[:math.floor(len(tokens) * (1 - HELD_OUT))]
    order = shuffled((len(tokens) - 2) // SEQ + 1, SEED)
    positions = torch.arange(SEQ, dtype=torch.float64)[:, None]
    frequencies = 10000.0 ** (-torch.arange(0, HEAD_DIM, 2, dtype=torch.float64) / HEAD_DIM)
    angles = torch.polar(torch.ones(SEQ, HEAD_DIM // 2, dtype=torch.float64), positions * frequencies).to(turning)
    later = torch.triu(torch.ones(SEQ, SEQ, dtype=torch.bool), 1)
    decayed = [v for name, v in p.items() if v.dim() == 2 and name != "embedding"]
    others = [v for name, v in p.items() if v.dim() == 1 or name == "embedding"]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": DECAY}, {"params": others, "weight_decay": 0}],
                                  betas=BETAS, eps=EPSILON)
    start = time.time()
    with open(os.path.join(folder, "torch64.txt" if double else "torch.txt"), "w") as losses:
        for update in range(updates):
            windows = order[update * SEQUENCES:(update + 1) * SEQUENCES]
            first = [min(SEQ * window, len(tokens) - SEQ - 1) for window in windows]
            batch = torch.stack([tokens[begin:begin + SEQ + 1] for begin in first])
            optimizer.zero_grad()
            logits = logits_of(p, batch[:, :-1], angles, later)
            loss = functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(p.values(), CLIP)
            for group in optimizer.param_groups:
                group["lr"] = rate_of(update, updates)
            optimizer.step()
            print(f"{loss.item():.9f}", file=losses, flush=True)
    print(f"{updates} updates in {time.time() - start:.0f} s")


def compare(folder):
    def losses(name):
        path = os.path.join(folder, name)
        if not os.path.exists(path):
            return None
        with open(path) as file:
            return [float(line) for line in file]

    with open(os.path.join(folder, "run", "metrics.jsonl")) as file:
        lines = [json.loads(line) for line in file]
    runs = {"ours": [line["loss"] for line in lines if line["type"] == "update"],
            "PyTorch": losses("torch.txt"), "PyTorch in fp64": losses("torch64.txt")}
    for one, other in (("ours", "PyTorch"), ("ours", "PyTorch in fp64"), ("PyTorch", "PyTorch in fp64")):
        if not runs[one] or not runs[other]:
            continue
        both = list(zip(runs[one], runs[other]))
        differences = [abs(a - b) / b for a, b in both]
        parts = ", ".join(f"{max(differences[begin:begin + 50]):.1e}" for begin in range(0, len(both), 50))
        mean = abs(sum(a - b for a, b in both)) / sum(b for _, b in both)
        print(f"{one} and {other}: {len(both)} updates, losses {both[0][1]:.4f} -> {both[-1][1]:.4f}; largest relative "
              f"difference {max(differences):.1e} (by fifties: {parts}); of the mean {mean:.1e}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["prepare", "train", "compare"])
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument("--text")
    parser.add_argument("--updates", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--double", action="store_true")
    flags = parser.parse_args()
    if flags.what == "prepare":
        if not flags.text:
            parser.error("prepare needs --text FILE")
        prepare(flags.folder, flags.text, flags.updates)
    elif flags.what == "train":
        train(flags.folder, flags.updates, flags.threads, flags.double)
    else:
        compare(flags.folder)


main()
