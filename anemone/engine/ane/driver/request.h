// A model's function bound to surfaces: the request is made once, then evaluated as often as wanted
// without allocating anything. An evaluation that does not return is a failure after a limit
// (call_thread.h).
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "anemone/base/error.h"
#include "anemone/engine/ane/driver/model.h"
#include "anemone/engine/ane/driver/surface.h"

namespace anemone::engine::ane {

class Request {
 public:
  // Surfaces in the order of the function's tensors. `map` tries to map them for the engine ahead
  // of time, which some systems refuse and none needs. Throws Error.
  Request(const Model& model, std::size_t function, std::span<IoSurface* const> inputs,
          std::span<IoSurface* const> outputs, Clock& clock, bool map);
  ~Request();
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  // Blocks until the outputs are written, or says why not.
  Status run();

  Id get() const { return request_->get(); }

 private:
  std::shared_ptr<Call> make_call(Action action, Call::Send send) const;
  bool map();

  const Model& model_;
  Clock& clock_;
  std::shared_ptr<Call> evaluate_;
  std::shared_ptr<Retained> request_;  // of the calls too, which let go of it in a pool
  bool mapped_ = false;
};

}  // namespace anemone::engine::ane
