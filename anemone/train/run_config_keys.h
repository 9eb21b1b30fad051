// Every key of a run config, once: its name, meaning, limits and where its value is kept. Reading,
// overriding, printing, documenting and comparing configs are visitors of this list, so a new key
// is one line here. Only run_config.cpp includes it.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "anemone/engine/engines.h"
#include "anemone/nn/layer.h"
#include "anemone/train/data_source.h"
#include "anemone/train/run_config.h"
#include "anemone/train/schedule.h"

namespace anemone::train {

enum class OnResume : std::uint8_t {
  fixed,  // another value makes it another run
  free,
};

struct Key {
  std::string_view name;
  std::string_view help;
  double min = 0, max = 0;  // of a number; equal = any
  OnResume on_resume = OnResume::fixed;
  std::vector<std::string_view> choices = {};  // of a string; empty = any
  bool or_number = false;                      // a string that may be written as a number
};

inline constexpr double kMaxSize = 1 << 24, kMaxSteps = 1e15, kMaxSeed = 4294967295.0,
                        kHuge = 1e300;

inline std::vector<std::string_view> engine_names() {
  std::vector<std::string_view> names = {"auto"};
  for (const engine::EngineEntry& entry : engine::engines()) names.push_back(entry.name);
  return names;
}

inline std::vector<std::string_view> partition_names() {
  std::vector<std::string_view> names = {""};
  for (const nn::Partition& partition : nn::partitions()) names.push_back(partition.name);
  return names;
}

template <class Model, class Visit>
void visit_model_keys(Model& m, Visit&& visit) {
  visit(Key{"model.dim", "channels of the residual stream", 1, kMaxSize}, m.dim);
  visit(Key{"model.hidden", "channels inside the feed-forward block", 1, kMaxSize}, m.hidden);
  visit(Key{"model.heads", "query heads", 1, kMaxSize}, m.heads);
  visit(Key{"model.kv_heads", "key/value heads; 0 = heads", 0, kMaxSize}, m.kv_heads);
  visit(Key{"model.head_dim", "channels of a head; 0 = dim / heads", 0, kMaxSize}, m.head_dim);
  visit(Key{"model.layers", "layers", 1, kMaxSize}, m.layers);
  visit(Key{"model.seq", "positions in a sequence", 1, kMaxSize}, m.seq);
  visit(Key{"model.batch", "sequences in a step", 1, kMaxSize}, m.batch);
  visit(Key{"model.vocab", "tokens of a language model; 0 = layers alone, on activations", 0,
            kMaxSize},
        m.vocab);
  visit(Key{"model.tied", "the classifier is the embedding"}, m.tied);
  visit(Key{"model.rope",
            "rotary position embedding, of channels 2i and 2i+1 or i and i + head_dim/2",
            0,
            0,
            OnResume::fixed,
            {"none", "pairs", "halves"}},
        m.rope);
  visit(Key{"model.rope_theta", "its base", 1, kHuge}, m.rope_theta);
  visit(Key{"model.norm_eps", "epsilon of RMSNorm", 1e-12, 1}, m.norm_eps);
}

template <class Data, class Visit>
void visit_data_keys(Data& d, Visit&& visit) {
  visit(Key{"data.source", "original, teacher, pairs, tokens or text", 0, 0, OnResume::fixed,
            data_source_names()},
        d.source);
  visit(Key{"data.path",
            "pairs: a safetensors file with x and y of shape [N, dim, seq]; tokens: "
            "files of token ids, as patterns separated by commas; text: files and folders"},
        d.path);
  visit(Key{"data.tokenizer", "bytes, or a vocabulary (docs/text.md): of text and of samples"},
        d.tokenizer);
  visit(Key{"data.samples", "teacher: training samples", 1, kMaxSize}, d.samples);
  visit(Key{"data.held_out", "teacher, pairs: validation samples", 0, kMaxSize}, d.held_out);
  visit(Key{"data.seed", "of the data", 0, kMaxSeed}, d.seed);
  visit(Key{"data.order",
            "of sequences of tokens: shuffled anew each epoch, or sequential",
            0,
            0,
            OnResume::fixed,
            {"shuffled", "sequential"}},
        d.order);
  visit(Key{"data.validation_fraction", "tokens: the last part of them, held out", 0, 0.999},
        d.validation_fraction);
  visit(Key{"data.validation_path", "tokens: files held out instead, as in data.path"},
        d.validation_path);
}

template <class Train, class Visit>
void visit_optimizer_keys(Train& t, Visit&& visit) {
  visit(Key{"train.steps", "micro-steps in all, also after a resume", 1, kMaxSteps, OnResume::free},
        t.steps);
  visit(Key{"train.accumulate", "micro-steps an update", 1, kMaxSteps}, t.accumulate);
  visit(Key{"train.lanes",
            "parts of an update that run side by side, each with its own gradient; 0 = by the "
            "model's size",
            0, kMaxSize},
        t.lanes);
  visit(Key{"train.learning_rate", "Adam's step size, after the warm-up", 0, kHuge},
        t.learning_rate);
  visit(Key{"train.schedule", "of the learning rate: constant, linear or cosine", 0, 0,
            OnResume::fixed, schedule_names()},
        t.schedule);
  visit(Key{"train.warmup", "updates in which the learning rate rises to its full value", 0,
            kMaxSteps},
        t.warmup);
  visit(Key{"train.min_learning_rate_fraction",
            "share of the learning rate at which linear and cosine end", 0, 1},
        t.min_learning_rate_fraction);
  visit(Key{"train.beta1", "Adam's decay of the mean", 0, 0.9999999}, t.beta1);
  visit(Key{"train.beta2", "Adam's decay of the mean square", 0, 0.9999999}, t.beta2);
  visit(Key{"train.epsilon", "Adam's epsilon", 0, 1}, t.epsilon);
  visit(Key{"train.weight_decay",
            "decoupled, times the learning rate; not for norms and embeddings", 0, 1e6},
        t.weight_decay);
  visit(Key{"train.grad_clip", "largest global gradient norm; 0 = any", 0, kHuge}, t.grad_clip);
}

template <class Train, class Visit>
void visit_course_keys(Train& t, Visit&& visit) {
  visit(Key{"train.loss_scale", "\"dynamic\" or a number", 0, 0, OnResume::fixed, {}, true},
        t.loss_scale);
  visit(Key{"train.initial_loss_scale", "where a dynamic loss scale starts", 1.0 / (1 << 24),
            1 << 24},
        t.initial_loss_scale);
  visit(Key{"train.loss_scale_growth_interval", "good updates before a dynamic loss scale doubles",
            1, kMaxSteps},
        t.loss_scale_growth_interval);
  visit(Key{"train.on_nonfinite",
            "what a number does that is not finite at any loss scale: skip, stop or rollback",
            0,
            0,
            OnResume::free,
            {"skip", "stop", "rollback"}},
        t.on_nonfinite);
  visit(Key{"train.max_rollbacks", "in a row to the same checkpoint, before the run stops", 0, 1e6,
            OnResume::free},
        t.max_rollbacks);
  visit(Key{"train.checkpoint_steps", "micro-steps between checkpoints; 0 = not by steps", 0,
            kMaxSteps, OnResume::free},
        t.checkpoint_steps);
  visit(Key{"train.checkpoint_minutes", "minutes between checkpoints; 0 = not by time", 0, 1e9,
            OnResume::free},
        t.checkpoint_minutes);
  visit(Key{"train.keep", "checkpoints kept", 1, 1e6, OnResume::free}, t.keep);
  visit(Key{"train.validate_every",
            "updates between validations; 0 = at the start and the end only", 0, kMaxSteps},
        t.validate_every);
  visit(Key{"train.max_minutes", "stop with a checkpoint after so long; 0 = never", 0, 1e9,
            OnResume::free},
        t.max_minutes);
  visit(Key{"train.seed", "of the initial weights and of the samples' order", 0, kMaxSeed}, t.seed);
}

template <class Train, class Visit>
void visit_sample_keys(Train& t, Visit&& visit) {
  visit(Key{"train.sample_every",
            "updates between samples of a language model's text; 0 = as train.validate_every", 0,
            kMaxSteps, OnResume::free},
        t.sample_every);
  visit(Key{"train.sample_tokens", "at most so many tokens a sample; 0 = no samples", 0, kMaxSize,
            OnResume::free},
        t.sample_tokens);
  visit(Key{"train.sample_prompt", "what a sample begins with; empty = as a text begins", 0, 0,
            OnResume::free},
        t.sample_prompt);
  visit(Key{"train.sample_temperature", "of samples; 0 = always the most probable token", 0, 1e6,
            OnResume::free},
        t.sample_temperature);
  visit(Key{"train.sample_seed", "of samples", 0, kMaxSeed, OnResume::free}, t.sample_seed);
}

template <class Engine, class Visit>
void visit_engine_keys(Engine& e, Visit&& visit) {
  visit(Key{"engine.name", "which engine; auto = the best there is", 0, 0, OnResume::free,
            engine_names()},
        e.name);
  visit(Key{"engine.precision",
            "fp16; bf16: operands of products rounded to bf16; fp32: everything",
            0,
            0,
            OnResume::fixed,
            {"fp16", "bf16", "fp32"}},
        e.precision);
  visit(Key{"engine.numerics", "exact, or how a device computes, emulated (docs/numerics.md)", 0, 0,
            OnResume::free},
        e.numerics);
  visit(Key{"engine.partition", "how a step is cut into programs; empty = as the engine likes it",
            0, 0, OnResume::free, partition_names()},
        e.partition);
  visit(Key{"engine.target",
            "which machine to compile for, where the engine knows several; empty = this one", 0, 0,
            OnResume::free},
        e.target);
  visit(Key{"engine.threads", "0 = what affinity and cgroup allow", 0,
            engine::EngineOptions::kMostThreads, OnResume::free},
        e.threads);
  visit(Key{"engine.compile_limit", "compiles a process; 0 = the engine's own limit", 0, 1e9,
            OnResume::free},
        e.compile_limit);
  visit(Key{"engine.pack_io", "one packed input and output for each program", 0, 0, OnResume::free},
        e.pack_io);
  visit(Key{"engine.multi_function",
            "several functions in one program where the engine can: fewer compiles, unproven", 0, 0,
            OnResume::free},
        e.multi_function);
}

template <class Config, class Visit>
void visit_keys(Config& config, Visit&& visit) {
  visit_model_keys(config.model, visit);
  visit_data_keys(config.data, visit);
  visit_optimizer_keys(config.train, visit);
  visit_course_keys(config.train, visit);
  visit_sample_keys(config.train, visit);
  visit_engine_keys(config.engine, visit);
}

}  // namespace anemone::train
