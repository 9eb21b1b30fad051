// See compile_service.h.
#include "anemone/engine/ane/driver/compile_service.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <vector>

#include "anemone/base/error.h"
#include "anemone/base/file.h"
#include "anemone/engine/ane/target.h"
#include "anemone/mil/blob_file.h"

namespace anemone::engine::ane {
namespace {

namespace fs = std::filesystem;

void save_files(const fs::path& folder, const ModelSource& source) {
  for (const ModelFile& file : source.files) {
    std::vector<std::byte> bytes(file.bytes);
    file.write(bytes);
    const fs::path path = folder / path_in_folder(file.path);
    fs::create_directories(path.parent_path());
    FileWriter writer(path);
    writer.write(std::span<const std::byte>(bytes));
    if (const Status status = writer.finish(); !status.ok()) throw Error(status.message);
  }
}

void save_text(const fs::path& path, std::string_view text) {
  if (const Status status = write_file_atomically(path, text); !status.ok())
    throw Error(status.message);
}

}  // namespace

CompileService::CompileService(std::shared_ptr<const Framework> framework,
                               const ServiceOptions& options)
    : framework_(std::move(framework)),
      clock_(options.clock != nullptr ? *options.clock : system_clock()),
      calls_(std::make_shared<CallThread>(clock_, options.limits)),
      failures_(options.failures.empty() ? fs::temp_directory_path() : options.failures) {}

std::unique_ptr<Model> CompileService::build(const ModelSource& source) {
  if (auto stuck = calls_->stuck()) {
    stuck->earlier = true;
    throw Error(stuck->describe(), source.name, "another process");
  }
  for (int tries = 1;; ++tries) {
    Failure failure;
    std::unique_ptr<Model> model = Model::make(framework_, calls_, source, failure);
    if (model == nullptr) give_up(source, failure);
    const auto failed = compile_and_load(*model);
    if (!failed) {
      model->read_layout(source);
      return model;
    }
    // A failed load was tried again already.
    const bool again =
        failed->action == Action::compile && decide(*failed, tries).verdict == Verdict::retry;
    if (!again) give_up(source, *failed);
  }
}

std::optional<Failure> CompileService::compile_and_load(Model& model) {
  const bool cached = model.is_compiled();
  if (!cached) {
    if (auto failure = compile(model)) return failure;
    return load(model);
  }
  ++cache_hits_;
  auto failure = load(model);
  if (!failure || failure->no_answer) return failure;
  // What is in the cache may be of another version of the system: once more from the beginning.
  model.purge();
  if (auto again = compile(model)) return again;
  return load(model);
}

std::optional<Failure> CompileService::compile(Model& model) {
  if (failed_at_) clock_.sleep(pause_before_compile(clock_.now() - *failed_at_));
  failed_at_.reset();
  ++compiles_;
  auto failure = model.compile();
  if (failure) failed_at_ = clock_.now();
  return failure;
}

std::optional<Failure> CompileService::load(Model& model) {
  for (int tries = 1;; ++tries) {
    auto failure = model.load();
    if (!failure) return {};
    const Decision decision = decide(*failure, tries);
    if (decision.verdict == Verdict::stop) return failure;
    clock_.sleep(decision.wait);
  }
}

void CompileService::give_up(const ModelSource& source, const Failure& failure) {
  std::string text = failure.describe();
  if (failure.action == Action::compile && compiles_ > kCompileLimit)
    text += fmt::format(
        "; this process has compiled more than {} programs, which is about what "
        "the system allows",
        kCompileLimit);
  text += "; " + save(source, failure);
  throw Error(text, source.name);
}

// The same text for the same program every time, so that whoever tries again sees that nothing
// changed.
std::string CompileService::save(const ModelSource& source, const Failure& failure) {
  const auto found = saved_.find(source.name);
  if (found != saved_.end()) return found->second;
  std::string text;
  try {
    std::string folder =
        (failures_ / fmt::format("anemone-failed-{}-XXXXXX", mil::blob_file_stem(source.name)))
            .string();
    if (mkdtemp(folder.data()) == nullptr) throw Error("no folder could be made", folder);
    save_files(folder, source);
    save_text(fs::path(folder) / "model.mil", source.text);
    save_text(fs::path(folder) / "error.txt", failure.describe() + "\n");
    text = "the program is saved in " + folder;
  } catch (const std::exception& error) {
    text = fmt::format("the program could not be saved: {}", error.what());
  }
  saved_[source.name] = text;
  return text;
}

}  // namespace anemone::engine::ane
