#!/usr/bin/env python3
"""Writes op_golden.json: applications of the operations of MIL with results computed by numpy and PyTorch in double.

Needs Debian's python3-numpy and python3-torch. Run it in its folder; the output is committed and read by op_golden_test.cpp.
Operands are multiples of 1/16, so they are exact in fp16 and short in the file.
"""
import json
import math

import numpy as np
import torch
import torch.nn.functional as F

random = np.random.RandomState(20240607)
cases = []


def tensor(*shape, low=-2.0, high=2.0, dtype="fp32"):
    data = np.round(random.uniform(low, high, shape) * 16) / 16
    if dtype == "int32":
        data = np.round(data)
    if dtype == "bool":
        data = (data > 0).astype(np.float64)
    return Tensor(np.clip(data, low, high) if dtype != "bool" else data, dtype)


class Tensor:
    def __init__(self, data, dtype="fp32"):
        self.data = np.asarray(data, dtype=np.float64)
        self.dtype = dtype

    def json(self):
        return {"type": self.dtype, "shape": list(self.data.shape), "data": numbers(self.data)}


def numbers(array):
    return [float("%.14g" % v) if v != int(v) else int(v) for v in np.asarray(array).ravel()]


def argument(value):
    """A tensor (or a list of them) becomes inputs of the program; everything else a constant."""
    if isinstance(value, Tensor):
        return value.json()
    if isinstance(value, list) and value and isinstance(value[0], Tensor):
        return [v.json() for v in value]
    return {"constant": value}


def case(op, results, **args):
    if not isinstance(results, (list, tuple)):
        results = [results]
    cases.append({
        "op": op,
        "args": {name: argument(value) for name, value in args.items() if value is not None},
        "results": [{"shape": list(np.shape(r)), "data": numbers(r)} for r in results],
    })


def torch64(t):
    return torch.tensor(t.data, dtype=torch.float64)


def broadcast_pairs():
    yield (2, 3, 4), (2, 3, 4)
    yield (2, 3, 4), ()
    yield (3, 1, 4), (2, 1)
    yield (4,), (2, 3, 1)
    yield (1, 5, 1, 3), (2, 1, 4, 1)


def elementwise():
    for op, function in [("add", np.add), ("sub", np.subtract), ("mul", np.multiply), ("maximum", np.maximum)]:
        for dtype in ["fp32", "int32"]:
            for a, b in broadcast_pairs():
                x, y = tensor(*a, dtype=dtype), tensor(*b, dtype=dtype)
                case(op, function(x.data, y.data), x=x, y=y)
    for a, b in broadcast_pairs():
        x, y = tensor(*a), tensor(*b, low=0.25, high=3)
        case("real_div", x.data / y.data, x=x, y=y)
        x, y = tensor(*a, low=0.0625, high=4), tensor(*b)
        case("pow", np.power(x.data, y.data), x=x, y=y)
    x = tensor(3, 4)
    case("pow", x.data ** 2, x=x, y=2.0)
    case("pow", x.data ** 3, x=x, y=3.0)
    x, y = tensor(3, 4, low=-20, high=20, dtype="int32"), tensor(3, 1, low=1, high=5, dtype="int32")
    case("real_div", np.trunc(x.data / y.data), x=x, y=y)

    wide = tensor(4, 5, low=-12, high=12)
    case("exp", np.exp(wide.data), x=wide)
    case("tanh", np.tanh(wide.data), x=wide)
    case("sigmoid", torch.sigmoid(torch64(wide)).numpy(), x=wide)
    case("silu", F.silu(torch64(wide)).numpy(), x=wide)
    positive = tensor(3, 5, low=0.0625, high=40)
    case("sqrt", np.sqrt(positive.data), x=positive)
    case("rsqrt", 1 / np.sqrt(positive.data + 1e-12), x=positive)
    case("rsqrt", 1 / np.sqrt(positive.data + 0.125), x=positive, epsilon=0.125)
    cond, a, b = tensor(2, 1, 4, dtype="bool"), tensor(3, 4), tensor(2, 3, 1)
    case("select", np.where(cond.data != 0, a.data, b.data), cond=cond, a=a, b=b)


