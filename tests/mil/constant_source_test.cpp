// Bytes of constants from the program, from files and from the weight store.
#include "anemone/mil/constant_source.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "anemone/base/element.h"
#include "anemone/base/error.h"
#include "tests/support/temporary_directory.h"

namespace anemone::mil {
namespace {

std::string problem_of(ConstantSource& source, const Constant& constant) {
  std::vector<std::byte> scratch;
  try {
    source.bytes(constant, scratch);
    return "none";
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(ConstantSource, GivesInlineBytesWithoutACopy) {
  ConstantSource source;
  std::vector<std::byte> scratch;
  const Constant constant = Constant::scalar(DType::fp16, 2);
  EXPECT_EQ(source.bytes(constant, scratch).data(), constant.bytes().data());
  EXPECT_EQ(problem_of(source, Constant::string("a")),
            "a constant of strings where numbers are needed");
}

TEST(ConstantSource, WritesWhatItGives) {
  const std::vector<float> values = {0.5F, -1, 2, 3, 4.25F, 6};
  WeightStore store;
  store.add("w", {2, 3}, values);
  ConstantSource source(&store);
  std::vector<Constant> constants = {Constant::numbers(DType::fp16, {2}, {{1.0, 2.0}})};
  for (const DType dtype : {DType::fp16, DType::bf16, DType::fp32}) {
    constants.emplace_back(Type::tensor(dtype, {2, 3, 1, 1}), WeightRef{"w", false});
    constants.emplace_back(Type::tensor(dtype, {3, 2, 1, 1}), WeightRef{"w", true});
  }
  for (const Constant& constant : constants) {
    std::vector<std::byte> scratch;
    const auto given = source.bytes(constant, scratch);
    std::vector<std::byte> written(given.size());
    source.write(constant, written);
    EXPECT_EQ(std::memcmp(written.data(), given.data(), given.size()), 0)
        << constant.type().to_string();
  }
  std::vector<std::byte> none;
  EXPECT_THROW(source.write(Constant(Type::tensor(DType::fp16, {2}), WeightRef{"w", false}), none),
               Error);
}

TEST(ConstantSource, FindsBlobFilesBesideTheModel) {
  const test::TemporaryDirectory folder;
  std::filesystem::create_directory(folder.path() / "weights");
  const std::vector<std::int16_t> values = {1, -2, 3};
  BlobWriter writer(folder.path() / "weights" / "w.bin");
  const std::uint64_t offset = writer.add(DType::int16, std::as_bytes(std::span(values)));
  ASSERT_TRUE(writer.finish().ok());

  ConstantSource source(nullptr, folder.path());
  const Type type = Type::tensor(DType::int16, {1, 3});
  std::vector<std::byte> scratch;
  for (const std::string path : {"@model_path/weights/w.bin", "weights/w.bin"}) {
    const auto bytes = source.bytes(Constant(type, BlobRef{path, offset}), scratch);
    ASSERT_EQ(bytes.size(), 6u);
    EXPECT_EQ(std::memcmp(bytes.data(), values.data(), 6), 0);
  }
  const auto problem = [&](const Type& wanted, const std::string& path) {
    return problem_of(source, Constant(wanted, BlobRef{path, offset}));
  };
  EXPECT_EQ(problem(Type::tensor(DType::int16, {4}), "weights/w.bin"),
            "weights/w.bin: the record at offset 64 holds 3 elements of int16 (expected "
            "tensor<int16, [4]>)");
  EXPECT_EQ(problem(Type::tensor(DType::fp16, {3}), "weights/w.bin"),
            "weights/w.bin: the record at offset 64 holds 3 elements of int16 (expected "
            "tensor<fp16, [3]>)");
  EXPECT_NE(problem(type, "@model_path/none.bin").find("none.bin: cannot open"), std::string::npos);
  for (const std::string path : {"@model_path/../w.bin", "/etc/passwd", "@model_path//etc/passwd",
                                 "weights/../../w.bin", "", "@model_path/"}) {
    EXPECT_NE(problem(type, path).find("a path that leaves the model's folder"), std::string::npos)
        << path;
  }
  ConstantSource nowhere;
  EXPECT_EQ(problem_of(nowhere, Constant(type, BlobRef{"w.bin", 64})),
            "w.bin: the program refers to a file, but its folder is not known");
}

class WeightConstants : public testing::Test {
 protected:
  static constexpr std::int64_t kRows = 70, kColumns = 45, kDepth = 3;  // no multiple of a tile
  void SetUp() override {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    values_.resize(kRows * kColumns * kDepth);
    for (float& value : values_) value = normal(random);
    values_[0] = 1e6f;
    values_[1] = -1e-7f;
    values_[2] = -std::numeric_limits<float>::infinity();
    store_.add("w", {kRows, kColumns, kDepth}, values_);
    store_.add("v", {kRows * kColumns * kDepth}, values_);
  }
  WeightStore store_;
  std::vector<float> values_;
};

TEST_F(WeightConstants, AreRounded) {
  ConstantSource source(&store_);
  for (const DType dtype : {DType::fp16, DType::bf16, DType::fp32}) {
    const Constant constant(Type::tensor(dtype, {kRows, kColumns, 1, kDepth}), WeightRef{"w"});
    std::vector<std::byte> scratch;
    const auto bytes = source.bytes(constant, scratch);
    ASSERT_EQ(bytes.size(), values_.size() * dtype_size(dtype));
    for (std::size_t i = 0; i < values_.size(); ++i) {
      ASSERT_EQ(load_element(dtype, bytes.data(), i),
                round_to(dtype, static_cast<double>(values_[i])));
    }
  }
}

TEST_F(WeightConstants, AreTransposed) {
  ConstantSource source(&store_);
  for (const DType dtype : {DType::fp16, DType::bf16, DType::fp32}) {
    const Constant constant(Type::tensor(dtype, {kColumns, kRows, kDepth}), WeightRef{"w", true});
    std::vector<std::byte> scratch;
    const auto bytes = source.bytes(constant, scratch);
    ASSERT_EQ(bytes.size(), values_.size() * dtype_size(dtype));
    std::size_t next = 0;
    for (std::int64_t c = 0; c < kColumns; ++c) {
      for (std::int64_t r = 0; r < kRows; ++r) {
        for (std::int64_t d = 0; d < kDepth; ++d) {
          const float value = values_[static_cast<std::size_t>((r * kColumns + c) * kDepth + d)];
          ASSERT_EQ(load_element(dtype, bytes.data(), next++),
                    round_to(dtype, static_cast<double>(value)));
        }
      }
    }
  }
}

TEST_F(WeightConstants, OfFp32AreNotCopied) {
  ConstantSource source(&store_);
  std::vector<std::byte> scratch;
  const Constant constant(Type::tensor(DType::fp32, {kRows, kColumns, kDepth}), WeightRef{"w"});
  EXPECT_EQ(static_cast<const void*>(source.bytes(constant, scratch).data()), values_.data());
}

TEST_F(WeightConstants, MustFitTheirType) {
  ConstantSource source(&store_);
  const auto problem = [&](DType dtype, const Shape& shape, const WeightRef& ref) {
    return problem_of(source, Constant(Type::tensor(dtype, shape), ref));
  };
  EXPECT_EQ(problem(DType::fp16, {kColumns, kRows, kDepth}, {"w"}),
            "weight w has shape [70, 45, 3] (expected tensor<fp16, [45, 70, 3]>)");
  EXPECT_EQ(problem(DType::fp16, {kRows, kColumns, kDepth}, {"w", true}),
            "weight w (transposed) has shape [45, 70, 3] (expected tensor<fp16, [70, 45, 3]>)");
  EXPECT_EQ(problem(DType::int8, {kRows, kColumns, kDepth}, {"w"}),
            "weight w as tensor<int8, [70, 45, 3]> (expected a float type)");
  EXPECT_NE(problem(DType::fp16, {9450}, {"v", true}).find("has no second axis"),
            std::string::npos);
  EXPECT_EQ(problem(DType::fp16, {1}, {"u"}), "there is no weight called u (expected one of v, w)");
  ConstantSource without;
  EXPECT_EQ(problem_of(without, Constant(Type::tensor(DType::fp16), WeightRef{"w"})),
            "the program refers to weight w (expected weights)");
}

}  // namespace
}  // namespace anemone::mil
