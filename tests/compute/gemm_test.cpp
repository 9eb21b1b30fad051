// Matrix products against sums in double: every kernel the machine has, odd sizes, strides, types,
// options, threads.
#include "anemone/compute/gemm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "tests/compute/pools.h"
#include "tests/support/amx.h"
#include "tests/support/numbers.h"
#include "tests/support/tensors.h"

namespace anemone::compute {
namespace {

using test::Buffer;
using test::kEps;

struct GemmCase {
  const char* name = "";
  GemmSpec spec;
  int offset = 0;  // misalignment of every buffer, in elements
};

// How far a matrix of these strides reaches, in elements.
std::int64_t extent(const GemmOperand& o, std::int64_t rows, std::int64_t cols,
                    std::int64_t batch) {
  if (rows == 0 || cols == 0 || batch == 0) return 0;
  return (rows - 1) * o.row_stride + (cols - 1) * o.col_stride + (batch - 1) * o.batch_stride + 1;
}

bool outside(Triangle triangle, std::int64_t row, std::int64_t col) {
  return (triangle == Triangle::lower && col > row) || (triangle == Triangle::upper && col < row);
}

class Product {
 public:
  explicit Product(const GemmCase& c)
      : case_(c),
        spec_(c.spec),
        a_(c.spec.a.constant ? DType::fp32 : c.spec.a.type,
           source_extent(c.spec.a, spec_.m, spec_.k), c.offset),
        b_(c.spec.b.constant ? DType::fp32 : c.spec.b.type,
           source_extent(c.spec.b, spec_.k, spec_.n), c.offset),
        c_(spec_.c.type, extent(spec_.c, spec_.m, spec_.n, spec_.batch), c.offset),
        residual_(spec_.residual.type,
                  spec_.has_residual ? extent(spec_.residual, spec_.m, spec_.n, spec_.batch) : 0,
                  c.offset) {
    a_.fill_random(1);
    b_.fill_random(2);
    residual_.fill_random(4);
    read_operands();
  }

  // C before the run: values where it is read, sentinels elsewhere.
  Buffer fresh_c() const {
    Buffer c = c_;
    if (spec_.beta == 0) return c;
    std::mt19937 random(3);
    std::uniform_real_distribution<double> uniform(-1, 1);
    for_each_c([&](std::int64_t, std::int64_t, std::int64_t, std::int64_t at) {
      c.set(at, uniform(random));
    });
    return c;
  }

  Buffer run_on(ThreadPool& pool, const CpuFeatures& features) {
    const GemmPlan plan = plan_gemm(spec_, features);
    AlignedBuffer workspace(plan.workspace_bytes(pool.threads()));
    PackedMatrix packed_a, packed_b;
    Buffer c = fresh_c();
    GemmArgs args{a_.data(), b_.data(), c.data(), residual_.data(), nullptr, nullptr};
    if (spec_.a.constant) {
      packed_a = PackedMatrix(plan, GemmSide::a);
      packed_a.pack(pool, {a_.data(), a_.type(), source(spec_.a, spec_.k).row_stride, 1});
      args.packed_a = &packed_a;
    }
    if (spec_.b.constant) {
      packed_b = PackedMatrix(plan, GemmSide::b);
      packed_b.pack(pool, {b_.data(), b_.type(), source(spec_.b, spec_.n).row_stride, 1});
      args.packed_b = &packed_b;
    }
    // Whatever was in the workspace must not matter.
    std::memset(workspace.data(), 0xff, workspace.size());
    run(pool, plan, {workspace.data(), workspace.size()}, args);
    return c;
  }

