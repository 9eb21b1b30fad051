// The five host operations of a language model's step.
#include "anemone/train/token_ops.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "anemone/base/element.h"
#include "anemone/base/error.h"
#include "anemone/train/sample.h"

namespace anemone::train {
namespace {

constexpr std::uint32_t kNone = Sample::kNoToken;
constexpr std::size_t kTaskChannels = 64;

std::size_t channels_of(const engine::Port& port) {
  return static_cast<std::size_t>(port.shape[1]);
}

// Between a [1, C, 1, S] tensor and its transposition in fp32, [S, C] row-major.
compute::CopyPlan plan_rows(const engine::Port& port, bool into_tensor) {
  const std::ptrdiff_t channels = port.shape[1];
  Strides rows{};
  rows[1] = 1;
  rows[3] = channels;
  compute::CopySpec spec;
  spec.shape = port.shape;
  spec.in_type = into_tensor ? DType::fp32 : port.dtype;
  spec.in_strides = into_tensor ? rows : port.strides;
  spec.out_type = into_tensor ? port.dtype : DType::fp32;
  spec.out_strides = into_tensor ? port.strides : rows;
  return compute::plan_copy(spec);
}

// Where element [0, channel, 0, position] is, in elements.
std::size_t element_of(const engine::Port& port, std::int64_t channel, std::size_t position) {
  return static_cast<std::size_t>(channel * port.strides[1] +
                                  static_cast<std::int64_t>(position) * port.strides[3]);
}

double log_of_sum(double a, double b) {
  const double larger = std::max(a, b);
  if (std::isinf(larger) && larger < 0) return larger;
  return larger + std::log(std::exp(a - larger) + std::exp(b - larger));
}

}  // namespace

int TokenOps::add(const Op& op) {
  Prepared prepared;
  prepared.op = op;
  const bool embeds = op.kind == nn::HostOp::Kind::embed;
  if (op.tensor.surface != nullptr && (embeds || op.kind == nn::HostOp::Kind::embedding_gradient)) {
    const engine::Port& port = op.tensor.port;
    prepared.copy = plan_rows(port, /*into_tensor=*/embeds);
    rows_.resize(std::max(rows_.size(), static_cast<std::size_t>(port.shape.elements())));
    const auto length = static_cast<std::size_t>(port.shape[3]);
    for (auto* ids : {&inputs_, &targets_}) ids->assign(length, kNone);
    for (auto* numbers : {&logits_, &log_sums_}) numbers->assign(length, 0);
  }
  ops_.push_back(prepared);
  return static_cast<int>(ops_.size()) - 1;
}

void TokenOps::begin(std::span<const std::uint32_t> tokens, double loss_scale) {
  ANEMONE_CHECK(tokens.size() == positions() + 1, "a sample has the model's length");
  std::copy(tokens.begin(), tokens.end() - 1, inputs_.begin());
  std::copy(tokens.begin() + 1, tokens.end(), targets_.begin());
  for (std::size_t s = 0; s < positions(); ++s)
    if (inputs_[s] == kNone) targets_[s] = kNone;
  counted_ = std::count_if(targets_.begin(), targets_.end(),
                           [](std::uint32_t target) { return target != kNone; });
  std::fill(logits_.begin(), logits_.end(), std::numeric_limits<double>::quiet_NaN());
  std::fill(log_sums_.begin(), log_sums_.end(), -std::numeric_limits<double>::infinity());
  loss_scale_ = loss_scale;
  loss_ = 0;
  finite_ = true;
}

void TokenOps::run(int op) {
  const Prepared& prepared = ops_[static_cast<std::size_t>(op)];
  switch (prepared.op.kind) {
    case nn::HostOp::Kind::embed:
      return embed(prepared);
    case nn::HostOp::Kind::pick_targets:
      return pick_targets(prepared.op);
    case nn::HostOp::Kind::join_loss:
      return join_loss(prepared.op);
    case nn::HostOp::Kind::subtract_targets:
      return subtract_targets(prepared.op);
    case nn::HostOp::Kind::embedding_gradient:
      return embedding_gradient(prepared);
  }
}

void TokenOps::embed(const Prepared& prepared) {
  const Tensor& tensor = prepared.op.tensor;
  if (tensor.surface == nullptr) return;
  const std::size_t channels = channels_of(tensor.port);
  const std::span<const float> table = prepared.op.values;
  for (std::size_t s = 0; s < positions(); ++s) {
    // Where there is no token, any numbers do: nothing that counts depends on them.
    const std::size_t row = (inputs_[s] == kNone ? 0 : inputs_[s]) * channels;
    ANEMONE_CHECK(row + channels <= table.size(), "a token is in the vocabulary");
    std::copy_n(table.begin() + static_cast<std::ptrdiff_t>(row), channels,
                rows_.begin() + static_cast<std::ptrdiff_t>(s * channels));
  }
  const engine::HostAccess access(*tensor.surface, engine::Access::write);
  compute::run(pool_, prepared.copy, rows_.data(), access.data() + tensor.port.offset_bytes);
}

void TokenOps::pick_targets(const Op& op) {
  const engine::Port &port = op.tensor.port, &sums = op.log_sum.port;
  const engine::HostAccess logits(*op.tensor.surface, engine::Access::read);
  const engine::HostAccess log_sum(*op.log_sum.surface, engine::Access::read);
  for (std::size_t s = 0; s < positions(); ++s) {
    const double part =
        load_element(sums.dtype, log_sum.data() + sums.offset_bytes, element_of(sums, 0, s));
    log_sums_[s] = log_of_sum(log_sums_[s], part);
    const std::int64_t row = std::int64_t{targets_[s]} - op.first_row;
    if (targets_[s] == kNone || row < 0 || row >= port.shape[1]) continue;
    logits_[s] =
        load_element(port.dtype, logits.data() + port.offset_bytes, element_of(port, row, s));
  }
}

void TokenOps::join_loss(const Op& op) {
  double sum = 0;
  for (std::size_t s = 0; s < positions(); ++s)
    if (targets_[s] != kNone) sum += log_sums_[s] - logits_[s];
  loss_ = counted_ == 0 ? 0 : sum / static_cast<double>(counted_);
  write(op.log_sum, [&](std::size_t s) { return log_sums_[s]; });
  write(op.weight, [&](std::size_t s) { return weight_of(s); });
}

double TokenOps::weight_of(std::size_t position) const {
  return targets_[position] == kNone ? 0 : loss_scale_ / static_cast<double>(counted_);
}

template <class Value>
void TokenOps::write(const Tensor& tensor, const Value& value_at) {
  if (tensor.surface == nullptr) return;
  const engine::HostAccess access(*tensor.surface, engine::Access::write);
  for (std::size_t s = 0; s < positions(); ++s)
    store_element(tensor.port.dtype, access.data() + tensor.port.offset_bytes,
                  element_of(tensor.port, 0, s), value_at(s));
}

void TokenOps::subtract_targets(const Op& op) {
  const engine::Port& port = op.tensor.port;
  const engine::HostAccess access(*op.tensor.surface, engine::Access::read_write);
  std::byte* const data = access.data() + port.offset_bytes;
  for (std::size_t s = 0; s < positions(); ++s) {
    const std::int64_t row = std::int64_t{targets_[s]} - op.first_row;
    if (targets_[s] == kNone || row < 0 || row >= port.shape[1]) continue;
    store_element(port.dtype, data, element_of(port, row, s),
                  weight_of(s) * std::expm1(logits_[s] - log_sums_[s]));
  }
}

// Channels are split over the threads, so that every sum is taken in the order of the positions.
void TokenOps::embedding_gradient(const Prepared& prepared) {
  const Tensor& tensor = prepared.op.tensor;
  const std::size_t channels = channels_of(tensor.port);
  {
    const engine::HostAccess access(*tensor.surface, engine::Access::read);
    compute::run(pool_, prepared.copy, access.data() + tensor.port.offset_bytes, rows_.data());
  }
  float* const gradient = gradients_.at(prepared.op.gradient).data();
  const auto tasks = static_cast<int>((channels + kTaskChannels - 1) / kTaskChannels);
  pool_.run(tasks, [&](int task, int) {
    const std::size_t first = static_cast<std::size_t>(task) * kTaskChannels;
    const std::size_t count = std::min(kTaskChannels, channels - first);
    std::array<float, kTaskChannels> check{};  // 0 times a non-finite number is NaN
    for (std::size_t s = 0; s < positions(); ++s) {
      if (inputs_[s] == kNone) continue;
      const float* const from = rows_.data() + s * channels + first;
      float* const to = gradient + inputs_[s] * channels + first;
      for (std::size_t c = 0; c < count; ++c) {
        to[c] += from[c];
        check[c] += 0 * from[c];
      }
    }
    const bool finite = std::all_of(check.begin(), check.end(), [](float v) { return v == 0; });
    if (!finite) finite_.store(false, std::memory_order_relaxed);
  });
}

}  // namespace anemone::train
