// The sequence of calls (docs/ane.md has it as a table).
#include "anemone/engine/ane/driver/model.h"

#include <fmt/format.h>

#include <array>
#include <random>
#include <utility>

#include "anemone/base/error.h"
#include "anemone/engine/ane/driver/foundation.h"
#include "anemone/engine/ane/driver/raised.h"

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

// The two objects of a program, in a new pool of the caller's. Null: `failure` says why.
Retained make_model(const Framework& f, const std::string& text, Id weights, Failure& failure) {
  try {
    failure = {.action = Action::descriptor};
    const Retained descriptor = make_descriptor(f, text, weights);
    if (!descriptor) return {};
    failure = {.action = Action::model};
    return {f.runtime, f.make_model(descriptor.get())};
  } catch (const Raised& raised) {
    failure.raised = true;
    failure.text = raised.what();
    return {};
  }
}

}  // namespace

std::unique_ptr<Model> Model::make(std::shared_ptr<const Framework> framework,
                                   std::shared_ptr<CallThread> calls, const ModelSource& source,
                                   Failure& failure) {
  const Framework& f = *framework;
  const AutoreleasePool pool(f.runtime);
  const Contents contents = read_files(f, source);
  const Id weights = weights_dictionary(f, contents.objects);
  std::string text = source.text;
  for (int tries = 0; tries < kMaxFolderTries; ++tries) {
    const auto object = std::make_shared<ModelObject>();
    object->model = make_model(f, text, weights, failure);
    if (!object->model) return nullptr;
    object->options = Retained(f.runtime, to_dictionary(f, {}));
    object->keep_compiled = source.keep_compiled;
    if (auto folder = ModelFolder::acquire(folder_of(f, object->model.get()))) {
      write_files(*folder, source, text, contents);
      return std::unique_ptr<Model>(
          new Model(std::move(framework), std::move(calls), object, std::move(*folder)));
    }
    text = source.text + unique_white_space();
  }
  throw Error("others hold the program's folder, and every other name for it");
}

Model::~Model() {
  calls_->tidy_up(
      make_call(Action::unload, [object = std::move(object_)](const Framework& f, Id* error) {
        if (object->loaded) f.unload(object->model.get(), kQos, error);
        const bool used = object->compiled || object->loaded;
        if (used && !object->keep_compiled && f.purge) f.purge(object->model.get());
        return true;
      }));
}

std::shared_ptr<Call> Model::make_call(Action action, Call::Send send) const {
  return std::make_shared<Call>(framework_, action, std::move(send));
}

bool Model::is_compiled() {
  if (!framework_->is_compiled) return false;
  const auto failure =
      calls_->run(make_call(Action::look, [object = object_](const Framework& f, Id*) {
        return f.is_compiled(object->model.get()) != 0;
      }));
  return !failure;
}

void Model::purge() {
  if (!framework_->purge) return;
  calls_->tidy_up(make_call(Action::unload, [object = object_](const Framework& f, Id*) {
    f.purge(object->model.get());
    return true;
  }));
}

std::optional<Failure> Model::compile() {
  return calls_->run(make_call(Action::compile, [object = object_](const Framework& f, Id* error) {
    object->compiled = f.compile(object->model.get(), kQos, object->options.get(), error) != 0;
    return object->compiled;
  }));
}

std::optional<Failure> Model::load() {
  return calls_->run(make_call(Action::load, [object = object_](const Framework& f, Id* error) {
    object->loaded = f.load(object->model.get(), kQos, object->options.get(), error) != 0;
    return object->loaded;
  }));
}

void Model::read_layout(const ModelSource& source) {
  const Framework& f = *framework_;
  const AutoreleasePool pool(f.runtime);
  Reported reported;
  if (f.attributes) reported = read_reported(f, f.attributes(object_->model.get()));
  if (reported.networks.empty() && reported.procedures.empty() && f.inner_model &&
      f.inner_attributes) {
    if (const Id inner = f.inner_model(object_->model.get()); inner != nullptr)
      reported = read_reported(f, f.inner_attributes(inner));
  }
  layout_ = resolve_layout(source.functions, reported);
}

}  // namespace anemone::engine::ane
