// The partitions: which kernels a layer is cut into, as lists. A new partition is a row here (and a
// builder for each kernel that no other partition has).
#include <fmt/format.h>

#include "anemone/base/error.h"
#include "anemone/nn/kernels.h"

namespace anemone::nn {

const KernelDef kLoss = {"loss", /*host=*/true, build_loss};
const KernelDef kOutputSum = {"output_sum", /*host=*/true, build_output_sum};

namespace {

const KernelDef kFwdAttn = {"fwd_attn", false, build_fwd_attn};
const KernelDef kResidual = {"residual", /*host=*/true, build_residual};
const KernelDef kFwdFfn = {"fwd_ffn", false, build_fwd_ffn};
const KernelDef kFfnBwd = {"ffn_bwd", false, build_ffn_bwd};
const KernelDef kNorm2Bwd = {"norm2_bwd", /*host=*/true, build_norm2_bwd};
const KernelDef kSdpaBwd1 = {"sdpa_bwd1", false, build_sdpa_bwd1};
const KernelDef kSdpaBwd2 = {"sdpa_bwd2", false, build_sdpa_bwd2};
const KernelDef kQkvBwd = {"qkv_bwd", false, build_qkv_bwd};
const KernelDef kAttnBwd = {"attn_bwd", false, build_attn_bwd};
const KernelDef kNorm1Bwd = {"norm1_bwd", /*host=*/true, build_norm1_bwd};

const std::vector<PartitionDef>& table() {
  static const std::vector<PartitionDef> rows = {
      {{"six",
        "attention's backward pass as three kernels, with the taps the Neural Engine's limits ask "
        "for"},
       {kFwdAttn, kResidual, kFwdFfn},
       {kFfnBwd, kNorm2Bwd, kSdpaBwd1, kSdpaBwd2, kQkvBwd, kNorm1Bwd}},
      {{"merged", "attention's backward pass as one kernel: the S x S matrices stay in the cache"},
       {kFwdAttn, kResidual, kFwdFfn},
       {kFfnBwd, kNorm2Bwd, kAttnBwd, kNorm1Bwd}},
      {{"dynamic",
        "the kernels of six with the weights as inputs: an update compiles nothing, but linear "
        "layers are matrix products where they were convolutions"},
       {kFwdAttn, kResidual, kFwdFfn},
       {kFfnBwd, kNorm2Bwd, kSdpaBwd1, kSdpaBwd2, kQkvBwd, kNorm1Bwd},
       WeightForm::inputs},
  };
  return rows;
}

}  // namespace

std::span<const PartitionDef> partition_defs() { return table(); }

std::span<const Partition> partitions() {
  static const std::vector<Partition> list = [] {
    std::vector<Partition> rows;
    for (const PartitionDef& def : partition_defs()) rows.push_back(def.partition);
    return rows;
  }();
  return list;
}

const PartitionDef& find_partition(std::string_view name) {
  std::string names;
  for (const PartitionDef& def : partition_defs()) {
    if (def.partition.name == name) return def;
    names += (names.empty() ? "" : ", ") + std::string(def.partition.name);
  }
  throw Error(fmt::format("there is no partition '{}'", name), "partition", "one of " + names);
}

}  // namespace anemone::nn
