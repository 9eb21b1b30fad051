// Writing metrics.jsonl.
#include "anemone/train/metrics.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "anemone/base/file.h"
#include "anemone/train/json_number.h"

namespace anemone::train {
namespace {

Error system_error(const char* action, const std::filesystem::path& path) {
  return Error(fmt::format("cannot {}: {}", action, std::strerror(errno)), path.string());
}

// Every key of a time is "ms" or begins with "ms_": metrics_compare.h leaves them out.
std::string times_json(const StepTimes& times) {
  return fmt::format(
      R"("ms":{},"ms_engine":{},"ms_host":{},"ms_dw":{},"ms_optimizer":{},"ms_compile":{})",
      json_number(times.total), json_number(times.engine), json_number(times.host_math),
      json_number(times.dw), json_number(times.optimizer), json_number(times.compile));
}

// Cuts the file back to `offset`, which must be the end of a line.
void cut_file(int descriptor, const std::filesystem::path& path, std::uint64_t offset) {
  struct stat info {};
  if (::fstat(descriptor, &info) != 0) throw system_error("read", path);
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (size < offset) {
    throw Error(fmt::format("{} bytes", size), path.string(),
                fmt::format("at least {}, where the checkpoint continues it", offset));
  }
  char last = 0;
  const auto end = static_cast<off_t>(offset);
  if (::pread(descriptor, &last, 1, end - 1) != 1) throw system_error("read", path);
  if (last != '\n') {
    throw Error(fmt::format("no line ends at byte {}", offset), path.string(),
                "the file that the checkpoint continues");
  }
  if (::ftruncate(descriptor, end) != 0) throw system_error("cut back", path);
}

}  // namespace

MetricsLog::MetricsLog(std::filesystem::path path, std::uint64_t offset)
    : path_(std::move(path)), offset_(offset) {
  std::error_code error;
  if (offset == 0 && std::filesystem::file_size(path_, error) > 0 && !error) {
    auto aside = path_;
    aside += ".old";
    std::filesystem::rename(path_, aside, error);
    if (error) throw Error("cannot keep the old one aside: " + error.message(), path_.string());
  }
  descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (descriptor_ < 0) throw system_error("open", path_);
  if (offset == 0) return;
  try {
    cut_file(descriptor_, path_, offset);
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

MetricsLog::~MetricsLog() {
  if (const Status last_try = flush(); !last_try.ok()) pending_.clear();
  ::close(descriptor_);
}

void MetricsLog::step(const StepRecord& record) {
  line(fmt::format(R"({{"type":"step","step":{},"update":{},"loss":{},"loss_scale":{},{}}})",
                   record.step, record.update, json_number(record.loss),
                   json_number(record.loss_scale), times_json(record.times)));
}

void MetricsLog::update(const UpdateRecord& record) {
  const std::string skipped =
      record.skipped.empty() ? "" : R"("skipped":)" + nlohmann::json(record.skipped).dump() + ",";
  const std::string tokens =
      record.tokens == 0 ? "" : fmt::format(R"("tokens":{},)", record.tokens);
  line(fmt::format(
      R"({{"type":"update","update":{},"step":{},"accumulated":{},"loss":{},"grad_norm":{},)"
      R"("learning_rate":{},"loss_scale":{},{}{}{}}})",
      record.update, record.step, record.accumulated, json_number(record.loss),
      json_number(record.grad_norm), json_number(record.learning_rate),
      json_number(record.loss_scale), tokens, skipped, times_json(record.times)));
}

void MetricsLog::line(const std::string& json_object) {
  ANEMONE_CHECK(json_object.find('\n') == std::string::npos, "one object a line");
  pending_ += json_object;
  pending_ += '\n';
  // A failure is kept: flush() and sync() report it as long as it lasts.
  [[maybe_unused]] const Status status = flush();
}

Status MetricsLog::cut_back(std::uint64_t offset) {
  try {
    cut_file(descriptor_, path_, offset);
  } catch (const Error& error) {
    return Status::failure(error.what());
  }
  offset_ = offset;
  pending_.clear();
  return {};
}

Status MetricsLog::flush() {
  while (!pending_.empty()) {
    const ssize_t count = ::write(descriptor_, pending_.data(), pending_.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      return Status::failure(system_error("write", path_).what());
    }
    offset_ += static_cast<std::uint64_t>(count);
    pending_.erase(0, static_cast<std::size_t>(count));
  }
  return {};
}

Status MetricsLog::sync() {
  if (Status status = flush(); !status.ok()) return status;
  return sync_descriptor(descriptor_, path_);
}

std::uint64_t MetricsLog::offset() const { return offset_ + pending_.size(); }

}  // namespace anemone::train
