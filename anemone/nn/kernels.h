// The kernels that a layer can be cut into, and those a language model has beside them, each as one
// builder function; partitions are lists of a layer's.
//
// A kernel has local port names only. The assembler of a step (step_assembler.h) says what a port
// of layer i is called in the whole step, so the wiring follows from the names: two kernels that
// name the same tensor are connected.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "anemone/mil/builder.h"
#include "anemone/nn/layer.h"

namespace anemone::nn {

std::string layer_prefix(std::int64_t layer);  // "l0."

// The parameters of one layer, in the order in which they are saved and reported. `prefix`: "l0.".
std::vector<ParameterSpec> layer_parameters(const ModelConfig& config, const std::string& prefix);

// How a kernel gets its weights.
enum class WeightForm : std::uint8_t {
  constants,  // in the program: linear layers are convolutions
  inputs,     // at run time, behind its other inputs: linear layers are matrix products
};

// A weight that a kernel may use: what its builder function calls it, and which tensor of the
// weight store that is ("wq" is "l0.wq").
struct KernelWeight {
  std::string local, name;
  Shape shape;
};
std::vector<KernelWeight> layer_weights(const ModelConfig& config, const std::string& prefix);

// What a kernel's builder function works with: the ports and weights of one layer, or of one part
// of the vocabulary.
class KernelBuilder {
 public:
  KernelBuilder(mil::Program& program, const ModelConfig& config,
                std::vector<KernelWeight> available, WeightForm weights = WeightForm::constants);

  // [1, channels, 1, seq] of the element type
  mil::Value input(const std::string& name, std::int64_t channels);
  mil::Value position_input(const char* name);  // fp32 [1, 1, 1, seq]
  mil::Value scalar_input(const char* name);    // fp32 [1, 1, 1, 1]
  mil::Value norm_weight(const char* name);     // "norm1" as [1, C, 1, 1]
  std::int64_t rows(const char* name) const;    // of the matrix "wq"
  // W x and Wᵀ dy with the matrix "wq".
  mil::Value linear(mil::Value x, const char* name);
  mil::Value linear_transposed(mil::Value dy, const char* name);
  void output(mil::Value value, const char* name);

  mil::Builder b;
  const ModelConfig& config;
  double
      norm_eps;  // as the forward kernels round it: backward must differentiate the same function

 private:
  const KernelWeight& weight(const char* name) const;
  mil::Value matrix(const char* name, bool transposed);
  std::vector<KernelWeight> available_;
  WeightForm weights_;
};

struct KernelDef {
  std::string_view name;  // "fwd_attn"
  bool host = false;      // a glue program
  void (*build)(KernelBuilder&) = nullptr;
};

// The order of a step: the forward list for every layer (kOutputSum between them; behind the last
// kLoss, or kOutputSum and a language model's own kernels), then the backward list for every layer
// from the last to the first.
struct PartitionDef {
  Partition partition;
  std::vector<KernelDef> forward, backward;
  WeightForm weights = WeightForm::constants;  // of all but the glue programs
};
std::span<const PartitionDef> partition_defs();
const PartitionDef& find_partition(std::string_view name);  // throws Error naming those there are

extern const KernelDef kLoss;       // y = x2 + ffn, the loss and dy
extern const KernelDef kOutputSum;  // y = x2 + ffn

// A language model's, in every partition (classifier_kernels.cpp). Those of the classifier are
// there once for each part of the vocabulary.
extern const KernelDef kFinalNorm;      // y -> ynorm
extern const KernelDef kLogits;         // ynorm -> logits
extern const KernelDef kLogSum;         // logits -> part_log_sum
extern const KernelDef kLogitsBwd;      // logits, log_sum, weight -> dlogits
extern const KernelDef kClassifierBwd;  // dlogits -> dynorm
extern const KernelDef kFinalNormBwd;   // dynorm of all parts, y -> dy, dfinal_norm

// Builders, forward_kernels.cpp and backward_kernels.cpp.
void build_fwd_attn(KernelBuilder& k);
void build_residual(KernelBuilder& k);
void build_fwd_ffn(KernelBuilder& k);
void build_output_sum(KernelBuilder& k);
void build_loss(KernelBuilder& k);
void build_ffn_bwd(KernelBuilder& k);
void build_norm2_bwd(KernelBuilder& k);
void build_sdpa_bwd1(KernelBuilder& k);
void build_sdpa_bwd2(KernelBuilder& k);
void build_qkv_bwd(KernelBuilder& k);
void build_attn_bwd(KernelBuilder& k);
void build_norm1_bwd(KernelBuilder& k);

}  // namespace anemone::nn
