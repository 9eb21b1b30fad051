// One function of a program on the Neural Engine, as engines show it.
#pragma once

#include <memory>

#include "anemone/engine/ane/program.h"
#include "anemone/engine/engine.h"

namespace anemone::engine::ane {

class Executable final : public engine::Executable {
 public:
  Executable(std::shared_ptr<Program> program, std::size_t function);

  std::unique_ptr<Binding> bind(std::span<Surface* const> inputs,
                                std::span<Surface* const> outputs) override;
  Status update_weights() override { return program_->rebuild(); }
  const void* compiled_program() const override { return program_.get(); }
  std::string explain() const override { return program_->explain(); }
  std::size_t constant_bytes() const override;

  Program& program() const { return *program_; }

 private:
  std::shared_ptr<Program> program_;
  std::size_t function_;
};

}  // namespace anemone::engine::ane