def softmax_and_reductions():
    for shape, axis in [((7,), 0), ((2, 3, 5), -1), ((2, 3, 5), 1), ((2, 3, 5), 0), ((1, 2, 3, 4), 2)]:
        x = tensor(*shape, low=-30, high=30)
        case("softmax", torch.softmax(torch64(x), dim=axis).numpy(), x=x, axis=axis)
    x = tensor(3, 4)
    case("softmax", torch.softmax(torch64(x), dim=-1).numpy(), x=x)
    for op, function in [("reduce_sum", np.sum), ("reduce_mean", np.mean), ("reduce_max", np.max)]:
        for axes, keep in [(None, None), ([0], True), ([1], False), ([-1], True), ([0, 2], None), ([2, 1], True),
                           ([0, 1, 2, 3], False)]:
            x = tensor(2, 3, 4, 2)
            axis = tuple(axes) if axes is not None else None
            case(op, function(x.data, axis=axis, keepdims=bool(keep)), x=x, axes=axes, keep_dims=keep)
    x = tensor(3, 4, low=-9, high=9, dtype="int32")
    case("reduce_sum", x.data.sum(axis=1), x=x, axes=[1], keep_dims=False)
    case("reduce_max", x.data.max(axis=0, keepdims=True), x=x, axes=[0], keep_dims=True)


def products():
    for a, b, tx, ty in [((3, 4), (4, 2), 0, 0), ((4, 3), (4, 2), 1, 0), ((3, 4), (2, 4), 0, 1), ((4, 3), (2, 4), 1, 1),
                         ((2, 3, 4), (4, 5), 0, 0), ((2, 1, 3, 4), (5, 4, 2), 0, 0), ((1, 2, 5, 3), (1, 2, 5, 4), 1, 0),
                         ((2, 3, 7), (2, 6, 7), 0, 1)]:
        x, y = tensor(*a), tensor(*b)
        left = np.swapaxes(x.data, -1, -2) if tx else x.data
        right = np.swapaxes(y.data, -1, -2) if ty else y.data
        case("matmul", left @ right, x=x, y=y, transpose_x=bool(tx), transpose_y=bool(ty))
    for a, b in [((4,), (4,)), ((4,), (4, 3)), ((4,), (2, 4, 3)), ((3, 4), (4,)), ((2, 3, 4), (4,))]:
        x, y = tensor(*a), tensor(*b)
        case("matmul", x.data @ y.data, x=x, y=y)


def convolve(x, w, bias, strides, dilations, groups, pads):
    flat = [p for pair in reversed(pads) for p in pair]  # torch pads from the last dimension
    function = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}[x.data.ndim]
    return function(F.pad(torch64(x), flat), torch64(w), torch64(bias) if bias is not None else None,
                    stride=strides, dilation=dilations, groups=groups).numpy()


