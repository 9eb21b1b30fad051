// `anemone generate`: a trained model writes.
#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "anemone/base/error.h"
#include "anemone/cli/command.h"
#include "anemone/cli/engine_name.h"
#include "anemone/cli/input_text.h"
#include "anemone/cli/model_argument.h"
#include "anemone/cli/whole_number.h"
#include "anemone/compute/peak.h"
#include "anemone/engine/engines.h"
#include "anemone/model/decoder.h"
#include "anemone/model/find_tokenizer.h"
#include "anemone/model/generator.h"
#include "anemone/model/model_weights.h"
#include "anemone/model/text_stream.h"

namespace anemone::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kMostTokens = std::uint64_t{1} << 40;

struct GenerateFlags {
  std::string model, prompt, tokenizer, precision = "fp16", engine = "cpu";
  model::GenerateOptions options;
  std::int64_t tokens = 256;
  int threads = 0;
  bool ids = false, json = false, stats = false, explain = false;
};

// What generation reaches of the memory's bandwidth: at batch 1 every weight is read for every
// token.
struct Speed {
  double tokens_per_second = 0, bytes_per_token = 0, bandwidth = 0;
  double share() const {
    return bandwidth > 0 ? tokens_per_second * bytes_per_token / bandwidth : 0;
  }
};

double tokens_per_second(const model::Generation& generation) {
  return generation.steps == 0 ? 0 : static_cast<double>(generation.steps) / generation.seconds;
}

Speed speed_of(const model::Decoder& decoder, const model::Generation& generation, int threads) {
  Speed speed;
  if (generation.steps == 0) return speed;
  const auto steps = static_cast<double>(generation.steps);
  speed.tokens_per_second = tokens_per_second(generation);
  double cache = 0;
  for (std::int64_t i = 0; i < generation.steps; ++i)
    cache += static_cast<double>(decoder.cache_bytes(decoder.position() - 1 - i));
  speed.bytes_per_token = static_cast<double>(decoder.weight_bytes()) + cache / steps;
  compute::ThreadPool pool(threads > 0 ? threads : compute::default_thread_count());
  speed.bandwidth = compute::measure_read_bandwidth(pool);
  return speed;
}

// More than memory gives: the weights were read from the processor's cache.
std::string describe_share(const Speed& speed) {
  if (speed.share() > 1) return "the model lies in the processor's cache";
  return fmt::format("{:.0f} %", 100 * speed.share());
}

void print_stats(const model::Decoder& decoder, const model::Generation& generation,
                 const Speed& speed) {
  fmt::print(stderr, "{}\n", model::describe(generation.stop));
  fmt::print(stderr, "prompt: {} tokens in {:.1f} ms\n", generation.prompt.size(),
             generation.prompt_seconds * 1e3);
  if (generation.steps == 0) return;
  fmt::print(stderr,
             "{} tokens in {:.3f} s: {:.1f} tokens/s, {:.1f} MB a token\n"
             "memory: {:.1f} GB/s of {:.1f} GB/s measured, {}; {:.1f} MB held\n",
             generation.steps, generation.seconds, speed.tokens_per_second,
             speed.bytes_per_token / 1e6, speed.tokens_per_second * speed.bytes_per_token / 1e9,
             speed.bandwidth / 1e9, describe_share(speed),
             static_cast<double>(decoder.bytes()) / 1e6);
}

