// Scripted faults: each happens where and when the script says, and only there.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/fake_ane/raw_client.h"
#include "tests/support/process.h"
#include "tests/support/shared.h"

namespace anemone::test {
namespace {

constexpr const char* kProgram = R"(program(1.3)
{
    func main<ios18>(tensor<fp16, [1, 2, 1, 4]> x) {
        fp16 zero = const()[name = string("zero"), val = fp16(0)];
        tensor<fp16, [1, 2, 1, 4]> y = maximum(x = x, y = zero);
    } -> (y);
}
)";

TEST(FakeScript, FailsTheOccurrencesItNames) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  const ObjC objc(fake);
  fake.script(
      "compile 2 code 4 domain \"some.domain\" text \"the service went away\"\n"
      "load 1-2 fail; unload * fail  # at the end");
  RawModel model(fake, objc, kProgram);
  EXPECT_TRUE(model.compile());
  EXPECT_FALSE(model.compile());
  EXPECT_EQ(model.error.domain, "some.domain");
  EXPECT_EQ(model.error.code, 4);
  EXPECT_EQ(model.error.text, "the service went away");
  EXPECT_TRUE(model.compile());
  EXPECT_FALSE(model.load());
  EXPECT_EQ(model.error.code, 6);
  EXPECT_FALSE(model.load());
  EXPECT_TRUE(model.load());
  EXPECT_FALSE(model.unload());
}

TEST(FakeScript, FailsEvaluationsWithStatusAndGarbage) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  const ObjC objc(fake);
  fake.script("evaluate 1 status 0x12; evaluate 3 garbage no-error");
  RawModel model(fake, objc, kProgram);
  ASSERT_TRUE(model.compile() && model.load());
  RawSurface x(objc, 128), y(objc, 128);
  EXPECT_FALSE(model.evaluate({{&x, 0}}, {{&y, 0}}));
  EXPECT_NE(model.error.text.find("status=0x12"), std::string::npos) << model.error.text;
  EXPECT_TRUE(model.evaluate({{&x, 0}}, {{&y, 0}}));
  EXPECT_EQ(y.read(0, 1), std::vector<double>{0});
  EXPECT_FALSE(model.evaluate({{&x, 0}}, {{&y, 0}}));
  EXPECT_EQ(model.error.domain, "");
  EXPECT_NE(y.read(0, 1), std::vector<double>{0});
  model.unload();
}

TEST(FakeScript, ReturnsNil) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  const ObjC objc(fake);
  fake.script("descriptor 1 nil; model 1 nil; request 1 nil; surface-object 2+ nil");
  EXPECT_EQ(RawModel(fake, objc, kProgram).model, nullptr);
  EXPECT_EQ(RawModel(fake, objc, kProgram).model, nullptr);
  EXPECT_NE(RawModel(fake, objc, kProgram).model, nullptr);
  EXPECT_EQ(fake.violations(), "");
}

TEST(FakeScript, ChangesStridesOfOneProgram) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  const ObjC objc(fake);
  fake.script("compile 1 strides 256");
  RawModel model(fake, objc, kProgram);
  ASSERT_TRUE(model.compile() && model.load());
  RawSurface small(objc, 128), x(objc, 512), y(objc, 512);
  EXPECT_FALSE(model.evaluate({{&small, 0}}, {{&y, 0}}));
  x.write(0, {1});
  x.write(256, {-1, 2});
  EXPECT_TRUE(model.evaluate({{&x, 0}}, {{&y, 0}}));
  EXPECT_EQ(y.read(256, 2), (std::vector<double>{0, 2}));
  model.unload();
}

