#include "tests/ane_driver/program_case.h"

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>

#include "anemone/train/metrics_compare.h"
#include "tests/support/program.h"

namespace anemone::test {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> lines_of(const fs::path& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

}  // namespace

int ProgramCase::run(std::vector<std::string> arguments) {
  const fs::path temporary = folder.path() / "tmp";
  fs::create_directories(temporary);
  const std::string full = script + "; report " + (folder.path() / "report").string();
  const ProgramRun ran =
      run_program(std::move(arguments), {{"ANEMONE_ANE_LIBRARY", library_.string()},
                                         {"ANEMONE_FAKE_ANE", full},
                                         {"ANEMONE_ANE_PATIENCE", patience},
                                         {"TMPDIR", temporary.string()}});
  output = ran.output;
  return ran.code;
}

int ProgramCase::train(const std::string& name, const std::string& toml,
                       const std::vector<std::string>& flags) {
  const fs::path config = folder.path() / (name + ".toml");
  std::ofstream(config) << toml;
  std::vector<std::string> arguments = {"train", "--config", config.string(), "--out",
                                        (folder.path() / name).string()};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  return run(arguments);
}

std::vector<std::string> ProgramCase::losses(const std::string& name) const {
  std::vector<std::string> losses;
  for (const std::string& line : lines_of(folder.path() / name / "metrics.jsonl")) {
    if (line.find("\"type\":\"step\"") == std::string::npos) continue;
    const std::string key = "\"loss\":";
    const std::size_t at = line.find(key) + key.size();
    losses.push_back(line.substr(at, line.find(',', at) - at));
  }
  return losses;
}

std::vector<std::string> ProgramCase::differences(const std::string& a,
                                                  const std::string& b) const {
  return train::compare_metrics(folder.path() / a / "metrics.jsonl",
                                folder.path() / b / "metrics.jsonl");
}

long ProgramCase::restarts(const std::string& name) const {
  long count = 0;
  for (const std::string& line : lines_of(folder.path() / name / "metrics.jsonl"))
    count += line.find("\"type\":\"resume\"") != std::string::npos ? 1 : 0;
  return count;
}

std::string ProgramCase::report() const {
  const auto lines = lines_of(folder.path() / "report");
  return lines.empty() ? "" : lines.back();
}

long ProgramCase::reported(const std::string& counter) const {
  const std::string line = " " + report();
  const std::size_t at = line.find(" " + counter + "=");
  return at == std::string::npos ? -1 : std::atol(line.c_str() + at + counter.size() + 2);
}

double largest_difference(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  if (a.size() != b.size() || a.empty()) return std::numeric_limits<double>::infinity();
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = std::atof(a[i].c_str()), y = std::atof(b[i].c_str());
    largest = std::max(largest, std::abs(x - y) / std::abs(x));
  }
  return largest;
}

}  // namespace anemone::test