void print_json(const GenerateFlags& flags, const model::Generation& generation,
                const Speed& speed) {
  nlohmann::ordered_json json = {{"prompt", flags.prompt},
                                 {"text", generation.text},
                                 {"prompt_ids", generation.prompt},
                                 {"ids", generation.ids},
                                 {"stop", model::describe(generation.stop)},
                                 {"prompt_seconds", generation.prompt_seconds},
                                 {"seconds", generation.seconds},
                                 {"tokens_per_second", tokens_per_second(generation)}};
  if (flags.stats) {
    json["bytes_per_token"] = speed.bytes_per_token;
    json["read_bytes_per_second"] = speed.bandwidth;
    json["bandwidth_share"] = speed.share();
  }
  fmt::print("{}\n", json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

// That the caches need room for. Powers of two, as the decoder's own steps are: a longer text
// begins like a shorter one.
std::int64_t positions_for(std::size_t prompt, std::int64_t tokens, std::int64_t most) {
  constexpr std::uint64_t kFewest = 64;
  const std::uint64_t wanted = prompt + static_cast<std::uint64_t>(tokens);
  return std::min(most, static_cast<std::int64_t>(std::bit_ceil(std::max(wanted, kFewest))));
}

std::string prompt_of(const GenerateFlags& flags) {
  if (flags.prompt != "-") return flags.prompt;
  return std::string(InputText("-").view());
}

// What would be told behind the prompt, and too late.
void check(const GenerateFlags& flags) {
  try {
    const model::Sampler sampler(flags.options.sampler);
    const model::TextStream stream(flags.options.stops, {});
  } catch (const Error& error) {
    throw UsageError(error.problem(), "--" + error.where(), error.expected());
  }
}

int run(GenerateFlags flags) {
  check(flags);
  engine::EngineOptions engine_options;
  engine_options.threads = flags.threads;
  const auto engine = engine::make_engine(flags.engine, engine_options);
  model::ModelFile file = read_model_argument(flags.model);
  file.config.dtype = flags.precision == "fp32" ? DType::fp32 : DType::fp16;
  const auto tokenizer =
      model::find_tokenizer({flags.model, file.config.vocab, file.tokenizer, flags.tokenizer})
          .tokenizer;
  flags.prompt = prompt_of(flags);
  flags.options.tokens = flags.tokens;
  const std::vector<text::TokenId> prompt = tokenizer->encode(flags.prompt);
  model::check_prompt(prompt, file.config.seq);

  engine::CompileOptions compile;
  if (flags.precision == "bf16") compile.products = engine::ProductPrecision::bf16;
  const model::ModelWeights weights(file);
  const std::int64_t positions = positions_for(prompt.size(), flags.tokens, file.config.seq);
  model::Decoder decoder(file.config, positions, weights.store(), *engine, compile);
  if (flags.explain) fmt::print(stderr, "{}", decoder.explain());

  const bool streams = !flags.ids && !flags.json;
  if (streams) fmt::print("{}", flags.prompt);
  const model::Generation generation =
      model::generate(decoder, *tokenizer, flags.prompt, flags.options, [&](std::string_view text) {
        if (!streams) return;
        fmt::print("{}", text);
        std::fflush(stdout);
      });
  if (streams) fmt::print("\n");
  if (flags.ids) {
    std::vector<text::TokenId> all = generation.prompt;
    all.insert(all.end(), generation.ids.begin(), generation.ids.end());
    fmt::print("{}\n", fmt::join(all, " "));
  }
  Speed speed;
  if (flags.stats) speed = speed_of(decoder, generation, flags.threads);
  if (flags.json) print_json(flags, generation, speed);
  if (flags.stats && !flags.json) print_stats(decoder, generation, speed);
  if (!flags.stats && generation.stop == model::Stop::positions)
    fmt::print(stderr, "anemone: note: {}, all {}\n", model::describe(generation.stop),
               decoder.positions());
  return kExitOk;
}

void declare_sampling(CLI::App& app, GenerateFlags& flags) {
  constexpr auto kAnySeed = std::numeric_limits<std::uint64_t>::max();
  app.add_option("--tokens,-n", flags.tokens, "Write at most so many tokens")
      ->type_name("N")
      ->check(whole_number(0, kMostTokens))
      ->capture_default_str();
  app.add_option("--temperature", flags.options.sampler.temperature,
                 "0: always the most probable token; 1: as the model says; more: bolder")
      ->type_name("T")
      ->capture_default_str();
  app.add_option("--top-k", flags.options.sampler.top_k, "Only the K most probable tokens; 0: all")
      ->type_name("K")
      ->check(whole_number(0, kMostTokens))
      ->capture_default_str();
  app.add_option("--top-p", flags.options.sampler.top_p,
                 "Only the most probable tokens that together have probability P; 1: all")
      ->type_name("P")
      ->capture_default_str();
  app.add_option("--seed", flags.options.sampler.seed,
                 "The same seed writes the same text, with any number of threads")
      ->type_name("N")
      ->check(whole_number(0, kAnySeed))
      ->capture_default_str();
  app.add_option("--stop", flags.options.stops,
                 "End in front of this text; may be given several times")
      ->type_name("TEXT")
      ->allow_extra_args(false);
}

Run setup_generate(CLI::App& app) {
  auto flags = std::make_shared<GenerateFlags>();
  flags->options.sampler.top_p = model::kUsualTopP;
  app.add_option("--model,-m", flags->model,
                 "A llama2.c .bin file, a folder of a Hugging Face llama, a run folder, or a "
                 "checkpoint")
      ->type_name("MODEL")
      ->required();
  app.add_option("--prompt,-p", flags->prompt, "What the text begins with; -: standard input")
      ->type_name("TEXT");
  app.add_option("--tokenizer", flags->tokenizer,
                 "bytes, or a vocabulary in llama2.c's tokenizer.bin format; default: the run's, "
                 "bytes for 256 tokens, else MODEL.tokenizer.bin, tok<N>.bin or tokenizer.bin "
                 "beside the model")
      ->type_name("bytes|FILE");
  declare_sampling(app, *flags);
  app.add_option("--precision", flags->precision,
                 "fp16; bf16: products of rounded values; fp32: as other software computes")
      ->check(CLI::IsMember({"fp16", "bf16", "fp32"}))
      ->capture_default_str();
  app.add_option("--engine", flags->engine, "cpu or reference")
      ->check(engine_name())
      ->capture_default_str();
  app.add_option("--threads", flags->threads, "0 = what affinity and cgroup allow")
      ->type_name("N")
      ->check(whole_number(0, engine::EngineOptions::kMostThreads));
  app.add_flag("--ids", flags->ids, "Print the ids of prompt and text instead of the text");
  app.add_flag("--json", flags->json, "Print one JSON object at the end")->excludes("--ids");
  app.add_flag("--stats", flags->stats,
               "Also say how fast it was, and how near to what the memory can give");
  app.add_flag("--explain", flags->explain, "Print what each step of the programs became");
  return [flags] { return run(*flags); };
}

}  // namespace

const Command generate_command = {
    "generate", "Let a trained model write",
    "  anemone generate --model stories15M.bin --prompt \"Once upon a time\"\n"
    "  anemone generate --model runs/tiny --prompt \"ROMEO:\" --tokens 500\n"
    "  anemone generate --model stories15M.bin --temperature 0 --tokens 50 --stats\n"
    "  anemone generate --model llama-folder --tokenizer tokenizer.bin --prompt \"Q: Why?\\nA:\" "
    "--stop \"Q:\"\n"
    "  echo 'The cat' | anemone generate --model stories15M.bin --prompt - --seed 7 --json",
    setup_generate};

}  // namespace anemone::cli