TEST(FakeScript, LeavesPartsOfTheAttributesOut) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  const ObjC objc(fake);
  struct Case {
    const char* told;
    bool layout, symbols;
  };
  for (const Case& c : {Case{"full", true, true}, Case{"none", false, false},
                        Case{"no-layout", false, true}, Case{"no-symbols", true, false}}) {
    fake.script(std::string("attributes ") + c.told);
    RawModel model(fake, objc, kProgram);
    ASSERT_TRUE(model.compile() && model.load());
    const Pool pool(objc);
    const Id attributes = objc.send(model.model, "modelAttributes");
    EXPECT_EQ(objc.at(attributes, "NetworkStatusList") != nullptr, c.layout) << c.told;
    EXPECT_EQ(objc.at(attributes, "ANEFModelDescription") != nullptr, c.symbols) << c.told;
    model.unload();
  }
}

TEST(FakeScript, Waits) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  const ObjC objc(fake);
  fake.script("compile 1 hang 30");
  RawModel model(fake, objc, kProgram);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(model.compile());
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(30));
}

TEST(FakeScript, HoldsCallsUntilTheyAreLetGo) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  const ObjC objc(fake);
  fake.script("compile 1 hold");
  RawModel model(fake, objc, kProgram);
  std::atomic<bool> compiled{false};
  std::thread thread([&] { compiled = model.compile(); });
  while (fake.held() == 0) std::this_thread::yield();
  EXPECT_FALSE(compiled);
  fake.let_go();
  thread.join();
  EXPECT_TRUE(compiled);
  EXPECT_EQ(fake.held(), 0);
}

TEST(FakeScript, RaisesExceptionsThatAHookSees) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  const ObjC objc(fake);
  static const ObjC* user = &objc;
  static std::string seen;
  using Hook = Id (*)(Id);
  const auto set_hook = objc.function<Hook (*)(Hook)>("objc_setExceptionPreprocessor");
  const Hook before = set_hook([](Id exception) {
    seen = user->text(user->send(exception, "name")) + ": " +
           user->text(user->send(exception, "reason"));
    return exception;
  });
  fake.script("compile 1 raise text \"too tired\"; load 1 raise");
  RawModel model(fake, objc, kProgram);
  EXPECT_ANY_THROW(model.compile());
  EXPECT_EQ(seen, "NSInternalInconsistencyException: too tired");
  EXPECT_TRUE(model.compile());
  EXPECT_ANY_THROW(model.load());
  EXPECT_EQ(seen, "NSInternalInconsistencyException: as the script says");
  set_hook(before);
}

TEST(FakeScript, RefusesWhatIsNoStatement) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  for (const char* text : {"compile", "compile 1", "compile x fail", "compile 1 explode",
                           "compile 1 hang", "budget many", "order random", "frobnicate 1",
                           "engine ane", "load 1-x fail", "surface 1 raise", "lock 1 raise"}) {
    EXPECT_THROW(fake.script(text), std::invalid_argument) << text;
  }
  fake.script("  # nothing\n\n; ");
}

// Run in a process of its own by the next test: the classes of a process cannot change.
TEST(FakeScript, DISABLED_PrintsWhatIsThere) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  const ObjC objc(fake);
  const auto lookup = objc.function<Id (*)(const char*)>("objc_lookUpClass");
  const Pool pool(objc);
  const Id number = objc.number(1);
  const auto* selector =
      objc.function<const void* (*)(const char*)>("sel_registerName")("intValue");
  std::printf("request=%d int=%d\n", lookup("_ANERequest") != nullptr,
              objc.send<unsigned char>(number, "respondsToSelector:", selector));
}

TEST(FakeScript, LeavesOutClassesAndSelectors) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  const auto run = [](const std::string& script) {
    Process process(
        {std::filesystem::read_symlink("/proc/self/exe").string(),
         "--gtest_also_run_disabled_tests", "--gtest_filter=FakeScript.DISABLED_PrintsWhatIsThere"},
        {{"ANEMONE_FAKE_ANE", script}});
    process.wait();
    return process.output();
  };
  EXPECT_NE(run("").find("request=1 int=1"), std::string::npos);
  const std::string output = run("missing-class _ANERequest; missing-selector intValue");
  EXPECT_NE(output.find("request=0 int=0"), std::string::npos) << output;
}

}  // namespace
}  // namespace anemone::test
