// The fake framework compiles, loads and runs programs, and enforces what the real one does.
#include <gtest/gtest.h>

#include "anemone/base/element.h"
#include "anemone/base/file.h"
#include "anemone/mil/blob_file.h"
#include "tests/fake_ane/raw_client.h"
#include "tests/support/temporary_directory.h"

namespace anemone::test {
namespace {

// y = max(x, 0): rows of four elements, which the device pads to 64 bytes.
constexpr const char* kRelu = R"(program(1.3)
{
    func main<ios18>(tensor<fp16, [1, 2, 1, 4]> x) {
        fp16 zero = const()[name = string("zero"), val = fp16(0)];
        tensor<fp16, [1, 2, 1, 4]> y = maximum(x = x, y = zero);
    } -> (y);
}
)";

// p = b - a, q = b + a: inputs and outputs that are not declared in alphabetical order.
constexpr const char* kTwoByTwo = R"(program(1.3)
{
    func main<ios18>(tensor<fp16, [1, 1, 1, 32]> b, tensor<fp16, [1, 1, 1, 32]> a) {
        tensor<fp16, [1, 1, 1, 32]> q = add(x = b, y = a);
        tensor<fp16, [1, 1, 1, 32]> p = sub(x = b, y = a);
    } -> (q, p);
}
)";

constexpr const char* kTwoFunctions = R"(program(1.3)
{
    func twice<ios18>(tensor<fp16, [1, 1, 1, 32]> x0) {
        tensor<fp16, [1, 1, 1, 32]> y0 = add(x = x0, y = x0);
    } -> (y0);
    func squared<ios18>(tensor<fp16, [1, 1, 1, 32]> x1) {
        tensor<fp16, [1, 1, 1, 32]> y1 = mul(x = x1, y = x1);
    } -> (y1);
}
)";

std::string conv_text(const std::string& more_arguments = {},
                      const std::string& declarations = {}) {
  return R"(program(1.3)
{
    func main<ios18>(tensor<fp16, [1, 2, 1, 32]> x) {
        tensor<fp16, [2, 2, 1, 1]> w = const()[name = string("w"), val = tensor<fp16, [2, 2, 1, 1]>(BLOBFILE(path = string("@model_path/weights/w.bin"), offset = uint64(64)))];
)" + declarations +
         "        tensor<fp16, [1, 2, 1, 32]> y = conv(" + more_arguments + R"(weight = w, x = x);
    } -> (y);
}
)";
}

std::string blob(const std::vector<double>& values) {
  const TemporaryDirectory folder;
  const auto path = folder.path() / "w.bin";
  std::vector<std::byte> bytes(values.size() * 2);
  store_elements(DType::fp16, bytes.data(), values);
  mil::BlobWriter writer(path);
  writer.add(DType::fp16, bytes);
  EXPECT_TRUE(writer.finish().ok());
  return read_text_file(path);
}

TEST(FakeModel, RunsAProgramInTheLayoutItReports) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  const ObjC objc(fake);
  const long before = fake.live();
  {
    RawModel model(fake, objc, kRelu);
    ASSERT_TRUE(model.compile()) << model.error.text;
    ASSERT_TRUE(model.load()) << model.error.text;
    {
      const Pool pool(objc);
      const Id networks = objc.at(objc.send(model.model, "modelAttributes"), "NetworkStatusList");
      const Id inputs = objc.at(objc.send(networks, "firstObject"), "LiveInputList");
      const Id x = objc.send(inputs, "firstObject");
      EXPECT_EQ(objc.text(objc.at(x, "Name")), "x");
      EXPECT_EQ(objc.text(objc.at(x, "Type")), "Float16");
      EXPECT_EQ(objc.send<int>(objc.at(x, "Channels"), "intValue"), 2);
      EXPECT_EQ(objc.send<int>(objc.at(x, "RowStride"), "intValue"), 64);
      EXPECT_EQ(objc.send<int>(objc.at(x, "BatchStride"), "intValue"), 128);
    }
    RawSurface x(objc, 128), y(objc, 128);
    x.write(0, {1, -1, 2, -2});
    x.write(64, {-3, 3, -4, 4});
    ASSERT_TRUE(model.evaluate({{&x, 0}}, {{&y, 0}})) << model.error.text;
    EXPECT_EQ(y.read(0, 4), (std::vector<double>{1, 0, 2, 0}));
    EXPECT_EQ(y.read(64, 4), (std::vector<double>{0, 3, 0, 4}));
    EXPECT_TRUE(model.unload());
  }
  EXPECT_EQ(fake.live(), before) << fake.describe_live();
  EXPECT_EQ(fake.violations(), "");
  EXPECT_EQ(fake.count("compileWithQoS:options:error:"), 1);
  EXPECT_EQ(fake.left_files(), "");
}

