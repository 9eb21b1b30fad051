// See program.h.
#include "anemone/engine/ane/program.h"

#include <fmt/format.h>

#include <algorithm>

#include "anemone/base/error.h"

namespace anemone::engine::ane {
namespace {

std::vector<DeclaredTensor> declared(const std::vector<LegalBuffer>& buffers) {
  std::vector<DeclaredTensor> tensors;
  for (const LegalBuffer& buffer : buffers) tensors.push_back({buffer.name, buffer.type});
  return tensors;
}

// Ports are planned once, so a new model must want its tensors where the old one did; indices may
// change.
bool same_places(const std::vector<TensorLayout>& a, const std::vector<TensorLayout>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const TensorLayout& x, const TensorLayout& y) {
                      return std::equal(x.strides, x.strides + 4, y.strides) && x.bytes <= y.bytes;
                    });
}

}  // namespace

Program::Program(LegalizedProgram legal, const Setup& setup)
    : setup_(setup), legal_(std::move(legal)), model_(setup_.service->build(source())) {}

ModelSource Program::source() const {
  ModelSource source;
  source.name = setup_.name;
  source.text = legal_.text;
  source.keep_compiled = !has_weights();
  for (const LegalBlob& blob : legal_.blobs) {
    source.files.push_back({blob.path, blob.bytes(), [this, &blob](std::span<std::byte> file) {
                              mil::ConstantSource constants(setup_.weights, setup_.model_directory);
                              blob.write(constants, file);
                            }});
  }
  for (const LegalFunction& function : legal_.functions)
    source.functions.push_back(
        {function.name, declared(function.input_buffers), declared(function.output_buffers)});
  return source;
}

Status Program::rebuild() {
  try {
    std::unique_ptr<Model> model = setup_.service->build(source());
    for (std::size_t i = 0; i < legal_.functions.size(); ++i) {
      const FunctionLayout &now = model->layout().functions[i], &before = layout(i);
      if (!same_places(now.inputs, before.inputs) || !same_places(now.outputs, before.outputs))
        throw Error("with new weights the compiled program wants its inputs or outputs elsewhere",
                    setup_.name, "the layout it had when it was first compiled");
    }
    std::vector<std::unique_ptr<Request>> requests;
    for (Client* client : clients_) requests.push_back(client->make_request(*model));
    for (std::size_t i = 0; i < clients_.size(); ++i) clients_[i]->take(std::move(requests[i]));
    model_ = std::move(model);
  } catch (const Error& error) {
    // A status is about this program, whose name is known to whoever asked.
    const std::string where = error.where() == setup_.name ? std::string() : error.where();
    return Status::failure(Error(error.problem(), where, error.expected()).what());
  }
  return {};
}

void Program::remove(Client* client) {
  clients_.erase(std::remove(clients_.begin(), clients_.end(), client), clients_.end());
}

std::size_t Program::blob_bytes() const {
  std::size_t sum = 0;
  for (const LegalBlob& blob : legal_.blobs) sum += blob.bytes();
  return sum;
}

bool Program::has_weights() const {
  return std::any_of(legal_.blobs.begin(), legal_.blobs.end(),
                     [](const LegalBlob& blob) { return blob.from_weights; });
}

std::string Program::explain() const {
  std::string text = fmt::format(
      "one program on the Neural Engine: {} function(s), {} files of constants with {} bytes\n",
      legal_.functions.size(), legal_.blobs.size(), blob_bytes());
  for (const LegalNote& note : legal_.notes)
    text += fmt::format("{}: {} (rule {})\n", note.where, note.text, note.rule);
  for (const std::string& assumption : model_->layout().assumed)
    text += fmt::format("not reported by the system, taken by rule: {}\n", assumption);
  return text;
}

}  // namespace anemone::engine::ane
