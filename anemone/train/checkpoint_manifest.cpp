// Reading and writing manifest.json.
#include "anemone/train/checkpoint_manifest.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <span>

#include "anemone/base/error.h"
#include "anemone/base/hash.h"

namespace anemone::train {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormatVersion = 1;
constexpr const char* kFormat = "anemone-checkpoint";
constexpr const char* kPlace = "manifest.json";
constexpr std::size_t kLongest = 65536;
constexpr std::size_t kShownValue = 40;  // of a wrong value in a message

Json parse_bounded(std::string_view text) {
  if (text.size() > kLongest) {
    throw Error(fmt::format("{} bytes", text.size()), kPlace, fmt::format("at most {}", kLongest));
  }
  // Bounded nesting: printing JSON recurses.
  const auto shallow = [](int depth, Json::parse_event_t, Json&) {
    constexpr int kDeepest = 4;
    if (depth > kDeepest) throw Error("nested too deeply", kPlace);
    return true;
  };
  Json json = Json::parse(text, shallow, /*allow_exceptions=*/false);
  if (!json.is_object()) throw Error("not JSON", kPlace, "an object");
  return json;
}

Json field(const Json& object, const std::string& key) {
  const auto found = object.find(key);
  return found == object.end() ? Json() : *found;
}

std::uint64_t count_field(const Json& object, const std::string& key) {
  const Json value = field(object, key);
  if (value.is_number_unsigned()) return value.get<std::uint64_t>();
  throw Error(fmt::format("\"{}\" is {}", key, value.dump().substr(0, kShownValue)), kPlace,
              "a count");
}

std::string text_field(const Json& object, const std::string& key) {
  const Json value = field(object, key);
  if (value.is_string()) return value.get<std::string>();
  throw Error(fmt::format("\"{}\" is {}", key, value.dump().substr(0, kShownValue)), kPlace,
              "a string");
}

}  // namespace

std::string to_text(const Manifest& manifest) {
  Json files = Json::object();
  for (const FileEntry& file : manifest.files) {
    files[file.name] = {{"bytes", file.bytes}, {"xxh3_128", file.hash}};
  }
  Json json = {{"format", kFormat},
               {"version", kFormatVersion},
               {"step", manifest.step},
               {"files", std::move(files)}};
  const std::string open = json.dump(2);
  json["manifest_xxh3_128"] = content_hash(std::as_bytes(std::span(open.data(), open.size())));
  return json.dump(2) + "\n";
}

Manifest parse_manifest(std::string_view text) {
  const Json json = parse_bounded(text);
  if (text_field(json, "format") != kFormat) throw Error("not a manifest", kPlace, kFormat);
  if (const std::uint64_t version = count_field(json, "version"); version != kFormatVersion) {
    throw Error(fmt::format("format version {}", version), kPlace, std::to_string(kFormatVersion));
  }
  Manifest manifest;
  manifest.step = count_field(json, "step");
  const Json files = field(json, "files");
  if (!files.is_object()) throw Error("names no files", kPlace);
  for (const auto& [name, file] : files.items()) {
    if (!file.is_object()) throw Error("no entry for a file", kPlace, "its size and hash");
    manifest.files.push_back({name, count_field(file, "bytes"), text_field(file, "xxh3_128")});
  }
  const std::string claimed = text_field(json, "manifest_xxh3_128");
  if (to_text(manifest) != text) {
    throw Error(fmt::format("hash {} is not the hash of the text", claimed.substr(0, kShownValue)),
                kPlace, "an undamaged manifest");
  }
  return manifest;
}

}  // namespace anemone::train
