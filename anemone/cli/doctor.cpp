// `anemone doctor`: what this machine is and what of it Anemone can use, as text or JSON. One list
// of facts makes both.
#include <fmt/core.h>

#include <CLI/Version.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "anemone/base/clock.h"
#include "anemone/base/cpu_features.h"
#include "anemone/base/error.h"
#include "anemone/base/file.h"
#include "anemone/base/system_info.h"
#include "anemone/base/version.h"
#include "anemone/cli/command.h"
#include "anemone/compute/cpu_quota.h"
#include "anemone/compute/peak.h"
#include "anemone/compute/thread_pool.h"
#include "anemone/engine/ane/ane_engine.h"
#include "anemone/engine/engines.h"

namespace anemone::cli {
namespace {

using Json = nlohmann::ordered_json;

struct DoctorOptions {
  std::string directory = ".";
  bool json = false, quick = false;
};

Json build_facts() {
  const BuildInfo& build = build_info();
  return {{"version", build.version},
          {"commit", build.git},
          {"type", build.build_type},
          {"compiler", build.compiler},
          {"libraries",
           fmt::format("fmt {}.{}.{}, nlohmann-json {}.{}.{}, CLI11 {}", FMT_VERSION / 10000,
                       FMT_VERSION / 100 % 100, FMT_VERSION % 100, NLOHMANN_JSON_VERSION_MAJOR,
                       NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH, CLI11_VERSION)}};
}

Json processor_facts() {
  Json isas = Json::array();
#define ANEMONE_APPEND(isa, text) \
  if (cpu_features().has(Isa::isa)) isas.push_back(text);
  ANEMONE_ISAS(ANEMONE_APPEND)
#undef ANEMONE_APPEND
  const auto quota = compute::cgroup_cpu_quota("/proc/self/cgroup", "/sys/fs/cgroup");
  const char* cap = std::getenv("ANEMONE_ISA");
  return {{"model", cpu_model_name()},
          {"isa", isas},
          {"isa_cap", cap != nullptr ? Json(cap) : Json()},
          {"online", online_processors()},
          {"affinity", affinity_processors()},
          {"cgroup_quota", quota ? Json(*quota) : Json()},
          {"threads", compute::default_thread_count()}};
}

Json memory_facts() {
  const MemoryInfo info = memory_info();
  return {
      {"total_bytes", info.total_bytes},
      {"available_bytes", info.available_bytes},
      {"cgroup_limit_bytes", info.cgroup_limit_bytes ? Json(*info.cgroup_limit_bytes) : Json()}};
}

Json engine_facts() {
  Json all = Json::array();
  for (const engine::EngineEntry& entry : engine::engines()) {
    const engine::Support support = entry.support();
    all.push_back({{"name", entry.name},
                   {"summary", entry.summary},
                   {"available", support.ok},
                   {"reason", support.reason}});
  }
  return all;
}

Json neural_engine_facts() {
  Json facts = Json::object();
  for (const auto& [name, value] : engine::ane::facts()) facts[name] = value;
  return facts;
}

// What saving a checkpoint there would cost: a small synced file, and the speed of a large one.
Json sync_facts(const std::filesystem::path& directory) {
  constexpr std::size_t kLarge = std::size_t{16} << 20;
  const std::filesystem::path file = directory / ".anemone-doctor.tmp";
  const auto timed_write = [&](std::size_t bytes) {
    const auto start = std::chrono::steady_clock::now();
    FileWriter writer(file);
    writer.write(std::string(bytes, 'x'));
    if (Status status = writer.finish(); !status.ok()) throw Error(status.message);
    return milliseconds_since(start);
  };
  Json facts;
  try {
    facts["sync_ms"] = timed_write(1);
    facts["write_mb_per_s"] = static_cast<double>(kLarge) / 1e3 / timed_write(kLarge);
  } catch (const Error& error) {
    facts["problem"] = error.what();
  }
  std::error_code ignored;
  std::filesystem::remove(file, ignored);
  return facts;
}

void check_directory(const std::string& given) {
  if (given.empty()) throw UsageError("no folder is given", "--dir");
  std::error_code ignored;
  if (std::filesystem::is_directory(given, ignored)) return;
  const bool there = std::filesystem::exists(given, ignored);
  throw Error(there ? "is not a folder" : "there is no such folder", given);
}

Json disk_facts(const DoctorOptions& options) {
  const auto directory = std::filesystem::absolute(options.directory).lexically_normal();
  Json facts = {{"path", directory.string()}, {"free_bytes", free_disk_bytes(directory)}};
  if (!options.quick) facts.update(sync_facts(directory));
  return facts;
}

Json peak_facts() {
  compute::ThreadPool pool;
  const compute::Peak peak = compute::measure_peak(pool);
  return {{"threads", peak.threads},
          {"fp32_isa", peak.fp32_isa},
          {"fp32_tflops", peak.fp32_flops / 1e12},
          {"bf16_tflops", peak.bf16_flops / 1e12},
          {"copy_gb_per_s", peak.copy_bytes_per_second / 1e9}};
}

std::string gigabytes(const Json& bytes) {
  return bytes.is_null() ? "none" : fmt::format("{:.1f} GB", bytes.get<double>() / 1e9);
}

void print_line(const char* name, const std::string& text) { fmt::print("{:<11}{}\n", name, text); }

std::string joined(const Json& strings) {
  std::string text;
  for (const Json& part : strings) text += (text.empty() ? "" : " ") + part.get<std::string>();
  return text;
}

void print_processor(const Json& facts) {
  print_line("processor", facts["model"].get<std::string>());
  std::string isa = joined(facts["isa"]);
  if (!facts["isa_cap"].is_null()) isa += " (capped by ANEMONE_ISA)";
  print_line("ISA", isa);
  std::string cores = fmt::format("{} usable: {} online, affinity {}", facts["threads"].get<int>(),
                                  facts["online"].get<int>(), facts["affinity"].get<int>());
  if (!facts["cgroup_quota"].is_null()) {
    cores += fmt::format(", cgroup {:.2f}", facts["cgroup_quota"].get<double>());
  }
  print_line("cores", cores);
}

void print_disk(const Json& facts) {
  std::string text = fmt::format("{} free at {}", gigabytes(facts["free_bytes"]),
                                 facts["path"].get<std::string>());
  if (facts.contains("problem"))
    text += "\n           cannot write: " + facts["problem"].get<std::string>();
  if (facts.contains("write_mb_per_s")) {
    text += fmt::format(", a small synced file {:.1f} ms, {:.0f} MB/s synced",
                        facts["sync_ms"].get<double>(), facts["write_mb_per_s"].get<double>());
  }
  print_line("disk", text);
}

void print_text(const Json& facts) {
  const Json& build = facts["build"];
  print_line("anemone",
             fmt::format("{} ({}, {}, {})", build["version"].get<std::string>(),
                         build["commit"].get<std::string>(), build["type"].get<std::string>(),
                         build["compiler"].get<std::string>()));
  print_line("libraries", build["libraries"].get<std::string>());
  print_processor(facts["processor"]);
  const Json& memory = facts["memory"];
  std::string text = fmt::format("{}, {} available", gigabytes(memory["total_bytes"]),
                                 gigabytes(memory["available_bytes"]));
  if (!memory["cgroup_limit_bytes"].is_null()) {
    text += ", cgroup limit " + gigabytes(memory["cgroup_limit_bytes"]);
  }
  print_line("memory", text);
  print_disk(facts["disk"]);
  for (const Json& engine : facts["engines"]) {
    print_line("engine", fmt::format("{:<10} {}", engine["name"].get<std::string>(),
                                     engine["available"].get<bool>()
                                         ? engine["summary"].get<std::string>()
                                         : "not here: " + engine["reason"].get<std::string>()));
  }
  for (const auto& [name, value] : facts["neural_engine"].items())
    print_line("ANE", fmt::format("{:<18} {}", name, value.get<std::string>()));
  if (!facts.contains("peak")) return;
  const Json& peak = facts["peak"];
  const auto bf16 = peak["bf16_tflops"].get<double>();
  print_line("peak",
             fmt::format("{:.3f} TFLOP/s fp32 ({}), {}, copy {:.1f} GB/s, {} threads",
                         peak["fp32_tflops"].get<double>(), peak["fp32_isa"].get<std::string>(),
                         bf16 > 0 ? fmt::format("{:.3f} bf16", bf16) : "no bf16 products",
                         peak["copy_gb_per_s"].get<double>(), peak["threads"].get<int>()));
}

int examine(const DoctorOptions& options) {
  check_directory(options.directory);
  Json facts = {{"build", build_facts()},    {"processor", processor_facts()},
                {"memory", memory_facts()},  {"disk", disk_facts(options)},
                {"engines", engine_facts()}, {"neural_engine", neural_engine_facts()}};
  if (!options.quick) facts["peak"] = peak_facts();
  if (options.json) {
    fmt::print("{}\n", facts.dump(2));
  } else {
    print_text(facts);
  }
  return facts["disk"].contains("problem") ? kExitFailure : kExitOk;
}

Run setup_doctor(CLI::App& app) {
  auto options = std::make_shared<DoctorOptions>();
  app.add_option("--dir", options->directory, "Look at the disk of this folder")
      ->capture_default_str();
  app.add_flag("--json", options->json, "Print JSON");
  app.add_flag("--quick", options->quick, "Measure nothing");
  return [options] { return examine(*options); };
}

}  // namespace

const Command doctor_command = {"doctor", "Show what this machine is and what of it can be used",
                                "  anemone doctor --dir runs\n"
                                "  anemone doctor --json",
                                setup_doctor};

}  // namespace anemone::cli
