// A llama-style language model as a training step: embedding on the host, layers (layer.h), final
// norm, classifier in parts of the vocabulary, log-sum-exp and softmax, and their backward.
//
//   tokens -> embed -> layers -> final_norm -> [classifier, log_sum] for each part of the
//   vocabulary
//          -> join_loss -> [dlogits, subtract_targets, classifier_bwd] for each part
//          -> final_norm_bwd -> layers backward -> embedding_gradient
//
// The products with the classifier are kernels of the engine; log-sum-exp and softmax are glue, in
// fp32. Logits of all parts are kept in fp16 between the two passes; an fp32 program computes them
// again, so that no S x vocab array of fp32 is ever in memory.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "anemone/nn/model_config.h"
#include "anemone/nn/step_graph.h"

namespace anemone::nn {

// A part of the vocabulary, as large as all others or one smaller.
struct VocabPart {
  std::int64_t first = 0, rows = 0;
};
std::vector<VocabPart> vocab_parts(std::int64_t vocab);

// The parameters of the whole model, in the order in which they are saved: embedding, layers,
// final_norm, classifier (if it is not the embedding). Without a vocabulary: the layers'.
std::vector<ParameterSpec> model_parameters(const ModelConfig& config);

// What a parameter belongs to, for people: "embedding", "attention", "feed-forward", "norms",
// "classifier".
std::string_view parameter_part(const ParameterSpec& parameter);

// The classifier's rows of each part, named "embedding.part0" (tied) or "classifier.part0".
std::vector<ParameterRows> classifier_rows(const ModelConfig& config);

// Throws Error for an unknown partition, a bad config (vocab must not be 0), or a packed shape that
// breaks a limit.
StepGraph language_model_step(const ModelConfig& config, std::string_view partition);
// The same without the backward pass: ends with the loss. Kernels keep the taps they have.
StepGraph language_model_forward(const ModelConfig& config, std::string_view partition);

// layer_step or language_model_step, as the config says.
StepGraph model_step(const ModelConfig& config, std::string_view partition);

// The engine's kernels of a model without glue, for export and tests: layer_kernels, then the
// classifier's, part by part.
std::vector<Kernel> model_kernels(const ModelConfig& config, std::string_view partition);

}  // namespace anemone::nn
