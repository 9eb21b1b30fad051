// The sequence of calls (docs/ane.md has it as a table).
#include "anemone/engine/ane/driver/model.h"

#include <fmt/format.h>

#include <array>
#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>
#include <utility>

#include "anemone/base/error.h"
#include "anemone/engine/ane/driver/foundation.h"

namespace anemone::engine::ane {
namespace {

constexpr int kMaxFolderTries = 4;

// A program's name in the system follows from its text. Where another user holds the folder of that
// name, this makes it another program: the text with some white space behind it.
std::string unique_white_space() {
  static std::random_device random;
  std::string text;
  for (int word = 0; word < 2; ++word) {
    const auto bits = static_cast<std::uint32_t>(random());
    for (int bit = 0; bit < 32; ++bit) text += ((bits >> bit) & 1U) != 0 ? '\t' : ' ';
  }
  return text + "\n";
}

// @{ path: @{ @"offset": @0, @"data": bytes } }; empty, not nil, for a program without files.
Id weights_dictionary(const Framework& f, std::span<const std::pair<Id, Id>> files) {
  std::vector<std::pair<Id, Id>> entries;
  const Id offset_key = to_string(f, "offset"), data_key = to_string(f, "data");
  const Id zero = to_number(f, 0);
  for (const auto& [path, data] : files) {
    const std::array<std::pair<Id, Id>, 2> entry = {{{offset_key, zero}, {data_key, data}}};
    entries.emplace_back(path, to_dictionary(f, entry));
  }
  return to_dictionary(f, entries);
}

struct Contents {
  std::vector<std::vector<std::byte>> files;
  std::vector<std::pair<Id, Id>> objects;  // path, data; autoreleased
};

Contents read_files(const Framework& f, const ModelSource& source) {
  Contents contents;
  for (const ModelFile& file : source.files) {
    path_in_folder(file.path);  // complains
    std::vector<std::byte>& bytes = contents.files.emplace_back(file.bytes);
    file.write(bytes);
    contents.objects.emplace_back(to_string(f, file.path), to_data(f, bytes));
  }
  return contents;
}

// Owned, or nothing.
Retained make_descriptor(const Framework& f, const std::string& text, Id weights) {
  const Id data = to_data(f, std::as_bytes(std::span(text.data(), text.size())));
  if (f.make_descriptor) return Retained(f.runtime, f.make_descriptor(data, weights, nullptr));
  return Retained::adopt(f.runtime,
                         f.init_descriptor(f.alloc_descriptor(), data, weights, nullptr, 1));
}

std::filesystem::path folder_of(const Framework& f, Id model) {
  const std::string identifier = from_string(f, f.identifier(model));
  if (identifier.empty() || identifier.find('/') != std::string::npos)
    throw Error(fmt::format("the model calls itself '{}'", identifier));
  return std::filesystem::path(from_string(f, f.temporary_directory())) / identifier;
}

void write_files(ModelFolder& folder, const ModelSource& source, const std::string& text,
                 const Contents& contents) {
  folder.write("model.mil", text);
  for (std::size_t i = 0; i < source.files.size(); ++i)
    folder.write(path_in_folder(source.files[i].path),
                 std::span<const std::byte>(contents.files[i]));
}

struct CallState {
  std::mutex mutex;
  std::condition_variable done;
  std::optional<bool> result;
  bool given_up = false;
};

}  // namespace

std::optional<bool> call_with_limit(std::function<bool()> function, Milliseconds limit,
                                    std::function<void(bool)> late) {
  const auto state = std::make_shared<CallState>();
  std::thread thread([state, function = std::move(function), late = std::move(late)]() mutable {
    const bool result = function();
    function = nullptr;  // lets go of what it holds before anybody hears of the end
    std::unique_lock lock(state->mutex);
    if (state->given_up) {
      lock.unlock();
      late(result);
      return;
    }
    late = nullptr;
    state->result = result;
    state->done.notify_all();
  });
  std::optional<bool> result;
  {
    std::unique_lock lock(state->mutex);
    state->done.wait_for(lock, limit, [&] { return state->result.has_value(); });
    result = state->result;
    state->given_up = !result;
  }
  if (result)
    thread.join();
  else
    thread.detach();
  return result;
}

std::unique_ptr<Model> Model::make(std::shared_ptr<const Framework> framework,
                                   const ModelSource& source, Failure& failure) {
  const Framework& f = *framework;
  const AutoreleasePool pool(f.runtime);
  const Contents contents = read_files(f, source);
  const Id weights = weights_dictionary(f, contents.objects);
  std::string text = source.text;
  for (int tries = 0; tries < kMaxFolderTries; ++tries) {
    failure = {.action = Action::descriptor};
    const Retained descriptor = make_descriptor(f, text, weights);
    if (!descriptor) return nullptr;
    failure = {.action = Action::model};
    Retained model(f.runtime, f.make_model(descriptor.get()));
    if (!model) return nullptr;
    if (auto folder = ModelFolder::acquire(folder_of(f, model.get()))) {
      write_files(*folder, source, text, contents);
      return std::unique_ptr<Model>(new Model(std::move(framework), std::move(model),
                                              std::move(*folder), source.keep_compiled));
    }
    text = source.text + unique_white_space();
  }
  throw Error("others hold the program's folder, and every other name for it");
}

Model::~Model() {
  if (stuck_) return;
  const Framework& f = *framework_;
  const AutoreleasePool pool(f.runtime);
  Id error = nullptr;
  // Whether that works matters to nobody any more.
  if (loaded_) f.unload(model_.get(), kQos, &error);
  if ((compiled_ || loaded_) && !keep_compiled_) purge();
  model_.reset();
}

bool Model::is_compiled() const {
  return framework_->is_compiled && framework_->is_compiled(model_.get()) != 0;
}

void Model::purge() {
  if (framework_->purge) framework_->purge(model_.get());
}

std::optional<Failure> Model::run(Action action, Call call, Milliseconds limit) {
  struct Shared {
    std::shared_ptr<const Framework> framework;
    Retained model, options;
    Failure failure;
  };
  const AutoreleasePool pool(framework_->runtime);
  const auto shared = std::make_shared<Shared>();
  shared->framework = framework_;
  shared->model = Retained(framework_->runtime, model_.get());
  shared->options = Retained(framework_->runtime, to_dictionary(*framework_, {}));
  const auto result = call_with_limit(
      [shared, action, call] {
        const Framework& f = *shared->framework;
        const AutoreleasePool inner(f.runtime);
        Id error = nullptr;
        const bool ok = (f.*call)(shared->model.get(), kQos, shared->options.get(), &error) != 0;
        if (!ok) shared->failure = from_error(f, action, error);
        return ok;
      },
      limit,
      // What is loaded after all must be unloaded before it is let go.
      [shared, action](bool ok) {
        const Framework& f = *shared->framework;
        const AutoreleasePool inner(f.runtime);
        Id error = nullptr;
        if (ok && action == Action::load) f.unload(shared->model.get(), kQos, &error);
      });
  if (!result) {
    stuck_ = true;
    Failure failure;
    failure.action = action;
    failure.no_answer = true;
    failure.text = fmt::format("no answer in {} s", std::chrono::duration<double>(limit).count());
    return failure;
  }
  if (!*result) return shared->failure;
  return {};
}

std::optional<Failure> Model::compile(Milliseconds limit) {
  auto failure = run(Action::compile, &Framework::compile, limit);
  compiled_ = !failure;
  return failure;
}

std::optional<Failure> Model::load(Milliseconds limit) {
  auto failure = run(Action::load, &Framework::load, limit);
  loaded_ = !failure;
  return failure;
}

void Model::read_layout(const ModelSource& source) {
  const Framework& f = *framework_;
  const AutoreleasePool pool(f.runtime);
  Reported reported;
  if (f.attributes) reported = read_reported(f, f.attributes(model_.get()));
  if (reported.networks.empty() && reported.procedures.empty() && f.inner_model &&
      f.inner_attributes) {
    if (const Id inner = f.inner_model(model_.get()); inner != nullptr)
      reported = read_reported(f, f.inner_attributes(inner));
  }
  layout_ = resolve_layout(source.functions, reported);
}

}  // namespace anemone::engine::ane
