// What the parser accepts beyond our own spelling, what it makes of it, and its limits.
#include "anemone/mil/parser.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "anemone/mil/diagnostics.h"
#include "anemone/mil/lexer.h"
#include "anemone/mil/printer.h"
#include "anemone/mil/verifier.h"

namespace anemone::mil {
namespace {

std::string with_body(const std::string& body) {
  return "program(1.3)\n{\nfunc main<ios18>(tensor<fp16, [1, 4]> x) {\n" + body +
         "\n} -> (y);\n}\n";
}

const std::string kIdentity = "tensor<fp16, [1, 4]> y = identity(x = x);";

// The value of `c` in a program with the statement.
Constant constant_of(const std::string& type, const std::string& value) {
  const Program program =
      parse_program(with_body(type + " c = const()[val = " + value + "];\n" + kIdentity));
  return *program.main().ops.front().constant;
}

TEST(Parser, ReadsTheParts) {
  const std::string text =
      "program(1.0)[a = string(\"b\")]{func f<ios15>(fp16 x,tensor<fp16,[]> z)"
      "{fp16 y=add(x=x,y=z)[name=string(\"n\")];}->(y);}";
  const Program program = parse_program(text);
  EXPECT_EQ(program.version, "1.0");
  ASSERT_EQ(program.attributes.size(), 1u);
  EXPECT_EQ(program.attributes[0].name, "a");
  const Function& f = program.main();
  EXPECT_EQ(f.name, "f");
  EXPECT_EQ(f.opset, "ios15");
  ASSERT_EQ(f.inputs.size(), 2u);
  EXPECT_EQ(f.type(f.inputs[1]), Type::tensor(DType::fp16));
  ASSERT_EQ(f.ops.size(), 1u);
  EXPECT_EQ(f.ops[0].kind, OpKind::add);
  EXPECT_EQ(f.ops[0].arguments[0].front(), f.inputs[0]);
  EXPECT_EQ(f.ops[0].arguments[1].front(), f.inputs[1]);
  EXPECT_EQ(f.ops[0].location.line, 1u);
  EXPECT_EQ(f.ops[0].location.column, text.find("add") + 1);
  EXPECT_EQ(f.outputs, f.ops[0].results);
  EXPECT_EQ(f.name_of(f.outputs[0]), "y");
}

// For those who look at a program without running it.
TEST(Parser, KeepsUnknownOperationsForWhoAsks) {
  const std::string text = with_body(
      "int32 axis = const()[val = int32(1)];\n"
      "tensor<fp16, [1, 4]> g = gelu(x = x, mode = string(\"EXACT\"));\n"
      "tensor<fp16, [1, 4]> h, tensor<fp16, [1]> i = lstm(all = (g, x), axis = axis);\n"
      "tensor<fp16, [1, 4]> y = add(x = g, y = h);");
  Diagnostics diagnostics("text", text);
  const Program program = parse(text, diagnostics, UnknownOperations::keep);
  verify(program, diagnostics);
  EXPECT_FALSE(diagnostics.has_errors()) << diagnostics.render();
  const Function& f = program.main();
  EXPECT_EQ(f.ops.size(), 2u);
  ASSERT_EQ(f.unknown_ops.size(), 2u);
  const UnknownOperation& gelu = f.unknown_ops[0];
  EXPECT_EQ(gelu.name, "gelu");
  EXPECT_EQ(gelu.location.line, 5u);
  ASSERT_EQ(gelu.arguments.size(), 2u);
  EXPECT_EQ(gelu.arguments[0].values, f.inputs);
  EXPECT_EQ(gelu.arguments[1].name, "mode");
  EXPECT_FALSE(gelu.arguments[1].values.at(0).valid());
  const UnknownOperation& lstm = f.unknown_ops[1];
  EXPECT_EQ(lstm.arguments[0].values, (std::vector<Value>{gelu.results[0], f.inputs[0]}));
  ASSERT_EQ(lstm.results.size(), 2u);
  EXPECT_EQ(f.name_of(lstm.results[1]), "i");

  Diagnostics reported("text", text);
  EXPECT_TRUE(parse(text, reported).main().unknown_ops.empty());
  EXPECT_EQ(reported.error_count(), 2u);
}

TEST(Parser, AcceptsCommentsByteOrderMarkAndCarriageReturns) {
  const Program program = parse_program(
      "\xef\xbb\xbf// a comment\r\nprogram(1) // another\r\n{\r\n\tfunc main<ios18>(fp16 x) {\r\n"
      "} -> (x);\r\n}\r\n// the last");
  EXPECT_EQ(program.version, "1.0");
}

TEST(Parser, MakesImmediatesConstants) {
  const Program program =
      parse_program(with_body("tensor<fp16, [1, 4]> y = softmax(axis = int32(-1), x = x);"));
  const Function& f = program.main();
  ASSERT_EQ(f.ops.size(), 2u);
  EXPECT_TRUE(f.ops[0].immediate);
  EXPECT_EQ(f.ops[0].constant->number(), -1);
  EXPECT_EQ(f.constant(f.ops[1].arguments[1].front()), f.ops[0].constant.get());
}

TEST(Parser, ReadsNumbers) {
  EXPECT_EQ(constant_of("fp32", "fp32(0.1)"), Constant::scalar(DType::fp32, 0.1f));
  EXPECT_EQ(constant_of("fp64", "fp64(1e-5)"), Constant::scalar(DType::fp64, 1e-5));
  EXPECT_EQ(constant_of("fp16", "fp16(-3)"), Constant::scalar(DType::fp16, -3));
  EXPECT_EQ(constant_of("fp16", "fp16(0x1p+4)"), Constant::scalar(DType::fp16, 16));
  EXPECT_EQ(constant_of("fp16", "fp16(0xap0)"), Constant::scalar(DType::fp16, 10));
  EXPECT_EQ(constant_of("fp16", "fp16(0x.8p1)"), Constant::scalar(DType::fp16, 1));
  EXPECT_EQ(constant_of("fp16", "fp16(65519)"), Constant::scalar(DType::fp16, 65504));
  EXPECT_EQ(constant_of("fp16", "fp16(0x1p-300)"), Constant::scalar(DType::fp16, 0));
  // 2^53 + 1 + a bit far behind: above the tie, so up.
  EXPECT_EQ(constant_of("fp64", "fp64(0x20000000000001.0000000000000001p+0)"),
            Constant::scalar(DType::fp64, 9007199254740994.0));
  EXPECT_EQ(constant_of("fp64", "fp64(0x20000000000001p+0)"),
            Constant::scalar(DType::fp64, 9007199254740992.0));
}

// Other tools leave the brackets of one value out.
TEST(Parser, AcceptsOneValueWithoutBrackets) {
  EXPECT_EQ(constant_of("tensor<int32, [1]>", "tensor<int32, [1]>(-1)"),
            constant_of("tensor<int32, [1]>", "tensor<int32, [1]>([-1])"));
}

TEST(Parser, AcceptsOneValueWhereATupleMayStand) {
  const std::string text = with_body(
      "tensor<fp16, [1, 4]> y = concat(values = x, interleave = bool(false), axis = int32(0));");
  EXPECT_NE(print(parse_program(text)).find("values = (x)"), std::string::npos);
}

TEST(Parser, LeavesUnsupportedOperationsOut) {
  const std::string text = with_body(
      "tensor<fp16, [1, 4]> a, tensor<fp16, [2]> b = mystery(x = x, y = int32(1), z = (x, x));\n"
      "tensor<fp16, [1, 4]> y = add(x = a, y = x);");
  Diagnostics diagnostics("t", text);
  const Program program = parse(text, diagnostics);
  verify(program, diagnostics);
  ASSERT_EQ(diagnostics.error_count(), 1u);
  EXPECT_EQ(diagnostics.all()[0].message, "unsupported operation 'mystery'");
  ASSERT_EQ(program.main().ops.size(), 1u);
  const Value a = program.main().ops[0].arguments[0].front();
  EXPECT_EQ(program.main().info(a).op, ValueInfo::kLeftOut);
}

TEST(Parser, StopsAfterManyErrors) {
  std::string body;
  for (int i = 0; i < 1000; ++i) body += "fp16 v" + std::to_string(i) + " = sqrt(y = x);\n";
  const std::string text = with_body(body + kIdentity);
  Diagnostics diagnostics("t", text);
  parse(text, diagnostics);
  EXPECT_EQ(diagnostics.all().size(), Diagnostics::kMaxErrors);
}

TEST(Parser, LimitsNesting) {
  std::string open, close;
  for (int i = 0; i < 100'000; ++i) open += "tuple<";
  const std::string text = with_body(open + "fp16 c = const()[val = fp16(1)];" + kIdentity);
  EXPECT_THROW(parse_program(text), DiagnosticError);
  open.clear();
  for (int i = 0; i < 100'000; ++i) open += "[";
  EXPECT_THROW(constant_of("tensor<fp16, [1]>", "tensor<fp16, [1]>(" + open + ")"),
               DiagnosticError);
}

// A value of a large type costs three letters; a megabyte of text must not become gigabytes.
TEST(Parser, BoundsTheMemoryOfRepeatedTypes) {
  std::string types, values;
  for (int i = 0; i < 20'000; ++i) types += i == 0 ? "fp16" : ", fp16";
  for (int i = 0; i < 20'000; ++i) values += i == 0 ? "{}" : ", {}";
  const std::string text =
      with_body("tensor<fp16, [1, 4]> y = identity(x = x)[a = list<dict<fp16, tuple<" + types +
                ">>, ?>([" + values + "])];");
  Diagnostics diagnostics("t", text);
  parse(text, diagnostics);
  ASSERT_TRUE(diagnostics.has_errors());
  EXPECT_EQ(diagnostics.all()[0].message, "too many values of large types");
}

// BirdNET's text: 594 k integers in one statement. The bound is loose enough for a sanitizer.
TEST(Parser, IsFastOnLongLiterals) {
  constexpr int kCount = 600'000;
  std::string values;
  for (int i = 0; i < kCount; ++i) values += (i == 0 ? "" : ", ") + std::to_string(100'000 + i % 7);
  const std::string type = "tensor<int32, [" + std::to_string(kCount) + "]>";
  const auto start = std::chrono::steady_clock::now();
  const Constant constant = constant_of(type, type + "([" + values + "])");
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(constant.number(kCount - 1), 100'000 + (kCount - 1) % 7);
  EXPECT_LT(seconds.count(), 2.0);
}

TEST(Lexer, CountsLinesAndColumns) {
  const std::string text = "a\n  -0x1.8p-3->\"s\\\"t\" // c\n\tb@1";
  Diagnostics diagnostics("t", text);
  Lexer lexer(text, diagnostics);
  const auto expect = [&](TokenKind kind, const std::string& what, std::uint32_t line,
                          std::uint32_t column) {
    const Token token = lexer.next();
    EXPECT_EQ(token.kind, kind);
    EXPECT_EQ(token.text, what);
    EXPECT_EQ(token.location.line, line);
    EXPECT_EQ(token.location.column, column);
  };
  expect(TokenKind::identifier, "a", 1, 1);
  expect(TokenKind::number, "-0x1.8p-3", 2, 3);
  expect(TokenKind::punctuation, "->", 2, 12);
  expect(TokenKind::string, "s\\\"t", 2, 14);
  expect(TokenKind::identifier, "b@1", 3, 2);
  expect(TokenKind::end, "", 3, 5);
  expect(TokenKind::end, "", 3, 5);
  EXPECT_FALSE(diagnostics.has_errors());
}

TEST(Lexer, NumbersEndWhereTheyCannotGoOn) {
  const std::string text = "1-2 1e-5-inf 0x1e-5 3.";
  Diagnostics diagnostics("t", text);
  Lexer lexer(text, diagnostics);
  std::string tokens;
  for (Token token = lexer.next(); token.kind != TokenKind::end; token = lexer.next()) {
    EXPECT_EQ(token.kind, TokenKind::number);
    tokens += std::string(token.text) + "|";
  }
  EXPECT_EQ(tokens, "1|-2|1e-5|-inf|0x1e|-5|3.|");
}

TEST(Diagnostics, ShowTheLineAndACaret) {
  const std::string text = "program(1.3)\n{\n\tfunc main<ios18>(fp16 x) {\n        } -> (z);\n}\n";
  Diagnostics diagnostics("m.mil", text);
  parse(text, diagnostics);
  EXPECT_EQ(diagnostics.render(),
            "m.mil:4:15: error: undefined value 'z'\n"
            "            } -> (z);\n"
            "                  ^\n");
  EXPECT_EQ(diagnostics.summary(), "1 error in m.mil");
}

TEST(Diagnostics, CutLongLinesAndHideControlCharacters) {
  const std::string text = std::string(300, 'a') + "é\x01\xff!" + std::string(300, 'b');
  Diagnostics diagnostics("m", text);
  diagnostics.error({1, 305}, "here");
  EXPECT_EQ(diagnostics.render(), "m:1:305: error: here\n    …" + std::string(46, 'a') + "é?\?!" +
                                      std::string(49, 'b') + "…\n    " + std::string(50, ' ') +
                                      "^\n");
}

TEST(Diagnostics, SortByPlaceAndKeepNotesBehindTheirError) {
  Diagnostics diagnostics("m", "a\nb\n");
  diagnostics.error({2, 1}, "second");
  diagnostics.note({1, 1}, "of the second");
  diagnostics.warning({1, 1}, "first");
  std::string order;
  for (const Diagnostic& diagnostic : diagnostics.all()) order += diagnostic.message + ";";
  EXPECT_EQ(order, "first;second;of the second;");
  EXPECT_EQ(diagnostics.error_count(), 1u);
}

}  // namespace
}  // namespace anemone::mil
