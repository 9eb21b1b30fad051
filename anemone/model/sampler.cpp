// Greedy choice, and sampling from softmax(logits / temperature), cut to its most probable tokens.
#include "anemone/model/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "anemone/base/error.h"

namespace anemone::model {
namespace {

// e^x for x <= 0 in additions and multiplications only, which are the same everywhere; within two
// units of the last place.
double exp_below_one(double x) {
  constexpr double kLowest = -700;
  if (!(x > kLowest)) return 0;
  constexpr double kLog2e = 1.4426950408889634, kLn2High = 6.93147180369123816490e-01,
                   kLn2Low = 1.90821492927058770002e-10;
  const double n = std::floor(x * kLog2e + 0.5);
  const double r = (x - n * kLn2High) - n * kLn2Low;
  double sum = 1;
  for (int i = 13; i >= 1; --i) sum = 1 + r / i * sum;  // the series, up to |r| = ln(2)/2
  const auto exponent = static_cast<std::uint64_t>(static_cast<std::int64_t>(n) + 1023);
  return sum * std::bit_cast<double>(exponent << 52);
}

std::size_t largest_of(std::span<const float> logits) {
  std::size_t best = logits.size();
  for (std::size_t i = 0; i < logits.size(); ++i)
    if (!std::isnan(logits[i]) && (best == logits.size() || logits[i] > logits[best])) best = i;
  // After overflows there is nothing to choose from.
  if (best == logits.size() || std::isinf(logits[best]))
    throw Error("the model's logits are not finite numbers", {},
                "a model whose values stay within the element type (try --precision fp32)");
  return best;
}

}  // namespace

Sampler::Sampler(const SamplerOptions& options) : options_(options), random_(options.seed) {
  if (!(options.temperature >= 0) || std::isinf(options.temperature))
    throw Error(fmt::format("a temperature of {}", options.temperature), "temperature",
                "0 (greedy) or more");
  if (options.top_k < 0)
    throw Error(fmt::format("the {} most probable tokens", options.top_k), "top-k",
                "1 or more, or 0 for all");
  if (!(options.top_p > 0) || options.top_p > 1)
    throw Error(fmt::format("a probability of {}", options.top_p), "top-p", "above 0, at most 1");
}

bool Sampler::is_before(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

std::uint32_t Sampler::sample(std::span<const float> logits) {
  const std::size_t best = largest_of(logits);
  if (options_.temperature == 0) return static_cast<std::uint32_t>(best);
  candidates_.clear();
  for (std::size_t i = 0; i < logits.size(); ++i)
    if (!std::isnan(logits[i]))
      candidates_.push_back({logits[i], static_cast<std::uint32_t>(i), 0});
  keep_top_k();
  for (Candidate& candidate : candidates_) {
    const double below = static_cast<double>(candidate.logit) - static_cast<double>(logits[best]);
    candidate.weight = exp_below_one(below / options_.temperature);
  }
  keep_top_p();
  double sum = 0;
  for (const Candidate& candidate : candidates_) sum += candidate.weight;
  double rest = random_.uniform() * sum;
  for (const Candidate& candidate : candidates_) {
    rest -= candidate.weight;
    if (rest < 0) return candidate.id;
  }
  return candidates_.back().id;  // what rounding left over
}

void Sampler::keep_top_k() {
  const auto k = static_cast<std::size_t>(options_.top_k);
  if (k == 0 || k >= candidates_.size()) return;
  const auto end = candidates_.begin() + static_cast<std::ptrdiff_t>(k);
  std::nth_element(candidates_.begin(), end, candidates_.end(), is_before);
  candidates_.erase(end, candidates_.end());
  std::sort(candidates_.begin(), candidates_.end(), is_before);
}

void Sampler::keep_top_p() {
  if (options_.top_p >= 1) return;
  double sum = 0;
  for (const Candidate& candidate : candidates_) sum += candidate.weight;
  // What is less probable than this cannot be among them, and need not be sorted.
  const double least = (1 - options_.top_p) / static_cast<double>(candidates_.size()) * sum;
  std::erase_if(candidates_, [&](const Candidate& c) { return c.weight < least; });
  std::sort(candidates_.begin(), candidates_.end(), is_before);
  double taken = 0;
  std::size_t count = 0;
  while (count < candidates_.size() && taken < options_.top_p * sum)
    taken += candidates_[count++].weight;
  candidates_.resize(std::max<std::size_t>(1, count));
}

}  // namespace anemone::model
