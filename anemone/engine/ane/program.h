// A legal program on the Neural Engine, its current model, and the bindings that use it. New
// weights mean a new model: the bindings move to it and the old one goes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "anemone/engine/ane/driver/compile_service.h"
#include "anemone/engine/ane/driver/request.h"
#include "anemone/engine/ane/legalize.h"
#include "anemone/engine/engine.h"

namespace anemone::engine::ane {

class Program {
 public:
  struct Setup {
    std::shared_ptr<CompileService> service;
    Clock* clock = nullptr;
    bool map_surfaces = false;
    std::string name;
    const mil::WeightStore* weights = nullptr;
    std::filesystem::path model_directory;
  };
  // Something that holds requests to the model. Moving must either succeed or leave it as it was.
  class Client {
   public:
    virtual ~Client() = default;
    virtual std::unique_ptr<Request> make_request(const Model& model) = 0;  // throws Error
    virtual void take(std::unique_ptr<Request> request) = 0;
  };

  Program(LegalizedProgram legal, const Setup& setup);  // compiles; throws Error

  Status rebuild();  // with the present weights; on failure the old model stays
  void add(Client* client) { clients_.push_back(client); }
  void remove(Client* client);

  const LegalFunction& function(std::size_t index) const { return legal_.functions[index]; }
  const FunctionLayout& layout(std::size_t index) const {
    return model_->layout().functions[index];
  }
  const Model& model() const { return *model_; }
  const Setup& setup() const { return setup_; }
  std::size_t blob_bytes() const;
  bool has_weights() const;
  std::string explain() const;

 private:
  ModelSource source() const;

  Setup setup_;
  LegalizedProgram legal_;
  std::unique_ptr<Model> model_;
  std::vector<Client*> clients_;
};

}  // namespace anemone::engine::ane
