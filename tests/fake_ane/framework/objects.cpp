#include "tests/fake_ane/framework/objects.h"

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <mutex>
#include <vector>

#include "tests/fake_ane/framework/script.h"

namespace anemone::fake_ane {
namespace {

constexpr std::int64_t kImmortal = std::int64_t{1} << 40;
constexpr std::size_t kMaxViolations = 100;
constexpr std::size_t kZombies = 65536;  // dead objects that are remembered, oldest freed first

struct State {
  std::mutex mutex;
  std::map<std::string, std::unique_ptr<std::atomic<long>>> counters;
  std::map<std::string, long> live;
  long created = 0;
  std::vector<std::string> violations;
  std::deque<id> zombies;
  std::map<id, std::string> zombie_classes;
};

State& state() {
  static State* const kState = new State;  // never destroyed: used until the process ends
  return *kState;
}

// The objects of this thread's pools, and where each pool begins.
struct Pools {
  std::vector<id> objects;
  std::vector<std::pair<id, std::size_t>> pools;
};
thread_local Pools thread_pools;

std::string zombie_name(id object) {
  const std::lock_guard lock(state().mutex);
  const auto found = state().zombie_classes.find(object);
  return found == state().zombie_classes.end() ? "object" : found->second;
}

// What the runtime calls for a message that the receiver does not understand.
id not_understood(id self, SEL selector, ...) {
  violation(std::string("message ") + sel_getName(selector) + " to a " +
            class_getName(object_getClass(self)) + ", which does not understand it");
  return nullptr;
}

id sent_to_zombie(id self, SEL selector, ...) {
  violation(std::string("message ") + sel_getName(selector) + " to a released " +
            zombie_name(self));
  return nullptr;
}

Class zombie_class() {
  static const Class kZombie = [] {
    const Class zombie = objc_allocateClassPair(Nil, "ReleasedObject", 0);
    class_addIvar(zombie, "isa", sizeof(Class), 3, "#");
    objc_registerClassPair(zombie);
    return zombie;
  }();
  return kZombie;
}

IMP forward(id receiver, SEL) {
  const bool dead = object_getClass(receiver) == zombie_class();
  return reinterpret_cast<IMP>(dead ? sent_to_zombie : not_understood);
}

void destroy(id object) {
  const std::string name = class_getName(object_getClass(object));
  delete std::exchange(layout(object)->body, nullptr);
  id oldest = nullptr;
  {
    const std::lock_guard lock(state().mutex);
    --state().live[name];
    state().zombies.push_back(object);
    state().zombie_classes[object] = name;
    if (state().zombies.size() > kZombies) {
      oldest = state().zombies.front();
      state().zombies.pop_front();
      state().zombie_classes.erase(oldest);
    }
    object_setClass(object, zombie_class());
  }
  if (oldest != nullptr) std::free(oldest);
}

}  // namespace

id make_object(Class of, std::unique_ptr<Body> body) {
  auto* object = static_cast<Object*>(std::calloc(1, sizeof(Object)));
  object->class_pointer = of;
  object->references = 1;
  object->body = body.release();
  const std::lock_guard lock(state().mutex);
  ++state().live[class_getName(of)];
  ++state().created;
  return reinterpret_cast<id>(object);
}

id make_immortal(id object) {
  layout(object)->references = kImmortal;
  const std::lock_guard lock(state().mutex);
  --state().live[class_getName(object_getClass(object))];
  --state().created;
  return object;
}

id retain(id object) {
  const Class of = object_getClass(object);
  if (of == zombie_class()) return sent_to_zombie(object, sel_registerName("retain"));
  if (class_isMetaClass(of) || layout(object)->references >= kImmortal) return object;
  ++layout(object)->references;
  return object;
}

void release(id object) {
  const Class of = object_getClass(object);
  if (of == zombie_class()) {
    sent_to_zombie(object, sel_registerName("release"));
    return;
  }
  if (class_isMetaClass(of) || layout(object)->references >= kImmortal) return;
  if (--layout(object)->references == 0) destroy(object);
}

std::int64_t retain_count(id object) { return layout(object)->references; }

id autorelease(id object) {
  if (object == nullptr) return nullptr;
  if (thread_pools.pools.empty()) {
    violation(std::string("a ") + class_getName(object_getClass(object)) +
              " was autoreleased without a pool: it leaks");
    return object;
  }
  thread_pools.objects.push_back(object);
  return object;
}

void push_pool(id pool) { thread_pools.pools.emplace_back(pool, thread_pools.objects.size()); }

void drain_pool(id pool) {
  Pools& pools = thread_pools;
  std::size_t index = pools.pools.size();
  while (index > 0 && pools.pools[index - 1].first != pool) --index;
  if (index == 0) {
    violation("a pool was drained that is not one of this thread");
    return;
  }
  if (index < pools.pools.size()) violation("a pool was drained before the ones inside it");
  const std::size_t mark = pools.pools[index - 1].second;
  while (pools.objects.size() > mark) {
    const id object = pools.objects.back();
    pools.objects.pop_back();
    release(object);
  }
  while (pools.pools.size() >= index) {
    const id drained = pools.pools.back().first;
    pools.pools.pop_back();
    release(drained);
  }
}

bool is_kind_of(id object, Class of) {
  if (object == nullptr || of == nullptr) return false;
  for (Class each = object_getClass(object); each != nullptr; each = class_getSuperclass(each)) {
    if (each == of) return true;
  }
  return false;
}

void violation(const std::string& what) {
  const std::lock_guard lock(state().mutex);
  if (state().violations.size() < kMaxViolations) state().violations.push_back(what);
}

std::string violations() {
  const std::lock_guard lock(state().mutex);
  std::string text;
  for (const std::string& each : state().violations) text += each + "\n";
  return text;
}

void clear_violations() {
  const std::lock_guard lock(state().mutex);
  state().violations.clear();
}

std::atomic<long>& counter(const std::string& name) {
  const std::lock_guard lock(state().mutex);
  auto& found = state().counters[name];
  if (found == nullptr) found = std::make_unique<std::atomic<long>>(0);
  return *found;
}

long count_of(const std::string& name) {
  const std::lock_guard lock(state().mutex);
  const std::string as_method = " " + name + "]";
  long total = 0;
  for (const auto& [key, calls] : state().counters) {
    const bool same_selector =
        key.size() > as_method.size() &&
        key.compare(key.size() - as_method.size(), as_method.size(), as_method) == 0;
    if (key == name || same_selector) total += *calls;
  }
  return total;
}

void clear_counters() {
  const std::lock_guard lock(state().mutex);
  for (auto& [name, calls] : state().counters) *calls = 0;
  state().created = 0;
}

long live_objects(const std::string& class_name) {
  const std::lock_guard lock(state().mutex);
  long total = 0;
  for (const auto& [name, count] : state().live) {
    if (class_name.empty() || class_name == name) total += count;
  }
  return total;
}

long created_objects() {
  const std::lock_guard lock(state().mutex);
  return state().created;
}

std::string describe_live() {
  const std::lock_guard lock(state().mutex);
  std::string text;
  for (const auto& [name, count] : state().live) {
    if (count != 0) text += name + " " + std::to_string(count) + "\n";
  }
  return text;
}

ClassBuilder::ClassBuilder(const char* name, Class super) : name_(name) {
  __objc_msg_forward2 = forward;
  if (settings().missing_classes.count(name_) > 0) return;
  class_ = objc_allocateClassPair(super, name, 0);
  if (class_ == nullptr) {
    std::fprintf(stderr, "fake ANE: there is already a class %s in this process\n", name);
    std::abort();
  }
  if (super != nullptr) return;
  // A root class begins empty; ivars of pointer alignment give exactly the layout of Object.
  if (class_getInstanceSize(class_) == 0) class_addIvar(class_, "isa", sizeof(Class), 3, "#");
  class_addIvar(class_, "references", sizeof(std::int64_t), 3, "q");
  class_addIvar(class_, "body", sizeof(Body*), 3, "^v");
}

void ClassBuilder::add(bool of_class, const char* selector, IMP function,
                       const std::string& types) {
  if (class_ == nullptr || settings().missing_selectors.count(selector) > 0) return;
  const Class target = of_class ? object_getClass(reinterpret_cast<id>(class_)) : class_;
  class_addMethod(target, sel_registerName(selector), function, types.c_str());
}

Class ClassBuilder::finish() {
  if (class_ != nullptr) objc_registerClassPair(class_);
  return class_;
}

}  // namespace anemone::fake_ane
