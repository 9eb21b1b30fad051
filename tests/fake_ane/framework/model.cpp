#include "tests/fake_ane/framework/model.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "anemone/base/error.h"
#include "anemone/base/hash.h"

namespace anemone::fake_ane {
namespace {

namespace fs = std::filesystem;

constexpr long kCompileFailed = 1;  // codes of NSErrors
constexpr long kLoadFailed = 6;
constexpr long kEvaluateFailed = 8;

struct State {
  std::mutex mutex;
  long compiles = 0;
  long loaded = 0;
  std::map<std::string, std::shared_ptr<Program>> cache;
  std::string last_compile_error;
};

State& state() {
  static State* const kState = new State;  // never destroyed: used until the process ends
  return *kState;
}

std::unique_ptr<Problem> problem(const char* domain, long code, std::string text) {
  auto result = std::make_unique<Problem>();
  result->domain = domain;
  result->code = code;
  result->text = std::move(text);
  return result;
}

// The scripted failure, with what it does not say taken from the point's own.
std::unique_ptr<Problem> problem(const Fault& fault, const char* domain, long code,
                                 std::string text) {
  auto result = problem(fault.domain.empty() ? domain : fault.domain.c_str(),
                        fault.code == 0 ? code : fault.code,
                        fault.text.empty() ? std::move(text) : fault.text);
  result->no_error = fault.no_error;
  return result;
}

std::string status_text(long status) {
  std::ostringstream text;
  text << "processing the request failed with status=0x" << std::hex << status
       << " : statusType=0x9: Program Inference error";
  return text.str();
}

// As long as the real one: 64 digits.
std::string long_hash(std::span<const std::byte> bytes) {
  ContentHash again;
  again.update(bytes);
  again.update(std::as_bytes(std::span("#", 1)));
  return content_hash(bytes) + again.hex();
}

std::span<const std::byte> bytes_of(const DataBody& data) {
  return {static_cast<const std::byte*>(data.bytes), data.size};
}

bool file_is(const fs::path& path, std::span<const std::byte> bytes) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream contents;
  contents << file.rdbuf();
  const std::string text = contents.str();
  return file.good() && text.size() == bytes.size() &&
         std::equal(bytes.begin(), bytes.end(), std::as_bytes(std::span(text)).begin());
}

// Takes part of the budget; what is wrong when there is none left.
std::string take_compile(const Settings& settings) {
  const std::lock_guard lock(state().mutex);
  ++state().compiles;
  if (settings.budget == 0 || state().compiles <= settings.budget) return {};
  return "ANECCompile() FAILED: this process has used up its " + std::to_string(settings.budget) +
         " compiles";
}

void remember_compile_error(const std::string& text) {
  const std::lock_guard lock(state().mutex);
  state().last_compile_error = text;
}

std::shared_ptr<Program> find_cached(const std::string& identifier) {
  const std::lock_guard lock(state().mutex);
  const auto found = state().cache.find(identifier);
  return found == state().cache.end() ? nullptr : found->second;
}

}  // namespace

std::string_view DescriptorBody::text() const {
  const DataBody* data = data_of(text_data.get());
  return {static_cast<const char*>(data->bytes), data->size};
}

std::map<std::string, const DataBody*> DescriptorBody::files() const {
  std::map<std::string, const DataBody*> files;
  for (const auto& [key, value] : dictionary_of(weights.get())->entries) {
    files[*string_of(key.get())] = data_of(entry_of(value.get(), "data"));
  }
  return files;
}

std::string DescriptorBody::identifier() const {
  ContentHash hash;
  for (const auto& [path, data] : files()) {
    hash.update(std::as_bytes(std::span(path)));
    hash.update(bytes_of(*data));
  }
  const std::string of_files = hash.hex();
  return long_hash(std::as_bytes(std::span(text()))) + "_" + long_hash({}) + "_" +
         long_hash(std::as_bytes(std::span(of_files)));
}

ModelBody::ModelBody(Ref descriptor) : descriptor_(std::move(descriptor)) {
  identifier_ = this->descriptor().identifier();
}

ModelBody::~ModelBody() {
  if (!loaded_) return;
  violation("a model was released while it was loaded");
  const std::lock_guard lock(state().mutex);
  --state().loaded;
}

const DescriptorBody& ModelBody::descriptor() const {
  return *body_of<DescriptorBody>(descriptor_.get());
}

void ModelBody::check_files() const {
  const fs::path directory = fs::path(temporary_directory()) / identifier_;
  const std::string_view text = descriptor().text();
  if (!file_is(directory / "model.mil", std::as_bytes(std::span(text)))) {
    throw Error("model.mil is not there, or is another text", directory.string());
  }
  for (const auto& [path, data] : descriptor().files()) {
    const fs::path file = directory / path.substr(std::string_view("@model_path/").size());
    if (!file_is(file, bytes_of(*data))) {
      throw Error("it is not there, or has other contents than the dictionary", file.string());
    }
  }
}