def conv_case(x_shape, w_shape, strides, dilations, groups, pad_type, pad=None, with_bias=False):
    x, w = tensor(*x_shape), tensor(*w_shape)
    bias = tensor(w_shape[0]) if with_bias else None
    pads = []
    for i, size in enumerate(x_shape[2:]):
        reach = (w_shape[2 + i] - 1) * dilations[i] + 1
        total = max(0, (math.ceil(size / strides[i]) - 1) * strides[i] + reach - size)
        pads.append({"valid": (0, 0), "custom": tuple(pad[2 * i:2 * i + 2]) if pad else None,
                     "same": (total // 2, total - total // 2),
                     "same_lower": (total - total // 2, total // 2)}[pad_type])
    case("conv", convolve(x, w, bias, strides, dilations, groups, pads), x=x, weight=w, bias=bias, strides=strides,
         pad_type=pad_type, pad=pad, dilations=dilations, groups=groups)


def convolutions():
    conv_case((1, 5, 1, 6), (4, 5, 1, 1), [1, 1], [1, 1], 1, "valid")
    conv_case((2, 4, 3, 5), (6, 2, 1, 1), [1, 1], [1, 1], 2, "valid", with_bias=True)
    conv_case((1, 3, 6, 7), (2, 3, 3, 3), [1, 1], [1, 1], 1, "valid", with_bias=True)
    conv_case((1, 3, 6, 7), (2, 3, 3, 2), [2, 1], [1, 1], 1, "same")
    conv_case((1, 3, 6, 7), (2, 3, 3, 2), [2, 1], [1, 1], 1, "same_lower")
    conv_case((1, 2, 7, 5), (3, 2, 2, 4), [3, 2], [2, 1], 1, "same")
    conv_case((2, 4, 5, 5), (4, 1, 3, 3), [1, 2], [1, 1], 4, "custom", [1, 0, 2, 1])
    conv_case((1, 4, 9), (6, 2, 3), [2], [2], 2, "same_lower", with_bias=True)
    conv_case((2, 3, 8), (4, 3, 5), [1], [1], 1, "custom", [4, 0])
    conv_case((1, 2, 8), (2, 2, 1), [3], [1], 1, "same")
    conv_case((1, 2, 3, 4, 5), (2, 2, 2, 3, 2), [1, 2, 1], [1, 1, 2], 1, "custom", [1, 1, 0, 1, 2, 0])


def shapes():
    x = tensor(2, 3, 4)
    case("reshape", x.data.reshape(4, 6), x=x, shape=[4, 6])
    case("reshape", x.data.reshape(2, 12), x=x, shape=[2, -1])
    case("reshape", x.data.reshape(2, 12, 1), x=x, shape=[0, -1, 1])
    case("transpose", x.data.transpose(2, 0, 1), x=x, perm=[2, 0, 1])
    case("transpose", x.data.transpose(0, 2, 1), x=x, perm=[0, -1, 1])
    case("expand_dims", x.data.reshape(1, 2, 3, 4, 1), x=x, axes=[0, -1])
    case("expand_dims", x.data.reshape(2, 1, 3, 4), x=x, axes=[1])
    case("identity", x.data, x=x)
    y = tensor(1, 3, 1, 2)
    case("squeeze", y.data.reshape(3, 2), x=y)
    case("squeeze", y.data.reshape(3, 1, 2), x=y, axes=[0])
    case("squeeze", y.data.reshape(1, 3, 2), x=y, axes=[-2])
    z = tensor(5, 4, low=-3, high=3)
    case("cast", np.trunc(z.data), x=z, dtype="int32")
    case("cast", (z.data != 0).astype(np.float64), x=z, dtype="bool")
    case("cast", z.data, x=z, dtype="fp16")


def slices():
    x = tensor(5, 4, 3)
    case("slice_by_size", x.data[1:4, 0:4, 2:3], x=x, begin=[1, 0, 2], size=[3, 4, 1])
    case("slice_by_size", x.data[1:, 2:3, :], x=x, begin=[-4, 2, 0], size=[-1, 1, -1])
    begin = Tensor([2, 1, 0], "int32")
    case("slice_by_size", x.data[2:4, 1:2, 0:3], x=x, begin=begin, size=[2, 1, 3])
    case("slice_by_index", x.data[1:4, 0:2, 1:3], x=x, begin=[1, 0, 1], end=[4, 2, 3])
    case("slice_by_index", x.data[-4:-1:2, ::3, 2::-1], x=x, begin=[-4, 0, 2], end=[-1, 4, -9], stride=[2, 3, -1])
    case("slice_by_index", x.data[:3, 1:, ::-1], x=x, begin=[2, 1, 0], end=[3, 2, 0], stride=[1, 1, -1],
         begin_mask=[True, False, True], end_mask=[False, True, True])
    case("slice_by_index", x.data[3, :, -1], x=x, begin=[3, 0, -1], end=[0, 9, 0],
         squeeze_mask=[True, False, True])
    case("slice_by_index", x.data[4:2, :, :], x=x, begin=[4, 0, 0], end=[2, 4, 3])
    values = [tensor(2, n, 3) for n in (1, 4, 2)]
    case("concat", np.concatenate([v.data for v in values], axis=1), values=values, axis=1)
    case("concat", np.concatenate([v.data for v in values], axis=-2), values=values, axis=-2)
    values = [tensor(2, 3) for _ in range(3)]
    woven = np.stack([v.data for v in values], axis=2).reshape(2, 9)
    case("concat", woven, values=values, axis=1, interleave=True)
    x = tensor(3, 6, 2)
    case("split", np.split(x.data, 3, axis=1), x=x, num_splits=3, axis=1)
    case("split", np.split(x.data, [1, 5], axis=-2), x=x, split_sizes=[1, 4, 1], axis=-2)


def log_sum_exp():
    for axes, keep in [(None, None), ([0], True), ([1], False), ([-1], True), ([0, 2], None), ([2, 1], True)]:
        x = tensor(2, 3, 4, 2, low=-30, high=30)
        dims = axes if axes is not None else [0, 1, 2, 3]
        case("reduce_log_sum_exp", torch.logsumexp(torch64(x), dim=dims, keepdim=bool(keep)).numpy(), x=x, axes=axes,
             keep_dims=keep)


elementwise()
softmax_and_reductions()
products()
convolutions()
shapes()
slices()
log_sum_exp()
with open("op_golden.json", "w") as file:
    file.write("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")
