// Assembles a language model's step around the layers' (see language_model.h).
#include "anemone/nn/language_model.h"

#include <fmt/format.h>

#include <optional>

#include "anemone/base/error.h"
#include "anemone/nn/layer.h"
#include "anemone/nn/step_assembler.h"

namespace anemone::nn {
namespace {

// Rows of a part of the vocabulary: few enough for every generation of the Neural Engine (16,384
// channels) and for a part's logits to stay small beside a layer's tensors, many enough that the
// matrix products are worth their calls.
constexpr std::int64_t kMaxPartRows = 8192;

ModelConfig resolved(const ModelConfig& given) {
  ModelConfig config = given;
  config.resolve();
  if (!config.is_language_model())
    throw Error("a language model needs a vocabulary", "model.vocab", "at least 1 token");
  return config;
}

using Part = std::optional<std::size_t>;  // of the vocabulary; none: a kernel of the whole model

std::string numbered(std::string_view name, std::size_t part) {
  return fmt::format("{}{}", name, part);
}

// The parameter whose rows the classifier's parts are, and their name.
std::string classifier_of(const ModelConfig& config) {
  return config.tied ? "embedding" : "classifier";
}
std::string rows_name(const ModelConfig& config, std::size_t part) {
  return numbered(classifier_of(config) + ".part", part);
}

Kernel build_own_kernel(const KernelDef& def, const ModelConfig& config, Part part,
                        WeightForm weights) {
  std::vector<KernelWeight> available = {{"final_norm", "final_norm", {config.dim}}};
  std::string name(def.name);
  if (part) {
    const std::int64_t rows = vocab_parts(config.vocab)[*part].rows;
    available.push_back({"classifier", rows_name(config, *part), {rows, config.dim}});
    name = numbered(name, *part);
  }
  return build_kernel(def, config, name, std::move(available), weights);
}

class LanguageModelAssembler {
 public:
  LanguageModelAssembler(const ModelConfig& config, const PartitionDef& partition, StepGraph& graph)
      : config_(config),
        weights_(partition.weights),
        graph_(graph),
        classifier_(classifier_of(config)),
        parts_(vocab_parts(config.vocab)),
        layers_(config, partition, graph) {
    graph.parameters = model_parameters(config);
    graph.target = graph.loss_scale = graph.loss = "";  // the host operations have them
    graph.parameter_rows = classifier_rows(config);
  }

  void forward() {
    host(HostOp::Kind::embed, {.tensor = graph_.input, .parameter = "embedding"});
    layers_.forward(kOutputSum);
    add(kFinalNorm, {});
    for (std::size_t part = 0; part < parts_.size(); ++part) {
      logits_kernels_.push_back(add(kLogits, part));
      add(kLogSum, part);
      host(HostOp::Kind::pick_targets, {.tensor = numbered("logits", part),
                                        .log_sum = numbered("log_sum", part),
                                        .first_row = parts_[part].first});
    }
    host(HostOp::Kind::join_loss, {.log_sum = "log_sum", .weight = "weight"});
    graph_.first_backward_call = static_cast<int>(graph_.calls.size());
  }

  void backward() {
    for (std::size_t part = 0; part < parts_.size(); ++part) {
      if (computes_again()) call(logits_kernels_[part], part);
      add(kLogitsBwd, part);
      const std::string dlogits = numbered("dlogits", part);
      host(HostOp::Kind::subtract_targets, {.tensor = dlogits,
                                            .log_sum = "log_sum",
                                            .weight = "weight",
                                            .first_row = parts_[part].first});
      add(kClassifierBwd, part);
      graph_.weight_gradients.push_back({classifier_, dlogits, "ynorm", parts_[part].first});
    }
    add(kFinalNormBwd, {});
    graph_.direct_gradients.push_back({"final_norm", "dfinal_norm"});
    layers_.backward();
    host(HostOp::Kind::embedding_gradient,
         {.tensor = graph_.input_gradient, .parameter = "embedding"});
  }

