// The table of rules as a whole, its page of documentation, and programs of the wild.
#include "anemone/engine/ane/lint/lint.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>

#include "anemone/base/error.h"
#include "anemone/base/file.h"
#include "anemone/engine/ane/legalize.h"
#include "anemone/mil/export.h"
#include "anemone/mil/parser.h"
#include "anemone/mil/passes/pack_io.h"
#include "anemone/mil/random_program.h"
#include "anemone/mil/verifier.h"
#include "anemone/nn/layer.h"
#include "tests/support/default_layer.h"
#include "tests/support/shared.h"
#include "tests/support/step_evaluator.h"
#include "tests/support/temporary_directory.h"

namespace anemone::engine::ane::lint {
namespace {

constexpr std::size_t kCatalogue = 94;  // rules

TEST(LintRules, AreThoseOfTheCatalogue) {
  const auto rules = all_rules();
  ASSERT_EQ(rules.size(), kCatalogue);
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const Rule& rule = *rules[i];
    EXPECT_EQ(rule.number, static_cast<int>(i) + 1);
    for (const std::string_view text : {rule.title, rule.evidence, rule.hint, rule.source}) {
      EXPECT_FALSE(text.empty()) << rule.id();
      EXPECT_EQ(text.find('|'), std::string_view::npos) << rule.id() << " breaks the table";
    }
    EXPECT_TRUE(rule.evidence.ends_with('.') && rule.hint.ends_with('.')) << rule.id();
    EXPECT_FALSE(rule.title.ends_with('.')) << rule.id();
    const auto* reason = std::get_if<NotDecidable>(&rule.check);
    EXPECT_TRUE(reason == nullptr || !reason->reason.empty()) << rule.id();
    EXPECT_EQ(&find_rule(rule.id()), &rule);
  }
}

TEST(LintRules, AreFoundInAnyUsualSpelling) {
  EXPECT_EQ(find_rule("ANE035").number, 35);
  EXPECT_EQ(find_rule("ane35").number, 35);
  EXPECT_EQ(find_rule("35").number, 35);
  for (const char* id : {"", "ANE", "ANE000", "ANE095", "35x", "ANE-1", "X35"}) {
    EXPECT_THROW(find_rule(id), Error) << id;
  }
}

TEST(LintRules, ContestedOnesNeverFail) {
  for (const Effect effect : {Effect::compile, Effect::status, Effect::data, Effect::numbers,
                              Effect::speed, Effect::fact}) {
    for (const Certainty certainty : {Certainty::D, Certainty::E}) {
      EXPECT_NE(severity_of(effect, certainty), mil::Severity::error);
    }
  }
  EXPECT_EQ(severity_of(Effect::compile, Certainty::C), mil::Severity::error);
  EXPECT_EQ(severity_of(Effect::numbers, Certainty::A), mil::Severity::warning);
  EXPECT_EQ(severity_of(Effect::speed, Certainty::A), mil::Severity::note);
}

TEST(LintRules, TheCommittedChapterIsUpToDate) {
  const auto path = test::source_root() / "docs/lint.md";
  if (std::getenv("ANEMONE_UPDATE_GOLDEN") != nullptr) {
    ASSERT_TRUE(write_file_atomically(path, describe_rules()).ok());
  }
  EXPECT_TRUE(read_text_file(path) == describe_rules())
      << "docs/lint.md is out of date: run this test with ANEMONE_UPDATE_GOLDEN=1";
}

TEST(LintRules, ExplainFitsAScreen) {
  for (const Rule* rule : all_rules()) {
    const std::string text = explain(*rule);
    EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 24) << rule->id();
    EXPECT_NE(text.find(rule->source.substr(0, 20)), std::string::npos) << rule->id();
  }
}

mil::Program parse(const std::string& text) {
  mil::Diagnostics diagnostics("test", text);
  mil::Program program = mil::parse(text, diagnostics, mil::UnknownOperations::keep);
  EXPECT_FALSE(diagnostics.has_errors()) << diagnostics.render();
  return program;
}

const std::string kThreeBiases = R"(program(1.3)
{
    func main<ios18>(tensor<fp16, [1, 64, 1, 64]> a, tensor<fp16, [64]> b) {
            tensor<fp16, [64, 64, 1, 1]> w = const()[val = tensor<fp16, [64, 64, 1, 1]>(BLOBFILE(path = string("@model_path/w.bin"), offset = uint64(64)))];
            tensor<fp16, [1, 64, 1, 64]> r = conv(bias = b, weight = w, x = a);
            tensor<fp16, [1, 64, 1, 64]> s = tile(x = r);
            tensor<fp16, [1, 64, 1, 64]> t = tile(x = s);
            tensor<fp16, [1, 64, 1, 64]> u = tile(x = t);
            tensor<fp16, [1, 64, 1, 64]> v = tile(x = u);
        } -> (v);
}
)";

