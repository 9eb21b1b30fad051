"""Ten Adam updates of a small transformer layer in PyTorch (float64): what ours must reproduce.

    make_layer_golden.py > layer.json      writes the stored run
    make_layer_golden.py --full            prints the losses of the default job's first four updates instead
    make_layer_golden.py --float32         how far PyTorch's own float32 run is from the stored one

layer.json holds no weights, only the recipe (POSIX drand48 seeded 42, u = 2*drand48 - 1), which is that of the data source
`original` with other norms:
    wq and wk interleaved element by element, then wv and wo interleaved, each u/sqrt(dim); w1: u/sqrt(hidden);
    w2: u/sqrt(dim); w3: u/sqrt(hidden); all row-major [out, in] and rounded to float32;
    norm1[c] = 1 + 0.3*sin(0.7*c + 1), norm2[c] = 1 + 0.3*cos(0.5*c), rounded to float32;
    then drand48 seeded 42 again: x = 0.1*u in the order c*seq + t; target = 0.1*sin(0.03*(c*seq + t) + 1), both float32.
(With --full the norms are 1.) Loss: mean over dim*seq of (y - target)^2. Adam: beta 0.9/0.999, eps 1e-8, rate 1e-3, no decay.

Fields: `model` (keys of the run config), `losses` (before update 0, 1, ... 9, and after the last), `gradients` (of the
loss before update 0, unscaled, by parameter, row-major; `dx` is [dim, seq], channel-first).
"""
import json
import math
import sys

import torch

SMALL = {"dim": 24, "hidden": 40, "heads": 3, "seq": 19}
DEFAULT = {"dim": 768, "hidden": 2048, "heads": 12, "seq": 512}
NORM_EPS = 1e-5
NAMES = ["wq", "wk", "wv", "wo", "w1", "w2", "w3", "norm1", "norm2"]


class Drand48:
    def __init__(self, seed):
        self.state = (seed << 16) | 0x330E

    def u(self):
        self.state = (0x5DEECE66D * self.state + 0xB) & ((1 << 48) - 1)
        return 2 * (self.state / 2.0**48) - 1


def rounded(values, dtype):
    return torch.tensor(values, dtype=torch.float64).to(torch.float32).to(dtype)


def initial_parameters(model, dtype, unit_norms):
    dim, hidden = model["dim"], model["hidden"]
    by_dim, by_hidden = 1 / math.sqrt(dim), 1 / math.sqrt(hidden)
    random = Drand48(42)

    def draw(count, scale):
        return [scale * random.u() for _ in range(count)]

    def draw_pair():
        both = draw(2 * dim * dim, by_dim)
        return both[0::2], both[1::2]

    wq, wk = draw_pair()
    wv, wo = draw_pair()
    w1 = draw(hidden * dim, by_hidden)
    w2 = draw(dim * hidden, by_dim)
    w3 = draw(hidden * dim, by_hidden)
    if unit_norms:
        norm1, norm2 = [1.0] * dim, [1.0] * dim
    else:
        norm1 = [1 + 0.3 * math.sin(0.7 * c + 1) for c in range(dim)]
        norm2 = [1 + 0.3 * math.cos(0.5 * c) for c in range(dim)]
    shapes = [(dim, dim)] * 4 + [(hidden, dim), (dim, hidden), (hidden, dim), (dim,), (dim,)]
    values = [wq, wk, wv, wo, w1, w2, w3, norm1, norm2]
    return {name: rounded(value, dtype).reshape(shape).requires_grad_()
            for name, value, shape in zip(NAMES, values, shapes)}


def sample(model, dtype):
    dim, seq = model["dim"], model["seq"]
    random = Drand48(42)
    x = rounded([0.1 * random.u() for _ in range(dim * seq)], dtype).reshape(dim, seq)
    target = rounded([0.1 * math.sin(0.03 * i + 1) for i in range(dim * seq)], dtype).reshape(dim, seq)
    return x.requires_grad_(), target


def rms_norm(x, weight):  # channels first
    return x * torch.rsqrt((x * x).mean(0, keepdim=True) + NORM_EPS) * weight[:, None]


def layer(model, p, x):
    heads, seq = model["heads"], model["seq"]
    head_dim = model["dim"] // heads
    normed = rms_norm(x, p["norm1"])
    q, k, v = ((p[w] @ normed).reshape(heads, head_dim, seq) for w in ("wq", "wk", "wv"))
    scores = q.transpose(1, 2) @ k / math.sqrt(head_dim)
    hidden_keys = torch.triu(torch.ones(seq, seq, dtype=torch.bool), 1)
    probs = torch.softmax(scores.masked_fill(hidden_keys, float("-inf")), -1)
    mixed = (v @ probs.transpose(1, 2)).reshape(heads * head_dim, seq)
    x2 = x + p["wo"] @ mixed
    normed2 = rms_norm(x2, p["norm2"])
    gate = torch.nn.functional.silu(p["w1"] @ normed2) * (p["w3"] @ normed2)
    return x2 + p["w2"] @ gate


def train(model, updates, dtype, unit_norms):
    p = initial_parameters(model, dtype, unit_norms)
    x, target = sample(model, dtype)
    optimizer = torch.optim.Adam(p.values(), lr=1e-3, betas=(0.9, 0.999), eps=1e-8)
    losses, gradients = [], {}
    for update in range(updates + 1):
        optimizer.zero_grad()
        loss = ((layer(model, p, x) - target) ** 2).mean()
        losses.append(loss.item())
        if update == updates:
            break
        loss.backward()
        if update == 0:
            gradients = {name: p[name].grad.clone() for name in NAMES}
            gradients["dx"] = x.grad.clone()
        optimizer.step()
    return losses, gradients


def main():
    if "--full" in sys.argv:
        losses, _ = train(DEFAULT, 3, torch.float64, unit_norms=True)
        print(" ".join(f"{loss:.8f}" for loss in losses))
        return
    losses, gradients = train(SMALL, 10, torch.float64, unit_norms=False)
    if "--float32" in sys.argv:
        losses32, gradients32 = train(SMALL, 10, torch.float32, unit_norms=False)
        print("largest relative difference of a loss:",
              max(abs(a - b) / a for a, b in zip(losses, losses32)))
        for name, value in gradients.items():
            error = (value - gradients32[name].double()).abs().max() / value.abs().max()
            print(f"{name}: {error.item():.2e} of the largest element")
        return
    print('{\n"made_by": "tests/train/golden/make_layer_golden.py (which says what the fields are)",')
    print(f'"torch": {json.dumps(torch.__version__)},')
    print(f'"model": {json.dumps(dict(SMALL, norm_eps=NORM_EPS))},')
    print(f'"losses": [{", ".join(f"{loss:.12g}" for loss in losses)}],')
    print('"gradients": {')
    for i, (name, value) in enumerate(gradients.items()):
        numbers = ",".join(f"{number:.9g}" for number in value.flatten().tolist())
        print(f'"{name}": [{numbers}]{"," if i + 1 < len(gradients) else ""}')
    print("}}")


main()
