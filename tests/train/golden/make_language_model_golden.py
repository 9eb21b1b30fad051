"""Ten AdamW updates of a small language model in PyTorch (float64): what ours must reproduce.

    make_language_model_golden.py > language_model.json    writes the stored run
    make_language_model_golden.py --float32                how far PyTorch's own float32 run is from the stored one

Two layers, grouped-query attention, heads that are not dim / heads wide, rotary embedding of neighbouring pairs, and a
classifier that is the embedding. language_model.json holds no initial weights and tokens, only the recipe (POSIX drand48
seeded 42, u = 2*drand48 - 1), in this order, all row-major [out, in] and rounded to float32:
    embedding [vocab, dim]: u; then for each layer wq, wk, wv, wo, w1, w2, w3: u/sqrt(in);
    norms draw nothing: number n of 0.. (l0.norm1, l0.norm2, l1.norm1, l1.norm2, final_norm) is 1 + 0.3*sin(0.7*c + n);
    then for each update seq + 1 tokens: floor(vocab*drand48).
Loss: mean over positions of the cross entropy of the next token. AdamW: `adam` says beta1, beta2, eps, decay (of matrices, not of
norms and the embedding) and clip (of the gradient's global norm); `rates` has the learning rate of each update.

Fields: `model` (keys of the run config), `adam`, `rates`, `tokens` (of each update), `losses` and `gradient_norms` (before each
update), of update 0: `logits` ([vocab, seq], row-major) and `gradients` (unscaled, not clipped, by parameter, row-major);
`weights`: the parameters after the last update.
"""
import json
import math
import sys

import torch

MODEL = {"dim": 16, "hidden": 24, "layers": 2, "heads": 4, "kv_heads": 2, "head_dim": 6, "seq": 24, "vocab": 50, "tied": True,
         "rope": "pairs", "rope_theta": 10000.0, "norm_eps": 1e-5}
ADAM = {"beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "decay": 0.1, "clip": 1.0}
RATES = [0.002 * (update + 1) / 4 for update in range(4)] + [0.002, 0.0019, 0.0017, 0.0014, 0.001, 0.0006]


class Drand48:
    def __init__(self, seed):
        self.state = (seed << 16) | 0x330E

    def next(self):
        self.state = (0x5DEECE66D * self.state + 0xB) & ((1 << 48) - 1)
        return self.state / 2.0**48


def parameter_shapes():
    dim, hidden = MODEL["dim"], MODEL["hidden"]
    q_dim, kv_dim = MODEL["heads"] * MODEL["head_dim"], MODEL["kv_heads"] * MODEL["head_dim"]
    shapes = {"embedding": (MODEL["vocab"], dim)}
    for layer in range(MODEL["layers"]):
        shapes.update({f"l{layer}.wq": (q_dim, dim), f"l{layer}.wk": (kv_dim, dim), f"l{layer}.wv": (kv_dim, dim),
                       f"l{layer}.wo": (dim, q_dim), f"l{layer}.w1": (hidden, dim), f"l{layer}.w2": (dim, hidden),
                       f"l{layer}.w3": (hidden, dim), f"l{layer}.norm1": (dim,), f"l{layer}.norm2": (dim,)})
    shapes["final_norm"] = (dim,)
    return shapes


def initial_parameters(random, dtype):
    parameters, norms = {}, 0
    for name, shape in parameter_shapes().items():
        if len(shape) == 1:
            values = [1 + 0.3 * math.sin(0.7 * c + norms) for c in range(shape[0])]
            norms += 1
        else:
            scale = 1 if name == "embedding" else 1 / math.sqrt(shape[1])
            values = [scale * (2 * random.next() - 1) for _ in range(shape[0] * shape[1])]
        rounded = torch.tensor(values, dtype=torch.float64).to(torch.float32).to(dtype)
        parameters[name] = rounded.reshape(shape).requires_grad_()
    return parameters


def rms_norm(x, weight):  # [seq, dim]
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + MODEL["norm_eps"]) * weight