TEST(Lint, ShowsTheFirstFewOfARule) {
  const mil::Program program = parse(kThreeBiases);
  mil::Diagnostics diagnostics("model.mil", kThreeBiases);
  show(lint(program, find_target("m4")), diagnostics);
  const std::string text = diagnostics.render();
  EXPECT_NE(text.find("model.mil:5:46: error: conv: has a bias. Use an add behind it. [ANE006, C]\n"
                      "                tensor<fp16, [1, 64, 1, 64]> r = conv("),
            std::string::npos)
      << text;
  EXPECT_NE(text.find(":8:46: warning: tile: may stop every later evaluation of the process "
                      "[ANE020, D] (and 1 more)"),
            std::string::npos)
      << text;
  EXPECT_EQ(text.find(":9:46: warning"), std::string::npos) << text;
}

TEST(Lint, SaysWhereInProgramsWithoutText) {
  mil::Program program;
  mil::Builder builder(program);
  const auto x = builder.input("x", mil::Type::tensor(DType::fp16, {1, 8, 1, 64}));
  builder.output(builder.exp({{"x", x}}, "steep"), "y");
  for (const Finding& finding : lint(program, find_target("m4")).findings) {
    if (finding.rule->number != 82) continue;
    EXPECT_EQ(message(finding, false),
              "exp: overflows above 11.09 (in function main, at y) [ANE082, C]");
    return;
  }
  FAIL() << "nothing found";
}

TEST(Lint, TakesFilesOfWeightsAsTheyAreWritten) {
  mil::Program program;
  mil::Builder builder(program);
  const auto x = builder.input("x", mil::Type::tensor(DType::fp16, {1, 64}));
  const std::vector<double> numbers(64, 0.5);
  const auto w = builder.constant(mil::Constant::numbers(DType::fp16, {1, 64}, numbers), "w");
  builder.output(builder.add({{"x", x}, {"y", w}}), "y");
  const test::TemporaryDirectory folder;
  mil::ConstantSource none;
  ASSERT_TRUE(mil::export_program(program, none, folder.path()).ok());
  const mil::Program exported = mil::load_program(folder.path() / "model.mil");
  mil::ConstantSource files(nullptr, folder.path());
  ASSERT_NE(exported.main().constant(exported.main().ops.back().arguments[1][0]), nullptr);
  for (const Finding& finding : lint(exported, find_target("m4"), &files).findings) {
    EXPECT_NE(finding.rule->number, 50) << finding.message;
  }
}

// The work of two 1x1 convolutions, and what is alive while the second one runs.
TEST(Lint, EstimatesCosts) {
  mil::Program program;
  mil::Builder b(program);
  const auto x = b.input("x", mil::Type::tensor(DType::fp16, {1, 16, 1, 32}));
  const auto weight = [&](std::int64_t out, std::int64_t in) {
    return b.weight({"w", false}, mil::Type::tensor(DType::fp16, {out, in, 1, 1}), "w");
  };
  const auto h = b.conv({{"x", x}, {"weight", weight(64, 16)}});
  b.output(b.conv({{"x", h}, {"weight", weight(8, 64)}}), "y");
  const Cost cost = lint(program, find_target("m4")).estimates.at(0).cost;
  EXPECT_EQ(cost.flops, 2.0 * 32 * (64 * 16 + 8 * 64));
  EXPECT_EQ(cost.constant_bytes, 2.0 * (64 * 16 + 8 * 64));
  EXPECT_EQ(cost.port_bytes, 2.0 * 32 * (16 + 8));
  EXPECT_EQ(cost.peak_bytes, 2.0 * (32 * 16 + 32 * 64 + 64 * 16));
}

std::string render(const Result& result) {
  mil::Diagnostics diagnostics("program", {});
  show(result, diagnostics);
  return diagnostics.render();
}

std::vector<nn::Kernel> packed_kernels() {
  auto kernels = nn::layer_kernels(test::default_layer(), "six");
  for (nn::Kernel& kernel : kernels) mil::pack_io(kernel.program.main(), kernel.name);
  return kernels;
}

