// Turns programs into loaded models, and knows what the system allows: so many compiles a process,
// a pause after a failed one, a second try where that can help. A program that cannot be compiled
// is saved for whoever wants to know why. One thread at a time.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "anemone/engine/ane/driver/call_thread.h"
#include "anemone/engine/ane/driver/failure.h"
#include "anemone/engine/ane/driver/model.h"

namespace anemone::engine::ane {

struct ServiceOptions {
  Clock* clock = nullptr;  // null: the system's
  CallLimits limits;
  std::filesystem::path failures;  // programs that failed; empty: the temporary directory
};

class CompileService {
 public:
  CompileService(std::shared_ptr<const Framework> framework, const ServiceOptions& options);

  // Throws Error with what the compiler said, the program's name, and the folder it was saved to.
  std::unique_ptr<Model> build(const ModelSource& source);

  // Compiles asked for so far, failed ones too; programs found compiled do not count.
  int compiles() const { return compiles_; }
  int cache_hits() const { return cache_hits_; }
  const Framework& framework() const { return *framework_; }

 private:
  std::optional<Failure> compile_and_load(Model& model);
  std::optional<Failure> compile(Model& model);
  std::optional<Failure> load(Model& model);
  [[noreturn]] void give_up(const ModelSource& source, const Failure& failure);
  std::string save(const ModelSource& source, const Failure& failure);

  std::shared_ptr<const Framework> framework_;
  Clock& clock_;
  std::shared_ptr<CallThread> calls_;
  std::filesystem::path failures_;
  int compiles_ = 0, cache_hits_ = 0;
  std::optional<Milliseconds> failed_at_;
  std::map<std::string, std::string> saved_;  // program → folder
};

}  // namespace anemone::engine::ane