TEST(FakeModel, TakesWeightsFromFiles) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  const ObjC objc(fake);
  RawModel model(fake, objc, conv_text(), {{"weights/w.bin", blob({1, 10, 100, 1000})}});
  ASSERT_TRUE(model.compile()) << model.error.text;
  ASSERT_TRUE(model.load()) << model.error.text;
  RawSurface x(objc, 128), y(objc, 128);
  x.write(0, {1});
  x.write(64, {2});
  ASSERT_TRUE(model.evaluate({{&x, 0}}, {{&y, 0}})) << model.error.text;
  EXPECT_EQ(y.read(0, 1), std::vector<double>{21});
  EXPECT_EQ(y.read(64, 1), std::vector<double>{2100});
  model.unload();
}

TEST(FakeModel, NumbersSymbolsAsTheScriptWants) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  const ObjC objc(fake);
  for (const bool alphabetical : {true, false}) {
    fake.script(alphabetical ? "order alphabetical" : "order declaration");
    RawModel model(fake, objc, kTwoByTwo);
    ASSERT_TRUE(model.compile() && model.load()) << model.error.text;
    RawSurface a(objc, 64), b(objc, 64), p(objc, 64), q(objc, 64);
    a.write(0, {2});
    b.write(0, {5});
    const int first = alphabetical ? 0 : 1;
    ASSERT_TRUE(model.evaluate({{&a, first}, {&b, 1 - first}}, {{&p, first}, {&q, 1 - first}}));
    EXPECT_EQ(p.read(0, 1), std::vector<double>{3});
    EXPECT_EQ(q.read(0, 1), std::vector<double>{7});
    model.unload();
  }
}

TEST(FakeModel, RunsFunctionsByProcedureWithGlobalSymbols) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  const ObjC objc(fake);
  RawModel model(fake, objc, kTwoFunctions);
  ASSERT_TRUE(model.compile() && model.load()) << model.error.text;
  RawSurface x(objc, 64), y(objc, 64);
  x.write(0, {3});
  ASSERT_TRUE(model.evaluate({{&x, 0}}, {{&y, 0}}, 0));
  EXPECT_EQ(y.read(0, 1), std::vector<double>{6});
  ASSERT_TRUE(model.evaluate({{&x, 1}}, {{&y, 1}}, 1));
  EXPECT_EQ(y.read(0, 1), std::vector<double>{9});
  EXPECT_FALSE(model.evaluate({{&x, 0}}, {{&y, 0}}, 1));
  EXPECT_NE(model.error.text.find("0x2 "), std::string::npos) << model.error.text;
  EXPECT_FALSE(model.evaluate({{&x, 2}}, {{&y, 2}}, 2));
  model.unload();
}

