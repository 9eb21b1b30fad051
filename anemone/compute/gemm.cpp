// Running matrix products: a packing region, then the main region over the grid of the plan.
#include "anemone/compute/gemm.h"

#include <algorithm>

#include "anemone/base/error.h"
#include "anemone/compute/gemm_pack.h"
#include "anemone/compute/slots.h"

namespace anemone::compute {
namespace {

// One operand during a run.
struct Source {
  const void* data = nullptr;         // as the caller has it, for a variable one
  const std::byte* panels = nullptr;  // where tasks find the panels
  std::byte* packed = nullptr;        // the same in the workspace, if they are made there
  const std::byte* stored = nullptr;  // a constant's
};

struct Run {
  const GemmPlan& plan;
  const GemmArgs& args;
  Source left, right;
  std::byte* scratch = nullptr;
};

Source make_source(const GemmPlan& plan, GemmSide which, const GemmArgs& args,
                   std::byte* workspace) {
  const bool is_a = which == GemmSide::a;
  const GemmPlan::Side& side = is_a != plan.transposed ? plan.left : plan.right;
  Source source;
  if (side.operand.constant) {
    const PackedMatrix* packed = is_a ? args.packed_a : args.packed_b;
    ANEMONE_CHECK(packed != nullptr && packed->fits(plan, which),
                  "a constant operand needs a matrix packed for this plan");
    source.stored = packed->data();
    source.panels = source.stored;
  } else {
    source.data = is_a ? args.a : args.b;
  }
  if (side.workspace_bytes != 0) {
    source.packed = workspace;
    source.panels = workspace;
  }
  return source;
}

// Task `task` of the packing region, for one side: its share of the panels of all batch items. Who
// packs the first panels of one side packs the first ones of the other, and multiplies them.
void pack_side(const GemmPlan& plan, const GemmPlan::Side& side, const Source& source,
               std::int64_t task) {
  if (!side.packs) return;
  const std::int64_t panels = side.batch * side.panels;
  const std::int64_t end = panels * (task + 1) / plan.pack_tasks;
  for (std::int64_t i = panels * task / plan.pack_tasks; i < end; ++i) {
    std::byte* to = element_at(source.packed, plan.kernel->panel, i * side.panel_elements);
    if (side.operand.constant) {
      plan.convert->load(side.storage,
                         element_at(source.stored, side.storage, i * side.panel_elements), 1,
                         reinterpret_cast<float*>(to), plan.depth * side.width);
    } else {
      pack_panel(plan, side, source.data, i / side.panels, i % side.panels, to);
    }
  }
}

struct Task {
  std::int64_t item;            // of the batch
  std::int64_t m_begin, m_end;  // panels
  std::int64_t n_begin, n_end;
  std::byte* left = nullptr;  // scratch, where the plan says that panels are prepared in the task
  std::byte* right = nullptr;
  float* tiles = nullptr;
  // A finished tile that is stored during the next one, where the kernel does that.
  kernels::GemmStore pending;
  bool is_pending = false;
  int turn = 0;  // of the two tiles
};

const std::byte* panel_at(const GemmPlan& plan, const GemmPlan::Side& side, const Source& source,
                          std::int64_t item, std::int64_t panel, std::int64_t depth) {
  const std::int64_t index = (side.batch == 1 ? 0 : item) * side.panels + panel;
  return element_at(source.panels, plan.kernel->panel,
                    index * side.panel_elements + depth * side.depth_elements);
}

// C is wanted where column <= row (lower) or column >= row (upper); a tile that has none of that is
// skipped.
bool is_wanted(const GemmPlan& plan, std::int64_t row, std::int64_t column) {
  if (plan.spec.c.triangle == Triangle::full) return true;
  const kernels::GemmKernel& kernel = *plan.kernel;
  const bool lower = (plan.spec.c.triangle == Triangle::lower) != plan.transposed;
  return lower ? column <= row + kernel.mr - 1 : column + kernel.nr - 1 >= row;
}

kernels::GemmStore store_of(const Run& run, const Task& task, const kernels::GemmTile& tile,
                            std::int64_t row, std::int64_t column) {
  const GemmPlan& plan = run.plan;
  const GemmSpec& spec = plan.spec;
  kernels::GemmStore store;
  store.tile = tile.tile;
  store.tile_stride = plan.kernel->nr;
  store.rows = tile.rows;
  store.columns = tile.columns;
  store.c_type = spec.c.type;
  store.row_stride = plan.transposed ? spec.c.col_stride : spec.c.row_stride;
  store.column_stride = plan.transposed ? spec.c.row_stride : spec.c.col_stride;
  store.c = element_at(
      run.args.c, spec.c.type,
      task.item * spec.c.batch_stride + row * store.row_stride + column * store.column_stride);
  store.alpha = spec.alpha;
  store.beta = spec.beta;
  if (spec.has_residual) {
    const GemmOperand& residual = spec.residual;
    store.residual_type = residual.type;
    store.residual_row_stride = plan.transposed ? residual.col_stride : residual.row_stride;
    store.residual_column_stride = plan.transposed ? residual.row_stride : residual.col_stride;
    store.residual =
        element_at(run.args.residual, residual.type,
                   task.item * residual.batch_stride + row * store.residual_row_stride +
                       column * store.residual_column_stride);
  }
  return store;
}

// C lies in memory, the sums take a while: its lines are fetched meanwhile. (Inlined by force: g++
// 12 takes a function that only prefetches for one without effect and drops the call.)
ANEMONE_INLINE void prefetch(const kernels::GemmStore& store) {
  if (store.column_stride != 1) return;
  constexpr std::ptrdiff_t kLine = 64;
  const auto size = static_cast<std::ptrdiff_t>(dtype_size(store.c_type));
  for (int row = 0; row < store.rows; ++row) {
    const std::byte* begin = static_cast<const std::byte*>(store.c) + row * store.row_stride * size;
    for (std::ptrdiff_t at = 0; at < store.columns * size; at += kLine) {
      __builtin_prefetch(begin + at, /*write=*/1);
    }
  }
}

// Whether a tile is stored during the next one, or here and now.
void store_finished(const Run& run, Task& task, const kernels::GemmStore& store) {
  if (run.plan.kernel->stores_meanwhile) {
    task.pending = store;
    task.is_pending = true;
  } else {
    run.plan.kernel->store(store);
  }
}

// One tile, over the depths of one block.
void run_tile(const Run& run, Task& task, std::int64_t m_panel, std::int64_t n_panel,
              DepthRange block) {
  const GemmPlan& plan = run.plan;
  const kernels::GemmKernel& kernel = *plan.kernel;
  const std::int64_t row = m_panel * kernel.mr, column = n_panel * kernel.nr;
  if (!is_wanted(plan, row, column)) return;
  const DepthRange left = panel_depths(plan, plan.left, m_panel);
  const DepthRange right = panel_depths(plan, plan.right, n_panel);
  const std::int64_t begin = std::max({block.begin, left.begin, right.begin});
  const std::int64_t end = std::min({block.end, left.end, right.end});

  const bool one_block = plan.depth <= plan.depth_block;
  kernels::GemmTile tile;
  tile.k = std::max<std::int64_t>(0, end - begin);
  tile.rows = static_cast<int>(std::min<std::int64_t>(kernel.mr, plan.left.lanes - row));
  tile.columns = static_cast<int>(std::min<std::int64_t>(kernel.nr, plan.right.lanes - column));
  const std::int64_t index =
      one_block ? task.turn++ % plan.tiles
                : (m_panel - task.m_begin) * plan.n_block + (n_panel - task.n_begin);
  tile.tile = task.tiles + index * kernel.mr * kernel.nr;
  tile.accumulate = block.begin > 0;
  tile.right = plan.right_in_task
                   ? element_at(task.right, kernel.panel, begin * plan.right.depth_elements)
                   : panel_at(plan, plan.right, run.right, task.item, n_panel, begin);
  tile.left = plan.left_in_task ? element_at(task.left, kernel.panel,
                                             (m_panel - task.m_begin) * plan.left_panel +
                                                 (begin - block.begin) * plan.left.depth_elements)
                                : panel_at(plan, plan.left, run.left, task.item, m_panel, begin);
  const kernels::GemmStore store = store_of(run, task, tile, row, column);
  const bool last = block.end == plan.depth;
  if (last) prefetch(store);
  if (task.is_pending) tile.meanwhile = &task.pending;
  kernel.tile(tile);
  task.is_pending = false;
  if (last) store_finished(run, task, store);
}

void prepare_left(const Run& run, const Task& task, DepthRange block) {
  const GemmPlan& plan = run.plan;
  for (std::int64_t panel = task.m_begin; panel < task.m_end; ++panel) {
    std::byte* to =
        element_at(task.left, plan.kernel->panel, (panel - task.m_begin) * plan.left_panel);
    if (plan.left.operand.constant) {
      const std::byte* from =
          element_at(run.left.stored, plan.left.storage,
                     panel * plan.left.panel_elements + block.begin * plan.left.width);
      plan.convert->load(plan.left.storage, from, 1, reinterpret_cast<float*>(to),
                         (block.end - block.begin) * plan.left.width);
    } else {
      pack_panel(plan, plan.left, run.left.data, task.item, panel, to);
    }
  }
}

void run_task(const Run& run, int number, int worker) {
  const GemmPlan& plan = run.plan;
  const std::int64_t m_task =
      plan.right_outer ? number % plan.m_tasks : number / plan.n_tasks % plan.m_tasks;
  const std::int64_t n_task =
      plan.right_outer ? number / plan.m_tasks % plan.n_tasks : number % plan.n_tasks;
  Task task;
  task.item = number / (plan.m_tasks * plan.n_tasks);
  task.m_begin = m_task * plan.m_block;
  task.m_end = std::min(plan.left.panels, task.m_begin + plan.m_block);
  task.n_begin = n_task * plan.n_block;
  task.n_end = std::min(plan.right.panels, task.n_begin + plan.n_block);
  std::byte* scratch = run.scratch + plan.scratch_bytes * static_cast<std::size_t>(worker);
  task.left = scratch;
  task.right = scratch + plan.left_bytes;
  task.tiles = reinterpret_cast<float*>(task.right + plan.right_bytes);
  if (plan.kernel->begin != nullptr) plan.kernel->begin();
  // k = 0 is one empty block: C = beta · C + residual.
  DepthRange block;
  do {
    block.end = std::min(plan.depth, block.begin + plan.depth_block);
    if (plan.left_in_task) prepare_left(run, task, block);
    // The left block stays in the L2 cache; a right panel is used for all of it.
    for (std::int64_t n_panel = task.n_begin; n_panel < task.n_end; ++n_panel) {
      if (plan.right_in_task && block.begin == 0) {
        pack_panel(plan, plan.right, run.right.data, task.item, n_panel, task.right);
      }
      for (std::int64_t m_panel = task.m_begin; m_panel < task.m_end; ++m_panel) {
        run_tile(run, task, m_panel, n_panel, block);
      }
    }
    block.begin = block.end;
  } while (block.begin < plan.depth);
  if (task.is_pending) plan.kernel->store(task.pending);
  if (plan.kernel->end != nullptr) plan.kernel->end();
}

}  // namespace

void run(ThreadPool& pool, const GemmPlan& plan, std::span<std::byte> workspace,
         const GemmArgs& args) {
  ANEMONE_CHECK(workspace.size() >= plan.workspace_bytes(pool.threads()) &&
                    reinterpret_cast<std::uintptr_t>(workspace.data()) % 64 == 0,
                "a product's workspace is too small or not aligned");
  std::byte* right_packed = workspace.data() + plan.left.workspace_bytes;
  const GemmSide left = plan.transposed ? GemmSide::b : GemmSide::a;
  const GemmSide right = plan.transposed ? GemmSide::a : GemmSide::b;
  const Run run{plan, args, make_source(plan, left, args, workspace.data()),
                make_source(plan, right, args, right_packed),
                right_packed + plan.right.workspace_bytes};
  pool.run(static_cast<int>(plan.pack_tasks), [&](int task, int) {
    pack_side(plan, plan.left, run.left, task);
    pack_side(plan, plan.right, run.right, task);
  });
  pool.run(plan.tasks(), [&](int task, int worker) { run_task(run, task, worker); });
}

}  // namespace anemone::compute