 private:
  // Kept, the logits of a whole vocabulary in fp32 would be the largest array of a step.
  bool computes_again() const { return config_.dtype == DType::fp32 && parts_.size() > 1; }

  // What a port of one of the model's own kernels is called in the whole step.
  std::string global(std::string_view local, Part part) const {
    if (local == "y") return graph_.output;
    if (local == "dy") return layer_prefix(config_.layers - 1) + "dy";
    if (!part) return std::string(local);
    if (local == "classifier") return rows_name(config_, *part);
    if (local == "part_log_sum") return numbered("log_sum", *part);
    if (local == "logits" && computes_again() && graph_.first_backward_call > 0)
      return numbered("logits", *part) + ".again";
    if (local == "logits" || local == "dlogits" || local == "dynorm") return numbered(local, *part);
    return std::string(local);
  }

  int add(const KernelDef& def, Part part) {
    const int kernel = layers_.add(build_own_kernel(def, config_, part, weights_));
    call(kernel, part);
    return kernel;
  }

  void call(int kernel, Part part) {
    layers_.call(kernel, [&](std::string_view local) { return global(local, part); });
  }

  // Before the next call.
  void host(HostOp::Kind kind, HostOp op) {
    op.kind = kind;
    op.before_call = static_cast<int>(graph_.calls.size());
    graph_.host_ops.push_back(std::move(op));
  }

  const ModelConfig& config_;
  WeightForm weights_;
  StepGraph& graph_;
  std::string classifier_;  // the parameter
  std::vector<VocabPart> parts_;
  StepAssembler layers_;
  std::vector<int> logits_kernels_;
};

}  // namespace

std::vector<VocabPart> vocab_parts(std::int64_t vocab) {
  const std::int64_t count = (vocab + kMaxPartRows - 1) / kMaxPartRows;
  std::vector<VocabPart> parts;
  for (std::int64_t part = 0; part < count; ++part) {
    const std::int64_t first = vocab * part / count, end = vocab * (part + 1) / count;
    parts.push_back({first, end - first});
  }
  return parts;
}

std::vector<ParameterRows> classifier_rows(const ModelConfig& config) {
  const std::vector<VocabPart> parts = vocab_parts(config.vocab);
  std::vector<ParameterRows> rows;
  for (std::size_t part = 0; part < parts.size(); ++part) {
    rows.push_back(
        {rows_name(config, part), classifier_of(config), parts[part].first, parts[part].rows});
  }
  return rows;
}

StepGraph language_model_step(const ModelConfig& given, std::string_view partition) {
  const ModelConfig config = resolved(given);
  StepGraph graph;
  LanguageModelAssembler assembler(config, find_partition(partition), graph);
  assembler.forward();
  assembler.backward();
  return graph;
}

StepGraph language_model_forward(const ModelConfig& given, std::string_view partition) {
  const ModelConfig config = resolved(given);
  StepGraph graph;
  LanguageModelAssembler(config, find_partition(partition), graph).forward();
  return graph;
}

StepGraph model_step(const ModelConfig& config, std::string_view partition) {
  return config.is_language_model() ? language_model_step(config, partition)
                                    : layer_step(config, partition);
}

std::vector<Kernel> model_kernels(const ModelConfig& given, std::string_view partition) {
  std::vector<Kernel> kernels = layer_kernels(given, partition);
  if (!given.is_language_model()) return kernels;
  const ModelConfig config = resolved(given);
  const WeightForm weights = find_partition(partition).weights;
  for (std::size_t part = 0; part < vocab_parts(config.vocab).size(); ++part) {
    for (const KernelDef* def : {&kLogits, &kClassifierBwd})
      kernels.push_back(build_own_kernel(*def, config, part, weights));
  }
  return kernels;
}

}  // namespace anemone::nn
