// The benchmark of generation.
#include "anemone/train/generate_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <vector>

#include "anemone/base/clock.h"
#include "anemone/base/cpu_features.h"
#include "anemone/base/error.h"
#include "anemone/compute/peak.h"
#include "anemone/engine/engines.h"
#include "anemone/model/decoder.h"
#include "anemone/nn/language_model.h"
#include "anemone/train/initial_weights.h"
#include "anemone/train/machine.h"

namespace anemone::train {
namespace {

// Milliseconds of each token. Which tokens does not matter: all take the same way.
std::vector<double> time_tokens(model::Decoder& decoder, std::int64_t tokens) {
  std::vector<double> times;
  for (std::int64_t i = 0; i < tokens; ++i) {
    const auto start = Clock::now();
    const auto token = static_cast<std::uint32_t>(i % decoder.vocabulary());
    if (const Status status = decoder.take(token); !status.ok()) throw Error(status.message);
    times.push_back(milliseconds_since(start));
  }
  return times;
}

}  // namespace

GenerateBench bench_generate(const RunConfig& config, std::int64_t tokens) {
  if (!config.model.is_language_model())
    throw Error("layers alone write no text", "model.vocab", "1 token or more");
  if (tokens > config.model.seq)
    throw Error(fmt::format("{} tokens", tokens), "--tokens",
                fmt::format("at most {}, model.seq", config.model.seq));
  engine::EngineOptions options;
  options.threads = static_cast<int>(config.engine.threads);
  const std::string name = config.engine.name == "auto" ? "cpu" : config.engine.name;
  const auto engine = engine::make_engine(name, options);
  engine::CompileOptions compile;
  if (config.engine.precision == "bf16") compile.products = engine::ProductPrecision::bf16;

  ParameterList parameters(nn::model_parameters(config.model), Holds::values);
  set_initial_weights(parameters, config);
  model::Decoder decoder(config.model, config.model.seq, parameters.weights(), *engine, compile);
  compute::ThreadPool pool(options.threads > 0 ? options.threads : compute::default_thread_count());

  GenerateBench bench;
  bench.engine = name;
  bench.precision = config.engine.precision;
  bench.isa = best_isa();
  bench.cpu = cpu_model_name();
  bench.build = build_text();
  bench.threads = pool.threads();
  bench.tokens = tokens;
  bench.parameters = static_cast<double>(parameters.count());
  bench.read_bytes_per_second = compute::measure_read_bandwidth(pool);
  time_tokens(decoder, std::min<std::int64_t>(tokens, 3));  // the first ones map memory
  decoder.reset();
  std::vector<double> times = time_tokens(decoder, tokens);
  bench.read_bytes_per_second =
      std::max(bench.read_bytes_per_second, compute::measure_read_bandwidth(pool));

  std::sort(times.begin(), times.end());
  bench.ms_per_token = times[times.size() / 2];
  bench.ms_per_token_best = times.front();
  bench.tokens_per_second = 1e3 / bench.ms_per_token;
  bench.weight_bytes = static_cast<double>(decoder.weight_bytes());
  double caches = 0;
  for (std::int64_t i = 0; i < tokens; ++i) caches += static_cast<double>(decoder.cache_bytes(i));
  bench.bytes_per_token = bench.weight_bytes + caches / static_cast<double>(tokens);
  bench.share = bench.bytes_per_token * bench.tokens_per_second / bench.read_bytes_per_second;
  bench.explain = decoder.explain();
  return bench;
}

std::string to_text(const GenerateBench& bench) {
  constexpr double kMega = 1e6, kGiga = 1e9;
  return fmt::format(
      "{}, {}, {} threads, {} on {}\n"
      "model     {:.1f} M parameters, {:.1f} MB packed, {:.1f} MB read a token\n"
      "token     {:.3f} ms median of {}, {:.3f} ms best\n"
      "tokens/s  {:.1f}\n"
      "memory    {:.1f} GB/s of {:.1f} GB/s that can be read: {:.1f} %\n",
      bench.engine, bench.precision, bench.threads, bench.isa, bench.cpu, bench.parameters / kMega,
      bench.weight_bytes / kMega, bench.bytes_per_token / kMega, bench.ms_per_token, bench.tokens,
      bench.ms_per_token_best, bench.tokens_per_second,
      bench.bytes_per_token * bench.tokens_per_second / kGiga, bench.read_bytes_per_second / kGiga,
      100 * bench.share);
}

std::string to_json(const GenerateBench& bench) {
  const nlohmann::ordered_json json = {{"engine", bench.engine},
                                       {"precision", bench.precision},
                                       {"isa", bench.isa},
                                       {"cpu", bench.cpu},
                                       {"build", bench.build},
                                       {"threads", bench.threads},
                                       {"tokens", bench.tokens},
                                       {"parameters", bench.parameters},
                                       {"ms_per_token", bench.ms_per_token},
                                       {"ms_per_token_best", bench.ms_per_token_best},
                                       {"tokens_per_second", bench.tokens_per_second},
                                       {"weight_bytes", bench.weight_bytes},
                                       {"bytes_per_token", bench.bytes_per_token},
                                       {"read_bytes_per_second", bench.read_bytes_per_second},
                                       {"bandwidth_share", bench.share}};
  return json.dump(2) + "\n";
}

}  // namespace anemone::train
