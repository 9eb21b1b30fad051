// The wrapped executable and binding.
#include "tests/train/fake_engine.h"

#include <thread>

namespace anemone::test {

class FakeBinding final : public engine::Binding {
 public:
  FakeBinding(FakeEngine& engine, std::string kernel, std::vector<engine::Port> outputs,
              std::vector<engine::Surface*> surfaces, std::unique_ptr<engine::Binding> inner)
      : engine_(engine),
        kernel_(std::move(kernel)),
        outputs_(std::move(outputs)),
        surfaces_(std::move(surfaces)),
        inner_(std::move(inner)) {}

  Status run() override {
    const int run = engine_.runs_[kernel_]++;
    if (engine_.on_run) {
      Status status = engine_.on_run(kernel_, run);
      if (!status.ok()) return status;
    }
    Status status = inner_->run();
    for (const FakeEngine::Spoil& spoil : engine_.spoils)
      if (spoil.kernel == kernel_ && spoil.run == run) fill(spoil.port, spoil.value);
    return status;
  }

 private:
  void fill(const std::string& name, double value) {
    for (const engine::Port& port : outputs_) {
      if (port.name != name) continue;
      const std::vector<double> values(static_cast<std::size_t>(port.shape.elements()), value);
      const engine::HostAccess access(*surfaces_[static_cast<std::size_t>(port.buffer)],
                                      engine::Access::write);
      engine::write_port(access.data(), port, std::span<const double>(values));
    }
  }

  FakeEngine& engine_;
  std::string kernel_;
  std::vector<engine::Port> outputs_;
  std::vector<engine::Surface*> surfaces_;
  std::unique_ptr<engine::Binding> inner_;
};

class FakeExecutable final : public engine::Executable {
 public:
  FakeExecutable(FakeEngine& engine, std::string kernel, std::unique_ptr<engine::Executable> inner)
      : engine_(engine), kernel_(std::move(kernel)), inner_(std::move(inner)) {
    inputs_ = inner_->inputs();
    outputs_ = inner_->outputs();
    input_buffers_ = inner_->input_buffers();
    output_buffers_ = inner_->output_buffers();
  }

  std::unique_ptr<engine::Binding> bind(std::span<engine::Surface* const> inputs,
                                        std::span<engine::Surface* const> outputs) override {
    return std::make_unique<FakeBinding>(
        engine_, kernel_, outputs_, std::vector<engine::Surface*>(outputs.begin(), outputs.end()),
        inner_->bind(inputs, outputs));
  }
  Status update_weights() override {
    if (engine_.on_update) {
      Status status = engine_.on_update(kernel_);
      if (!status.ok()) return status;
    }
    return inner_->update_weights();
  }
  std::string explain() const override { return inner_->explain(); }

 private:
  FakeEngine& engine_;
  std::string kernel_;
  std::unique_ptr<engine::Executable> inner_;
};

class SlowSurface final : public engine::Surface {
 public:
  SlowSurface(std::size_t bytes, std::chrono::milliseconds delay)
      : memory_(bytes), delay_(delay), maker_(std::this_thread::get_id()) {}
  std::size_t bytes() const override { return memory_.size(); }

 private:
  std::byte* lock(engine::Access) override {
    if (std::this_thread::get_id() != maker_) std::this_thread::sleep_for(delay_);
    return memory_.data();
  }
  void unlock(engine::Access) override {}
  AlignedBuffer memory_;
  std::chrono::milliseconds delay_;
  std::thread::id maker_;
};

std::unique_ptr<engine::Surface> FakeEngine::make_surface(const engine::BufferSpec& spec) {
  if (background_read.count() == 0) return inner_.make_surface(spec);
  return std::make_unique<SlowSurface>(spec.bytes, background_read);
}

int FakeEngine::runs(const std::string& kernel) const {
  const auto found = runs_.find(kernel);
  return found == runs_.end() ? 0 : found->second;
}

std::unique_ptr<engine::Executable> FakeEngine::compile(const mil::Function& function,
                                                        const engine::CompileOptions& options) {
  engine::CompileOptions inner_options = options;
  inner_options.pack_io = options.pack_io || traits_.packed_io;
  return std::make_unique<FakeExecutable>(*this, options.name,
                                          inner_.compile(function, inner_options));
}

}  // namespace anemone::test
