// A run asks the host for no memory: it allocates exactly what the framework itself does for the
// bare message. And the host locks and reads surfaces without any.
#include <gtest/gtest.h>

#include <cstdlib>

#include "anemone/engine/ane/driver/compile_service.h"
#include "anemone/engine/ane/driver/request.h"
#include "tests/ane_driver/fault_programs.h"
#include "tests/support/allocation_count.h"
#include "tests/support/fake_ane.h"

namespace anemone::test {
namespace {

using namespace engine;
using namespace engine::ane;

constexpr int kRuns = 128;

using Surfaces = std::vector<std::unique_ptr<IoSurface>>;

Surfaces make_surfaces(const std::shared_ptr<const Framework>& framework,
                       const std::vector<TensorLayout>& layouts,
                       std::vector<IoSurface*>& pointers) {
  Surfaces surfaces;
  for (const TensorLayout& layout : layouts) {
    BufferSpec spec;
    spec.bytes = static_cast<std::size_t>(layout.bytes);
    surfaces.push_back(std::make_unique<IoSurface>(framework, spec));
    pointers.push_back(surfaces.back().get());
  }
  return surfaces;
}

template <class Work>
long allocations_of(const Work& work) {
  work();  // what is made once is there from now on
  const long before = *allocation_count();
  for (int i = 0; i < kRuns; ++i) work();
  return *allocation_count() - before;
}

TEST(AneAllocation, ARunAllocatesWhatTheBareMessageDoes) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  if (!allocation_count()) GTEST_SKIP() << "allocations are not counted in this build";
  fake.script("threads 1");
  const auto framework = Framework::open();
  CompileService service(framework, {});
  const auto model = service.build(fault_programs()[0]->source(0));
  const FunctionLayout& layout = model->layout().functions[0];
  std::vector<IoSurface*> in, out;
  const Surfaces inputs = make_surfaces(framework, layout.inputs, in);
  const Surfaces outputs = make_surfaces(framework, layout.outputs, out);
  Request request(*model, 0, in, out, system_clock(), /*map=*/false);

  const ModelObject& object = *model->object();
  const long bare = allocations_of([&] {
    const AutoreleasePool pool(framework->runtime);
    Id error = nullptr;
    ASSERT_NE(
        framework->evaluate(object.model.get(), kQos, object.options.get(), request.get(), &error),
        0);
  });
  const long run = allocations_of([&] { ASSERT_TRUE(request.run().ok()); });
  EXPECT_GE(bare, kRuns) << "the fake makes a pool for each: nothing was counted";
  // The fake keeps lists that grow now and then; one allocation a run would be 128 more.
  EXPECT_LT(std::abs(run - bare), kRuns / 8) << run << " and " << bare;
  EXPECT_EQ(allocations_of([&] { const HostAccess access(*in[0], Access::write); }), 0);
}

}  // namespace
}  // namespace anemone::test