  void expect_right(const Buffer& c, const kernels::GemmKernel& kernel) const {
    EXPECT_TRUE(c.guards_intact());
    const Buffer before = fresh_c();
    std::vector<bool> is_element(static_cast<std::size_t>(c.size()));
    int wrong = 0;
    for_each_c([&](std::int64_t item, std::int64_t i, std::int64_t j, std::int64_t at) {
      is_element[static_cast<std::size_t>(at)] = true;
      if (outside(spec_.c.triangle, i, j)) return;
      const double* left = left_.data() + (item * spec_.m + i) * spec_.k;
      const double* right = right_.data() + (item * spec_.n + j) * spec_.k;
      double sum = 0, magnitude = 0;
      for (std::int64_t p = 0; p < spec_.k; ++p) {
        sum += left[p] * right[p];
        magnitude += std::abs(left[p] * right[p]);
      }
      double expected = spec_.alpha * sum;
      magnitude *= std::abs(spec_.alpha);
      if (spec_.beta != 0) expected += spec_.beta * before.get(at);
      if (spec_.beta != 0) magnitude += std::abs(spec_.beta * before.get(at));
      if (spec_.has_residual) {
        const double r =
            residual_.get(item * spec_.residual.batch_stride + i * spec_.residual.row_stride +
                          j * spec_.residual.col_stride);
        expected += r;
        magnitude += std::abs(r);
      }
      // Each of k products and sums rounds (twice without a fused multiply-add), then alpha, beta,
      // residual, the store.
      double bound = (2.0 * static_cast<double>(spec_.k) + 4) * kEps * magnitude;
      // Of operands in two planes low · low is left out; each low is at most 2^-8 of its operand.
      if (kernel.planes == 2) bound += 0x1p-16 * magnitude;
      const double tolerance = bound + test::half_ulp(spec_.c.type, std::abs(expected) + bound);
      const double error = std::abs(c.get(at) - expected);
      if (!(error <= tolerance) && ++wrong <= 3) {
        ADD_FAILURE() << "item " << item << " C[" << i << "," << j << "] = " << c.get(at)
                      << ", expected " << expected << " within " << tolerance;
      }
    });
    EXPECT_EQ(wrong, 0);
    for (std::int64_t at = 0; at < c.size(); ++at) {
      ASSERT_TRUE(is_element[static_cast<std::size_t>(at)] || c.untouched(at)) << "element " << at;
    }
  }

 private:
  // Constants are packed from row-major fp32.
  static GemmOperand source(const GemmOperand& o, std::int64_t cols) {
    return o.constant ? GemmOperand::rows(DType::fp32, cols + 3) : o;
  }
  std::int64_t source_extent(const GemmOperand& o, std::int64_t rows, std::int64_t cols) const {
    return extent(source(o, cols), rows, cols, case_.spec.batch);
  }
  // The operands as the product should see them: dense, rounded, with zeros outside triangles. B is
  // transposed.
  void read_operands() {
    for (std::int64_t item = 0; item < spec_.batch; ++item) {
      for (std::int64_t i = 0; i < spec_.m; ++i) {
        for (std::int64_t p = 0; p < spec_.k; ++p)
          left_.push_back(operand(spec_.a, a_, item, i, p, spec_.k));
      }
      for (std::int64_t j = 0; j < spec_.n; ++j) {
        for (std::int64_t p = 0; p < spec_.k; ++p)
          right_.push_back(operand(spec_.b, b_, item, p, j, spec_.n));
      }
    }
  }
  double operand(const GemmOperand& o, const Buffer& buffer, std::int64_t item, std::int64_t row,
                 std::int64_t col, std::int64_t cols) const {
    if (outside(o.triangle, row, col)) return 0;
    const GemmOperand s = source(o, cols);
    double value = buffer.get(item * s.batch_stride + row * s.row_stride + col * s.col_stride);
    if (o.constant) value = round_to(o.type, value);
    return spec_.precision == ProductPrecision::bf16 ? round_to(DType::bf16, value) : value;
  }
  template <class Visit>
  void for_each_c(Visit visit) const {
    for (std::int64_t item = 0; item < spec_.batch; ++item) {
      for (std::int64_t i = 0; i < spec_.m; ++i) {
        for (std::int64_t j = 0; j < spec_.n; ++j) {
          visit(item, i, j,
                item * spec_.c.batch_stride + i * spec_.c.row_stride + j * spec_.c.col_stride);
        }
      }
    }
  }