TEST(Lint, PackedKernelsHaveNoErrorsFromM3On) {
  for (const nn::Kernel& kernel : packed_kernels()) {
    for (const char* target : {"h15", "h16", "h17"}) {
      const Result result = lint(kernel.program, find_target(target));
      EXPECT_EQ(result.count(mil::Severity::error), 0U) << kernel.name << " on " << target << ":\n"
                                                        << render(result);
    }
  }
}

// On M1 the header of the programs is wrong, their averages are not known to work, and pow is
// contested.
TEST(Lint, PackedKernelsExplainThemselvesOnM1) {
  std::set<int> found;
  for (const nn::Kernel& kernel : packed_kernels()) {
    const Result result = lint(kernel.program, find_target("h13"));
    EXPECT_GE(result.count(mil::Severity::error), 1U) << kernel.name;
    for (const Finding& finding : result.findings) {
      found.insert(finding.rule->number);
      if (finding.severity == mil::Severity::error) {
        EXPECT_EQ(finding.rule->number, 4) << kernel.name << ": " << finding.message;
      }
    }
  }
  for (const int rule : {4, 10, 12}) EXPECT_EQ(found.count(rule), 1U) << rule;
}

TEST(Lint, LooksAtWeightsOfTheTrainer) {
  const test::LayerCase layer(test::default_layer(), 1);
  mil::ConstantSource constants(&layer.weights);
  for (const nn::Kernel& kernel : packed_kernels()) {
    const Result result = lint(kernel.program, find_target("h16"), &constants);
    EXPECT_EQ(result.count(mil::Severity::error), 0U) << kernel.name << "\n" << render(result);
  }
}

// Legalizing removes whatever is an error, also on M1.
TEST(Lint, LegalizedKernelsHaveNoErrorsAnywhere) {
  for (const nn::Partition& partition : nn::partitions()) {
    for (const nn::Kernel& kernel : nn::layer_kernels(test::default_layer(), partition.name)) {
      for (const Target& target : targets()) {
        const LegalizedProgram legal = legalize(kernel.program, target, {.name = kernel.name});
        const Result result = lint(parse(legal.text), target);
        EXPECT_EQ(result.count(mil::Severity::error), 0U)
            << partition.name << " " << kernel.name << " on " << target.name << ":\n"
            << render(result);
      }
    }
  }
}

// What legalize takes, lint takes.
TEST(Lint, LegalizedRandomProgramsHaveNoErrors) {
  int legalized = 0;
  mil::RandomProgram::Options options;
  options.floats = {DType::fp16};
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    mil::RandomProgram random(seed, options);
    random.grow();
    const mil::Program program = random.finish();
    for (const Target& target : targets()) {
      LegalizedProgram legal;
      try {
        legal = legalize(program, target);
      } catch (const Error&) {
        continue;  // refused, and said why
      }
      ++legalized;
      for (const Finding& finding : lint(parse(legal.text), target).findings) {
        EXPECT_NE(finding.severity, mil::Severity::error)
            << "seed " << seed << " on " << target.name << ": " << message(finding, false);
      }
    }
  }
  EXPECT_GE(legalized, 100);
}

TEST(Lint, RandomProgramsAreLinted) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    mil::RandomProgram random(seed);
    random.grow();
    const mil::Program program = random.finish();
    for (const Target& target : targets()) {
      const Result result = lint(program, target);
      for (const Finding& finding : result.findings) EXPECT_FALSE(finding.message.empty());
    }
  }
}

void lint_folder(const std::filesystem::path& folder, int& programs) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".mil") continue;
    const std::string text = read_text_file(entry.path());
    mil::Diagnostics diagnostics(entry.path().filename().string(), text);
    const mil::Program program = mil::parse(text, diagnostics, mil::UnknownOperations::keep);
    EXPECT_FALSE(diagnostics.has_errors()) << diagnostics.render();
    mil::ConstantSource files(nullptr, entry.path().parent_path());
    for (const Target& target : targets()) {
      mil::Diagnostics found(entry.path().filename().string(), text);
      show(lint(program, target, &files), found);
      EXPECT_FALSE(found.render().empty()) << entry.path();
    }
    ++programs;
  }
}

TEST(Lint, ProgramsOfOthersAreLinted) {
  ANEMONE_SHARED_OR_SKIP(texts, "mil/text");
  ANEMONE_SHARED_OR_SKIP(silero, "mil/silero");
  int programs = 0;
  lint_folder(texts, programs);
  lint_folder(silero, programs);
  EXPECT_GE(programs, 22);
}

}  // namespace
}  // namespace anemone::engine::ane::lint
