#include "tests/support/fake_ane.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "tests/support/shared.h"
#include "tests/support/temporary_directory.h"

namespace anemone::test {
namespace {

template <class Function>
void resolve(void* library, const char* symbol, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, symbol));
  if (function == nullptr) throw std::runtime_error(std::string("no function ") + symbol);
}

}  // namespace

FakeAne* FakeAne::load() {
  static const std::unique_ptr<FakeAne> kFake = []() -> std::unique_ptr<FakeAne> {
    const auto path = fake_ane_library();
    if (!path) return nullptr;
    std::unique_ptr<FakeAne> fake(new FakeAne);
    static const TemporaryDirectory kFolder;
    fake->folder_ = kFolder.path().string();
    setenv("ANEMONE_ANE_LIBRARY", path->c_str(), 1);
    setenv("TMPDIR", fake->folder_.c_str(), 1);
    fake->library_ = dlopen(path->c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (fake->library_ == nullptr) throw std::runtime_error(dlerror());
    void* library = fake->library_;
    resolve(library, "fake_ane_script", fake->script_);
    resolve(library, "fake_ane_reset", fake->reset_);
    resolve(library, "fake_ane_count", fake->count_);
    resolve(library, "fake_ane_live", fake->live_);
    resolve(library, "fake_ane_live_objects", fake->live_objects_);
    resolve(library, "fake_ane_created_objects", fake->created_objects_);
    resolve(library, "fake_ane_loaded_programs", fake->loaded_programs_);
    resolve(library, "fake_ane_held", fake->held_);
    resolve(library, "fake_ane_let_go", fake->let_go_);
    resolve(library, "fake_ane_violations", fake->violations_);
    resolve(library, "fake_ane_describe_live", fake->describe_live_);
    resolve(library, "fake_ane_last_compile_error", fake->last_compile_error_);
    return fake;
  }();
  return kFake.get();
}

void FakeAne::script(const std::string& text) {
  reset_();
  const char* wrong = script_(text.c_str());
  if (wrong != nullptr) throw std::invalid_argument(wrong);
}

std::string FakeAne::left_files() const {
  std::string names;
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    const std::string name = entry.path().filename().string();
    const bool other_test = name.rfind("anemone-test-", 0) == 0;
    if (!other_test) names += name + "\n";
  }
  return names;
}

void* FakeAne::find(const char* symbol) const { return dlsym(library_, symbol); }

}  // namespace anemone::test