std::unique_ptr<Problem> ModelBody::compile() {
  const Fault fault = next_fault(Point::compile);
  const std::lock_guard lock(mutex_);
  Settings now = settings();
  if (fault.strides != 0) now.rows = fault.strides;
  std::string wrong = take_compile(now);
  if (fault.fail) return problem(fault, kCompilerDomain, kCompileFailed, "ANECCompile() FAILED");
  const fs::path directory = fs::path(temporary_directory()) / identifier_;
  if (wrong.empty()) {
    try {
      check_files();
      std::set<std::string> names;
      for (const auto& [path, data] : descriptor().files()) names.insert(path);
      program_ = std::make_shared<Program>(descriptor().text(), names, directory, now);
      std::ofstream(directory / "net.plist") << identifier_ << "\n";
      std::ofstream(directory / "data") << "compiled\n";
    } catch (const std::exception& error) {
      wrong = error.what();
      if (wrong.find("ANECCompile") == std::string::npos) wrong = "InvalidMILProgram: " + wrong;
    }
  }
  remember_compile_error(wrong);
  if (!wrong.empty()) return problem(kCompilerDomain, kCompileFailed, wrong);
  if (now.cache) {
    const std::lock_guard cache_lock(state().mutex);
    state().cache[identifier_] = program_;
  }
  wait_ms(fault.late_ms);
  return nullptr;
}

bool ModelBody::compiled_exists() {
  const Settings now = settings();
  if (now.exists != Exists::real) return now.exists == Exists::yes;
  if (find_cached(identifier_) != nullptr) return true;
  const std::lock_guard lock(mutex_);
  return program_ != nullptr &&
         fs::exists(fs::path(temporary_directory()) / identifier_ / "net.plist");
}

void ModelBody::purge() {
  const std::lock_guard lock(state().mutex);
  state().cache.erase(identifier_);
}

std::unique_ptr<Problem> ModelBody::load() {
  const Fault fault = next_fault(Point::load);
  const std::lock_guard lock(mutex_);
  if (fault.fail) return problem(fault, kDomain, kLoadFailed, "Program load failure (0x1)");
  if (loaded_) {
    violation("a model was loaded twice");
    return problem(kDomain, kLoadFailed, "Program load failure: it is loaded");
  }
  const fs::path plist = fs::path(temporary_directory()) / identifier_ / "net.plist";
  if (program_ == nullptr || !fs::exists(plist)) program_ = find_cached(identifier_);
  if (program_ == nullptr) {
    return problem(kDomain, kLoadFailed, "Program load failure: there is no compiled program");
  }
  const Settings now = settings();
  {
    const std::lock_guard state_lock(state().mutex);
    if (now.loaded != 0 && state().loaded >= now.loaded) {
      return problem(kDomain, kLoadFailed, "Program load failure (0x20004)");
    }
    ++state().loaded;
  }
  loaded_ = true;
  attributes_ = attributes_of(*program_, now);
  auto inner = std::make_unique<InnerModelBody>();
  inner->attributes = attributes_;
  inner_ = Ref::adopt(make_object(inner_model_class(), std::move(inner)));
  wait_ms(fault.late_ms);
  return nullptr;
}

std::unique_ptr<Problem> ModelBody::unload() {
  // It is unloaded in the end, whatever the script says.
  struct AtTheEnd {
    ModelBody& model;
    ~AtTheEnd() { model.forget_loaded(); }
  };
  const AtTheEnd end{*this};
  const Fault fault = next_fault(Point::unload);
  {
    const std::lock_guard lock(mutex_);
    if (!loaded_) {
      violation("a model was unloaded that was not loaded");
      return problem(kDomain, kLoadFailed, "Program unload failure: it is not loaded");
    }
  }
  if (!fault.fail) return nullptr;
  return problem(fault, kDomain, kLoadFailed, "Program unload failure");
}

void ModelBody::forget_loaded() {
  const std::lock_guard lock(mutex_);
  if (!loaded_) return;
  loaded_ = false;
  attributes_ = {};
  inner_ = {};
  const std::lock_guard state_lock(state().mutex);
  --state().loaded;
}

std::unique_ptr<Problem> ModelBody::evaluate(const RequestBody& request) {
  const EvaluationUnderWay under_way;
  const Fault fault = next_fault(Point::evaluate);
  const Settings now = settings();
  wait_ms(now.slow_ms);
  std::shared_ptr<Program> program;
  {
    const std::lock_guard lock(mutex_);
    if (loaded_) program = program_;
  }
  if (program == nullptr) {
    violation("a program was evaluated that is not loaded");
    return problem(kDomain, kEvaluateFailed, status_text(kStatusNotLoaded));
  }
  if (fault.garbage) {
    for (const BoundSurface& bound : request.outputs) {
      const SurfaceBody::DeviceAccess access(*bound.surface);
      std::fill_n(access.data(), bound.surface->bytes(), std::byte{0xff});
    }
  }
  if (fault.fail) {
    const long status = fault.status == 0 ? kStatusBadSurface : fault.status;
    return problem(fault, kDomain, kEvaluateFailed, status_text(status));
  }
  const long status = program->run(request.procedure, request.inputs, request.outputs, now);
  if (status == kStatusOk) return nullptr;
  return problem(kDomain, kEvaluateFailed, status_text(status));
}

std::string temporary_directory() {
  const char* chosen = std::getenv("TMPDIR");
  const std::string path = chosen == nullptr || *chosen == '\0' ? "/tmp" : chosen;
  return path.back() == '/' ? path : path + "/";
}

long loaded_programs() {
  const std::lock_guard lock(state().mutex);
  return state().loaded;
}

std::string last_compile_error() {
  const std::lock_guard lock(state().mutex);
  return state().last_compile_error;
}

void forget_programs() {
  const std::lock_guard lock(state().mutex);
  state().compiles = 0;
  state().cache.clear();
  state().last_compile_error.clear();
}

}  // namespace anemone::fake_ane
