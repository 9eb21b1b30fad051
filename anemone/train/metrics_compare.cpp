// Line-by-line comparison of metrics files.
#include "anemone/train/metrics_compare.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string_view>

#include "anemone/base/error.h"
#include "anemone/base/file.h"

namespace anemone::train {
namespace {

using nlohmann::json;

bool is_time(const std::string& key) {
  return key == "ms" || key.starts_with("ms_") || key.ends_with("_seconds");
}

bool is_result(const json& line) {
  const std::string type = line.value("type", "");
  return type == "step" || type == "update" || type == "validation" || type == "sample" ||
         type == "rollback";
}

std::vector<json> result_lines(const std::filesystem::path& path) {
  const std::string text = read_text_file(path);
  std::vector<json> lines;
  std::size_t number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    ++number;
    json line = json::parse(text.begin() + static_cast<std::ptrdiff_t>(at),
                            text.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
    if (!line.is_object() || !line.value("type", json()).is_string()) {
      throw Error("not a line of metrics", fmt::format("{}:{}", path.string(), number),
                  "a JSON object with a type");
    }
    if (is_result(line)) lines.push_back(std::move(line));
    at = end + 1;
  }
  return lines;
}

std::string describe(const json& line) {
  const std::string type = line["type"];
  const char* number = type == "step" ? "step" : "update";
  return type + " " + line.value(number, json()).dump();
}

void compare_lines(const json& a, const json& b, std::vector<std::string>& differences) {
  if (describe(a) != describe(b)) {
    differences.push_back(fmt::format("{} and {} at the same place", describe(a), describe(b)));
    return;
  }
  json all = a;
  all.update(b);
  for (const auto& [key, value] : all.items()) {
    if (is_time(key)) continue;
    const json left = a.value(key, json()), right = b.value(key, json());
    if (left != right) {
      differences.push_back(
          fmt::format("{}: {}: {} and {}", describe(a), key, left.dump(), right.dump()));
    }
  }
}

}  // namespace

std::vector<std::string> compare_metrics(const std::filesystem::path& first,
                                         const std::filesystem::path& second, std::size_t most) {
  const std::vector<json> a = result_lines(first), b = result_lines(second);
  std::vector<std::string> differences;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()) && differences.size() < most; ++i) {
    compare_lines(a[i], b[i], differences);
  }
  if (a.size() != b.size() && differences.size() < most) {
    differences.push_back(fmt::format("{} and {} lines of results", a.size(), b.size()));
  }
  if (differences.size() > most) differences.resize(most);
  return differences;
}

}  // namespace anemone::train