TEST(FakeModel, RefusesRequestsThatDoNotFit) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  const ObjC objc(fake);
  RawModel model(fake, objc, kRelu);
  ASSERT_TRUE(model.compile() && model.load()) << model.error.text;
  RawSurface good(objc, 128), small(objc, 64), y(objc, 128);
  EXPECT_FALSE(model.evaluate({{&small, 0}}, {{&y, 0}}));
  EXPECT_EQ(model.error.domain, "com.apple.appleneuralengine");
  EXPECT_EQ(model.error.code, 8);
  EXPECT_NE(model.error.text.find("status=0x1d"), std::string::npos) << model.error.text;
  EXPECT_FALSE(model.evaluate({{&good, 1}}, {{&y, 0}}));
  EXPECT_NE(model.error.text.find("status=0x2 "), std::string::npos) << model.error.text;
  EXPECT_EQ(fake.violations(), "");
  y.lock();
  EXPECT_TRUE(model.evaluate({{&good, 0}}, {{&y, 0}}));
  EXPECT_NE(fake.violations().find("locked"), std::string::npos);
  y.unlock();
  fake.script("");
  good.lock(/*read_only=*/true);
  EXPECT_TRUE(model.evaluate({{&good, 0}}, {{&y, 0}}));
  EXPECT_EQ(fake.violations(), "");
  good.unlock(/*read_only=*/true);
  good.lock();
  EXPECT_TRUE(model.evaluate({{&good, 0}}, {{&y, 0}}));
  EXPECT_NE(fake.violations().find("locked"), std::string::npos);
  good.unlock();
  model.unload();
  fake.script("");
  EXPECT_FALSE(model.evaluate({{&good, 0}}, {{&y, 0}}));
  EXPECT_NE(fake.violations().find("not loaded"), std::string::npos);
}

// What compile says of a program, or "" if it takes it.
std::string refusal(const FakeAne& fake, const ObjC& objc, const std::string& text,
                    const RawModel::Files& files = {}) {
  RawModel model(fake, objc, text, files);
  if (model.model == nullptr) return "no model";
  if (model.compile()) return "";
  EXPECT_EQ(model.error.domain, "com.apple.appleneuralengine.compiler");
  EXPECT_EQ(model.error.code, 1);
  return model.error.text;
}

std::string many_blobs(int count, RawModel::Files& files) {
  std::string body;
  std::string last = "x";
  for (int i = 0; i < count; ++i) {
    const std::string n = std::to_string(i);
    files["weights/w" + n + ".bin"] = blob(std::vector<double>(32, i));
    body += "tensor<fp16, [1, 1, 1, 32]> w" + n +
            " = const()[name = string(\"w\"), val = tensor<fp16, [1, 1, 1, 32]>(BLOBFILE(path = "
            "string(\"@model_path/weights/w" +
            n + ".bin\"), offset = uint64(64)))];\n";
    body += "tensor<fp16, [1, 1, 1, 32]> v" + n + " = add(x = " + last + ", y = w" + n + ");\n";
    last = "v" + n;
  }
  return "program(1.3)\n{\nfunc main<ios18>(tensor<fp16, [1, 1, 1, 32]> x) {\n" + body + "} -> (" +
         last + ");\n}\n";
}

TEST(FakeModel, RefusesProgramsThatTheCompilerRefuses) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  const ObjC objc(fake);
  const RawModel::Files weights = {{"weights/w.bin", blob({1, 10, 100, 1000})}};
  EXPECT_NE(refusal(fake, objc, "program(1.3) {").find("InvalidMILProgram"), std::string::npos);
  EXPECT_NE(refusal(fake, objc, conv_text(), {}).find("weight dictionary"), std::string::npos);
  EXPECT_NE(refusal(fake, objc, conv_text("groups = int32(1), "), weights).find("rule 5"),
            std::string::npos);
  EXPECT_NE(refusal(fake, objc,
                    conv_text("bias = c, ",
                              "tensor<fp16, [2]> c = const()[name = string(\"c\"), val = "
                              "tensor<fp16, [2]>([0, 0])];\n"),
                    weights)
                .find("rule 6"),
            std::string::npos);
  std::string damaged = weights.at("weights/w.bin");
  damaged[64] = 0;
  EXPECT_NE(refusal(fake, objc, conv_text(), {{"weights/w.bin", damaged}}), "");
  RawModel::Files files;
  EXPECT_EQ(refusal(fake, objc, many_blobs(16, files), files), "");
  files.clear();
  EXPECT_NE(refusal(fake, objc, many_blobs(17, files), files).find("rule 52"), std::string::npos);
  EXPECT_EQ(fake.violations(), "");
}

