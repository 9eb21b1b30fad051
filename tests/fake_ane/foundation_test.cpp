// The fake framework's objects: their contents, who owns them, and what is said of misuse.
#include <gtest/gtest.h>

#include <csignal>

#include "tests/fake_ane/raw_client.h"

namespace anemone::test {
namespace {

TEST(FakeFoundation, ObjectsHoldWhatTheyWereGiven) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  const ObjC objc(fake);
  const long before = fake.live();
  {
    const Pool pool(objc);
    EXPECT_EQ(objc.text(objc.string("mil")), "mil");
    EXPECT_EQ(objc.send<unsigned long>(objc.string("mil"), "length"), 3u);
    const Id data = objc.data(std::string("a\0b", 3));
    EXPECT_EQ(objc.send<unsigned long>(data, "length"), 3u);
    EXPECT_EQ(static_cast<const char*>(objc.send<const void*>(data, "bytes"))[2], 'b');
    EXPECT_EQ(objc.send<long long>(objc.number(-7), "longLongValue"), -7);
    EXPECT_EQ(objc.send<double>(objc.number(21), "doubleValue"), 21);
    const Id array = objc.array({objc.string("x"), objc.string("y")});
    EXPECT_EQ(objc.send<unsigned long>(array, "count"), 2u);
    EXPECT_EQ(objc.text(objc.send(array, "objectAtIndex:", 1ul)), "y");
    const Id dictionary = objc.dictionary({{objc.string("a"), array}});
    EXPECT_EQ(objc.at(dictionary, "a"), array);
    EXPECT_EQ(objc.at(dictionary, "b"), nullptr);
    EXPECT_NE(objc.send<unsigned char>(array, "isKindOfClass:", objc.cls("NSArray")), 0);
    EXPECT_EQ(objc.send<unsigned char>(array, "isKindOfClass:", objc.cls("NSString")), 0);
  }
  EXPECT_EQ(fake.live(), before) << fake.describe_live();
  EXPECT_EQ(fake.violations(), "");
}

TEST(FakeFoundation, CountsMessagesAndObjects) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  const ObjC objc(fake);
  const Pool pool(objc);
  const long before = fake.live("NSString"), created = fake.created();
  const Id owned = objc.send(objc.send_class("NSString", "alloc"), "initWithUTF8String:", "owned");
  objc.string("autoreleased");
  EXPECT_EQ(fake.live("NSString"), before + 2);
  EXPECT_EQ(fake.created(), created + 2);
  objc.send<void>(owned, "release");
  EXPECT_EQ(fake.live("NSString"), before + 1);
  EXPECT_EQ(fake.count("stringWithUTF8String:"), 1);
  EXPECT_EQ(fake.count("+[NSString stringWithUTF8String:]"), 1);
  EXPECT_EQ(fake.count("-[NSObject release]"), 1);
  EXPECT_EQ(fake.count("nothing"), 0);
}

TEST(FakeFoundation, SaysWhatWasMisused) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  const ObjC objc(fake);
  const Id once = objc.send_class("NSObject", "new");
  objc.send<void>(once, "release");
  objc.send<void>(once, "release");
  EXPECT_EQ(fake.violations(), "message release to a released NSObject\n");

  fake.script("");
  objc.send<void>(objc.cls("NSString"), "frobnicate:", 1);
  EXPECT_NE(fake.violations().find("frobnicate:"), std::string::npos) << fake.violations();

  fake.script("");
  const Id leaked = objc.string("no pool");
  EXPECT_NE(fake.violations().find("without a pool"), std::string::npos) << fake.violations();
  objc.send<void>(leaked, "release");
}

TEST(FakeSurface, LocksAndMemory) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
  const ObjC objc(fake);
  const long before = fake.live("IOSurface");
  {
    RawSurface surface(objc, 1000);
    EXPECT_EQ(objc.function<std::size_t (*)(Id)>("IOSurfaceGetAllocSize")(surface.surface), 1000u);
    surface.write(0, {1, -2});
    EXPECT_EQ(surface.read(0, 3), (std::vector<double>{1, -2, 0}));
    EXPECT_EQ(fake.violations(), "");
    surface.unlock();
    EXPECT_NE(fake.violations().find("was not locked"), std::string::npos);
  }
  EXPECT_EQ(fake.live("IOSurface"), before);
  fake.script("surface 2 nil; lock 1 fail");
  RawSurface first(objc, 64), second(objc, 64);
  EXPECT_NE(first.surface, nullptr);
  EXPECT_EQ(second.surface, nullptr);
  EXPECT_EQ(first.lock(), nullptr);
}

// The lines of what the host may touch are drawn by the memory management unit.
TEST(FakeSurfaceDeathTest, MemoryIsThereOnlyWhileLocked) {
  ANEMONE_FAKE_ANE_OR_SKIP(fake);
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  GTEST_SKIP() << "a sanitizer ends the process in its own way";
#endif
#endif
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const ObjC objc(fake);
  fake.script("protect yes");
  RawSurface surface(objc, 4096);
  volatile char* memory = reinterpret_cast<char*>(surface.lock());
  memory[0] = 1;
  EXPECT_EXIT(memory[4096] = 1, testing::KilledBySignal(SIGSEGV), "");
  surface.unlock();
  EXPECT_EXIT(memory[0] = 1, testing::KilledBySignal(SIGSEGV), "");
  surface.lock(true);
  EXPECT_EQ(memory[0], 1);
  EXPECT_EXIT(memory[0] = 2, testing::KilledBySignal(SIGSEGV), "");
  surface.unlock(true);
}

}  // namespace
}  // namespace anemone::test