  const GemmCase& case_;
  const GemmSpec& spec_;
  Buffer a_, b_, c_, residual_;
  std::vector<double> left_, right_;
};

GemmSpec sized(std::int64_t m, std::int64_t n, std::int64_t k, DType type, DType c_type) {
  GemmSpec spec;
  spec.m = m;
  spec.n = n;
  spec.k = k;
  spec.a = GemmOperand::rows(type, k);
  spec.b = GemmOperand::rows(type, n);
  spec.c = GemmOperand::rows(c_type, n);
  return spec;
}

std::vector<GemmCase> make_cases() {
  constexpr DType h = DType::fp16, f = DType::fp32;
  std::vector<GemmCase> cases;
  const auto add = [&cases](const char* name, GemmSpec spec, int offset = 0) {
    cases.push_back({name, spec, offset});
  };
  for (const auto& [m, n, k] : {std::array{1, 1, 1},
                                {1, 33, 5},
                                {13, 31, 17},
                                {14, 32, 16},
                                {15, 65, 33},
                                {57, 100, 40},
                                {3, 2, 300},
                                {70, 1, 9},
                                {130, 300, 20}}) {
    add("fp16", sized(m, n, k, h, h), 1);
    add("fp32", sized(m, n, k, f, f), 3);
  }
  add("k = 0", sized(5, 7, 0, f, f));
  add("empty", sized(0, 7, 3, f, f));
  add("deeper than a block", sized(30, 40, 2100, h, h));
  {
    GemmSpec s = sized(43, 70, 37, h, h);
    s.a = GemmOperand::columns(h, 50);
    s.b = GemmOperand::columns(h, 39);
    add("both transposed", s, 1);
    s.c = GemmOperand::columns(h, 43 + 5);
    add("all transposed", s);
    s.a = {h, 2, 90, 0};
    s.b = {h, 3, 120, 0};
    s.c = {h, 211, 3, 0};
    add("no unit stride anywhere", s);
    s = sized(43, 70, 37, h, f);
    s.beta = 1;
    s.a = GemmOperand::rows(h, 40);
    s.b = GemmOperand::columns(h, 41);
    add("gradient: fp32 += fp16 · fp16 transposed", s);
    s.c = GemmOperand::columns(f, 43);
    s.beta = 0.5f;
    s.alpha = -3;
    s.k = 530;
    s.a.row_stride = 531;
    s.b.col_stride = 533;
    add("alpha, beta, into columns", s);
  }
  {
    GemmSpec s = sized(31, 45, 20, h, h);
    s.has_residual = true;
    s.residual = GemmOperand::rows(h, 45);
    add("residual", s);
    s.residual = {f, 1, 33, 0};
    s.beta = 2;
    add("residual of other type and strides", s);
    s.c = GemmOperand::columns(h, 31);
    add("residual into columns", s);
  }
  for (const DType type : {h, f}) {
    GemmSpec s = sized(61, 75, 45, type, type);
    s.a = GemmOperand::constant_of(type);
    add("constant A", s);
    s.c = GemmOperand::columns(type, 61);
    add("constant A into columns", s);
    s = sized(61, 75, 45, type, type);
    s.b = GemmOperand::constant_of(type);
    add("constant B", s);
    s.k = 1100;
    s.a.row_stride = 1100;
    add("deep constant B", s);
    s.a = GemmOperand::constant_of(type);
    s.b = GemmOperand::rows(type, 75);
    s.k = 2111;
    add("deep constant A", s);
    s.b = GemmOperand::constant_of(type);
    add("both constant", s);
  }
  {
    // Attention's layout: heads of [D, S] with rows of S.
    GemmSpec s;
    s.batch = 3;
    s.m = s.n = 50;
    s.k = 16;
    s.a = GemmOperand::columns(h, 60, 16 * 60);  // Qᵀ
    s.b = GemmOperand::rows(h, 60, 16 * 60);     // K
    s.c = GemmOperand::rows(h, 50, 50 * 50);
    s.alpha = 0.125f;
    add("batch", s, 5);
    s.c.triangle = Triangle::lower;
    add("lower part wanted", s);
    s.c = GemmOperand::columns(h, 50, 50 * 50);
    s.c.triangle = Triangle::lower;
    add("lower part wanted, columns", s);
    s.c.triangle = Triangle::upper;
    add("upper part wanted, columns", s);
    s.b.batch_stride = 0;
    s.c = GemmOperand::rows(f, 50, 50 * 50);
    add("shared B", s);
  }
  for (const Triangle triangle : {Triangle::lower, Triangle::upper}) {
    for (const DType type : {h, f}) {
      GemmSpec s = sized(71, 40, 71, type, type);
      s.a.triangle = triangle;
      add("triangular A", s);
      s.m = 90;
      add("triangular A, tall", s);
      s.c = GemmOperand::columns(type, 90);
      add("triangular A into columns", s);
      s = sized(40, 71, 71, type, type);
      s.b.triangle = triangle;
      add("triangular B", s);
      s.n = 50;
      add("triangular B, deep", s);
      s.n = 71;
      s.m = 71;
      s.a.triangle = Triangle::lower;
      add("both triangular", s);
    }
  }
  return cases;
}

// Every case for which `kernel` is chosen on a machine with these features; how many there were.
int check_cases_of(const kernels::GemmKernel& kernel, ProductPrecision precision,
                   const CpuFeatures& features) {
  const auto pools = make_pools();
  int cases = 0;
  for (GemmCase c : make_cases()) {
    c.spec.precision = precision;
    if (plan_gemm(c.spec, features).kernel != &kernel) continue;
    ++cases;
    SCOPED_TRACE(std::string(c.name) + ", m n k " + std::to_string(c.spec.m) + " " +
                 std::to_string(c.spec.n) + " " + std::to_string(c.spec.k));
    Product product(c);
    const Buffer one = product.run_on(*pools[0], features);
    product.expect_right(one, kernel);
    for (std::size_t i = 1; i < pools.size(); ++i) {
      EXPECT_TRUE(one.same_bytes(product.run_on(*pools[i], features)))
          << pools[i]->threads() << " threads";
    }
  }
  return cases;
}

class GemmKernels : public testing::TestWithParam<int> {};

TEST_P(GemmKernels, AgreeWithDouble) {
  const kernels::GemmKernel& row = kernels::gemm_kernels().rows[GetParam()];
  const CpuFeatures& have = test::amx_features();
  if (!have.has(row.isa)) GTEST_SKIP() << "this processor has no " << isa_name(row.isa);
  const CpuFeatures features = have.capped(row.isa);
  const int cases = check_cases_of(row, ProductPrecision::full, features) +
                    check_cases_of(row, ProductPrecision::bf16, features);
  EXPECT_GT(cases, 20) << "nothing chooses this row";
}

INSTANTIATE_TEST_SUITE_P(, GemmKernels, testing::Range(0, kernels::gemm_kernels().count));

TEST(PackedMatrix, IsRefilledAndSharedByPlans) {
  ThreadPool pool(1);
  GemmSpec spec = sized(20, 30, 10, DType::fp16, DType::fp32);
  spec.a = GemmOperand::constant_of(DType::fp16);
  const GemmPlan plan = plan_gemm(spec);
  PackedMatrix packed(plan, GemmSide::a);
  spec.n = 77;
  EXPECT_TRUE(packed.fits(plan_gemm(spec), GemmSide::a));
  spec.m = 21;
  EXPECT_FALSE(packed.fits(plan_gemm(spec), GemmSide::a));

  Buffer weights(DType::fp32, 200), x(DType::fp16, 300), y(DType::fp32, 600);
  x.fill_random(7);
  for (const std::uint32_t seed : {1u, 2u}) {
    weights.fill_random(seed);
    packed.pack(pool, {weights.data(), DType::fp32, 1, 20});  // the transpose of [10, 20]
    AlignedBuffer workspace(plan.workspace_bytes(1));
    run(pool, plan, {workspace.data(), workspace.size()},
        {nullptr, x.data(), y.data(), nullptr, &packed, nullptr});
    double expected = 0;
    for (int p = 0; p < 10; ++p)
      expected += round_to(DType::fp16, weights.get(3 + 20 * p)) * x.get(30 * p + 4);
    EXPECT_NEAR(y.get(3 * 30 + 4), expected, 12 * kEps * 10);
  }
}

}  // namespace
}  // namespace anemone::compute