TEST(FakeModel, NeedsTheFilesInTheTemporaryFolder) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  const ObjC objc(fake);
  const RawModel::Files weights = {{"weights/w.bin", blob({1, 10, 100, 1000})}};
  RawModel model(fake, objc, conv_text(), weights);
  model.write_files(conv_text(), {});
  EXPECT_FALSE(model.compile());
  EXPECT_NE(model.error.text.find("w.bin"), std::string::npos) << model.error.text;
  model.write_files(kRelu, weights);
  EXPECT_FALSE(model.compile());
  EXPECT_NE(model.error.text.find("model.mil"), std::string::npos) << model.error.text;
  model.write_files(conv_text(), weights);
  EXPECT_TRUE(model.compile());
}

TEST(FakeModel, WantsDataAndADictionary) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  const ObjC objc(fake);
  const Pool pool(objc);
  const Id none = nullptr;
  const auto descriptor = [&](Id text, Id weights) {
    return objc.send_class("_ANEInMemoryModelDescriptor",
                           "modelWithMILText:weights:optionsPlist:", text, weights, none);
  };
  EXPECT_NE(descriptor(objc.data(kRelu), objc.dictionary({})), nullptr);
  EXPECT_EQ(fake.violations(), "");
  EXPECT_EQ(descriptor(objc.string(kRelu), objc.dictionary({})), nullptr);
  EXPECT_EQ(descriptor(objc.data(kRelu), none), nullptr);
  EXPECT_EQ(descriptor(objc.data(kRelu), objc.dictionary({{objc.string("w.bin"), none}})), nullptr);
  const Id no_offset = objc.dictionary({{objc.string("data"), objc.data("x")}});
  EXPECT_EQ(descriptor(objc.data(kRelu),
                       objc.dictionary({{objc.string("@model_path/weights/w.bin"), no_offset}})),
            nullptr);
  EXPECT_NE(fake.violations().find("no NSData"), std::string::npos);
  EXPECT_NE(fake.violations().find("no offset"), std::string::npos);
}

TEST(FakeModel, CompilesOnlySoOften) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  const ObjC objc(fake);
  fake.script("budget 2");
  EXPECT_EQ(refusal(fake, objc, kRelu), "");
  EXPECT_EQ(refusal(fake, objc, kTwoByTwo), "");
  EXPECT_NE(refusal(fake, objc, kTwoFunctions).find("used up"), std::string::npos);
}

TEST(FakeModel, WantsUnloadBeforeRelease) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  const ObjC objc(fake);
  {
    RawModel model(fake, objc, kRelu);
    EXPECT_FALSE(model.load());  // not compiled
    EXPECT_EQ(model.error.code, 6);
    ASSERT_TRUE(model.compile() && model.load());
    EXPECT_EQ(fake.loaded_programs(), 1);
  }
  EXPECT_NE(fake.violations().find("released while it was loaded"), std::string::npos);
  EXPECT_EQ(fake.loaded_programs(), 0);
}

TEST(FakeModel, KnowsWhatIsCompiled) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  const ObjC objc(fake);
  const auto exists = [&](const RawModel& model) {
    return objc.send<unsigned char>(model.model, "compiledModelExists") != 0;
  };
  {
    RawModel model(fake, objc, kRelu);
    EXPECT_FALSE(exists(model));
    ASSERT_TRUE(model.compile());
    EXPECT_TRUE(exists(model));
  }
  fake.script("cache yes");
  {
    RawModel model(fake, objc, kRelu);
    EXPECT_FALSE(exists(model));
    ASSERT_TRUE(model.compile());
  }
  RawModel again(fake, objc, kRelu);
  EXPECT_TRUE(exists(again));
  EXPECT_TRUE(again.load()) << again.error.text;
  again.unload();
  objc.send<void>(again.model, "purgeCompiledModel");
  RawModel purged(fake, objc, kRelu);
  EXPECT_FALSE(exists(purged));
  fake.script("exists yes");
  EXPECT_TRUE(exists(purged));
  EXPECT_FALSE(purged.load());
}

}  // namespace
}  // namespace anemone::test