def turn(x):  # [seq, heads, head_dim]
    seq, heads, head_dim = x.shape
    frequencies = MODEL["rope_theta"] ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    angles = torch.arange(seq, dtype=torch.float64)[:, None] * frequencies
    turned = torch.view_as_complex(x.reshape(seq, heads, head_dim // 2, 2).contiguous())
    turned = turned * torch.polar(torch.ones_like(angles), angles)[:, None, :].to(turned.dtype)
    return torch.view_as_real(turned).reshape(seq, heads, head_dim)


def attention(p, prefix, normed):
    heads, kv_heads, head_dim = MODEL["heads"], MODEL["kv_heads"], MODEL["head_dim"]
    seq = normed.shape[0]
    q = turn((normed @ p[prefix + "wq"].T).reshape(seq, heads, head_dim))
    k = turn((normed @ p[prefix + "wk"].T).reshape(seq, kv_heads, head_dim))
    v = (normed @ p[prefix + "wv"].T).reshape(seq, kv_heads, head_dim)
    k, v = (t.repeat_interleave(heads // kv_heads, dim=1) for t in (k, v))
    scores = torch.einsum("ihc,jhc->hij", q, k) / math.sqrt(head_dim)
    later = torch.triu(torch.ones(seq, seq, dtype=torch.bool), 1)
    probs = torch.softmax(scores.masked_fill(later, float("-inf")), -1)
    return torch.einsum("hij,jhc->ihc", probs, v).reshape(seq, heads * head_dim) @ p[prefix + "wo"].T


def logits_of(p, tokens):
    x = p["embedding"][tokens]
    for layer in range(MODEL["layers"]):
        prefix = f"l{layer}."
        x = x + attention(p, prefix, rms_norm(x, p[prefix + "norm1"]))
        normed = rms_norm(x, p[prefix + "norm2"])
        gate = torch.nn.functional.silu(normed @ p[prefix + "w1"].T) * (normed @ p[prefix + "w3"].T)
        x = x + gate @ p[prefix + "w2"].T
    return rms_norm(x, p["final_norm"]) @ p["embedding"].T


def train(dtype):
    random = Drand48(42)
    p = initial_parameters(random, dtype)
    tokens = [[int(MODEL["vocab"] * random.next()) for _ in range(MODEL["seq"] + 1)] for _ in RATES]
    decayed = [value for name, value in p.items() if value.dim() == 2 and name != "embedding"]
    others = [value for name, value in p.items() if value.dim() == 1 or name == "embedding"]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": ADAM["decay"]}, {"params": others, "weight_decay": 0.0}],
        betas=(ADAM["beta1"], ADAM["beta2"]), eps=ADAM["eps"])
    run = {"tokens": tokens, "losses": [], "gradient_norms": []}
    for update, rate in enumerate(RATES):
        optimizer.zero_grad()
        sequence = torch.tensor(tokens[update])
        logits = logits_of(p, sequence[:-1])
        loss = torch.nn.functional.cross_entropy(logits, sequence[1:])
        loss.backward()
        if update == 0:
            run["logits"] = logits.detach().T.clone()
            run["gradients"] = {name: value.grad.clone() for name, value in p.items()}
        norm = torch.sqrt(sum((value.grad**2).sum() for value in p.values()))
        run["losses"].append(loss.item())
        run["gradient_norms"].append(norm.item())
        for value in p.values():
            value.grad *= min(1.0, ADAM["clip"] / norm.item())
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
    run["weights"] = {name: value.detach().clone() for name, value in p.items()}
    return run


def report_float32():
    stored, single = train(torch.float64), train(torch.float32)
    pairs = [("logits", stored["logits"], single["logits"])]
    for kind in ("gradients", "weights"):
        pairs += [(f"{kind} {name}", value, single[kind][name]) for name, value in stored[kind].items()]
    for name, value, other in pairs:
        error = (value - other.double()).abs().max() / value.abs().max()
        print(f"{name}: {error.item():.2e} of the largest element")
    print("losses:", max(abs(a - b) / a for a, b in zip(stored["losses"], single["losses"])))


def numbers(values):
    if isinstance(values, torch.Tensor):
        values = values.flatten().tolist()
    return "[" + ",".join(f"{number:.9g}" for number in values) + "]"


def main():
    if "--float32" in sys.argv:
        report_float32()
        return
    run = train(torch.float64)
    print('{\n"made_by": "tests/train/golden/make_language_model_golden.py (which says what the fields are)",')
    print(f'"torch": {json.dumps(torch.__version__)},')
    print(f'"model": {json.dumps(MODEL)},\n"adam": {json.dumps(ADAM)},\n"rates": {numbers(RATES)},')
    print(f'"tokens": {json.dumps(run["tokens"], separators=(",", ":"))},')
    for key in ("losses", "gradient_norms"):
        print(f'"{key}": [{", ".join(f"{value:.12g}" for value in run[key])}],')
    print(f'"logits": {numbers(run["logits"])},')
    for key in ("gradients", "weights"):
        print(f'"{key}": {{')
        print(",\n".join(f'"{name}": {numbers(value)}' for name, value in run[key].items()))
        print("}}" if key == "weights" else "},")


main()
