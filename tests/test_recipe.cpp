#include "error.h"
#include "files.h"
#include "json_options.h"
#include "recipe.h"
#include "recipe_writer.h"
#include "support/catch.h"
#include "support/temp_folder.h"

using namespace previt;
using Catch::Matchers::EndsWith;

namespace {

struct Inner {
  double ratio = 0.75;
  std::vector<int64_t> size = {224};
};
enum class Shape { square, round };
constexpr auto enum_names(Shape) { return std::array{"square", "round"}; }
enum class Part { none, all, some };
constexpr auto enum_names(Part) { return std::array{"false", "true", "some"}; }
struct Partly {
  Part part = Part::none;
};
void visit(FieldVisitor& v, Partly& o) { v.field("part", o.part, "how much"); }
struct Outer {
  std::string kind = "a";
  Shape shape = Shape::square;
  bool flag = false;
  int64_t count = 3;
  Inner inner;
};
void visit(FieldVisitor& v, Inner& o) {
  v.field("ratio", o.ratio, "share", inside(0, 1));
  v.field("size", o.size, "pixels", at_least(1));
  v.check("size", o.size.size() > 2 ? "one side or two are needed" : "");
}
void visit(FieldVisitor& v, Outer& o) {
  v.field("kind", o.kind, "one of two", {"a", "beta"});
  v.field("shape", o.shape, "of the corners");
  v.field("flag", o.flag, "on or off");
  v.field("count", o.count, "how many", at_least(0));
  v.section("inner", o.inner);
}

std::string error_of(const std::string& text) {
  try {
    auto recipe = Recipe::parse(text, "r.yaml");
    Outer options;
    recipe.read(options);
    recipe.require_all_read();
  } catch (const UsageError& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a text is taken as it is, whatever it were as YAML") {
  for (const std::string text :
       {"photos #2", "[x]", "a: b", "null", "~", "- a", " x ", "*x", "%41"}) {
    auto recipe = Recipe::parse("", "recipe");
    recipe.set_text("kind", text);
    Outer options;
    CHECK_THROWS_WITH(recipe.read(options), ContainsSubstring("kind: " + text + " is not one of"));
  }
}

TEST_CASE("a recipe fills options and keeps defaults") {
  auto recipe = Recipe::parse("kind: beta\nshape: round\ninner:\n  size: [32, 48]\n");
  recipe.set("inner.ratio=0.5");
  recipe.set("flag=true");
  Outer options;
  recipe.read(options);
  recipe.require_all_read();
  CHECK(options.kind == "beta");
  CHECK(options.shape == Shape::round);
  CHECK(options.flag);
  CHECK(options.count == 3);
  CHECK(options.inner.ratio == 0.5);
  CHECK(options.inner.size == std::vector<int64_t>{32, 48});
}

TEST_CASE("what was true or false and has more words now takes all that YAML calls so") {
  const auto part = [](const std::string& word) {
    auto recipe = Recipe::parse("part: " + word + "\n", "r.yaml");
    Partly options;
    recipe.read(options);
    return options.part;
  };
  CHECK(part("some") == Part::some);
  CHECK((part("true") == Part::all && part("yes") == Part::all && part("On") == Part::all));
  CHECK((part("false") == Part::none && part("no") == Part::none));
  CHECK_THROWS_WITH(part("nearly"), ContainsSubstring("nearly is not one of false, true, some"));
}

TEST_CASE("a resolved recipe reads back to the same options") {
  Outer options{.kind = "beta",
                .shape = Shape::round,
                .flag = true,
                .count = 7,
                .inner = {.ratio = 0.1, .size = {1, 2}}};
  RecipeWriter writer;
  visit(writer, options);
  auto recipe = Recipe::parse(writer.text());
  Outer back;
  recipe.read(back);
  recipe.require_all_read();
  CHECK(back.kind == options.kind);
  CHECK(back.shape == options.shape);
  CHECK(back.flag == options.flag);
  CHECK(back.count == options.count);
  CHECK(back.inner.ratio == options.inner.ratio);
  CHECK(back.inner.size == options.inner.size);
}

TEST_CASE("options go through JSON, an enum by its name, and what JSON holds is checked") {
  Outer round;
  round.shape = Shape::round;
  const auto json = options_to_json(round);
  CHECK(json.at("shape") == "round");
  CHECK(options_from_json<Outer>(json, "c.json").shape == Shape::round);
  const auto read = [](const char* text) {
    return options_from_json<Outer>(nlohmann::json::parse(text), "c.json");
  };
  CHECK(read("{}").shape == Shape::square);
  CHECK_THROWS_WITH(read(R"({"shape": "rond"})"),
                    "c.json: shape: rond is not one of square, round");
  CHECK_THROWS_WITH(read(R"({"shape": 1})"), "c.json: shape: 1 is of the wrong type");
}

TEST_CASE("what a range can't say, and what only a later check finds, comes with its place") {
  CHECK(error_of("count: 3\ninner:\n  size: [1, 2, 3]\n") ==
        "r.yaml:3: inner.size: one side or two are needed");

  auto recipe = Recipe::parse("count: 3\ninner:\n  size: [1, 2]\n", "r.yaml");
  recipe.set("inner.ratio=0.5");
  Outer options;
  recipe.read(options);
  const auto later = [&](const std::string& message) {
    try {
      recipe.places().around([&] { fail_usage("{}", message); });
    } catch (const UsageError& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  CHECK(later("count: too many") == "r.yaml:1: count: too many");
  CHECK(later("inner.size, inner.ratio: differ") == "r.yaml:3: inner.size, inner.ratio: differ");
  CHECK(later("inner.ratio: odd") == "--set inner.ratio=0.5: inner.ratio: odd");
  CHECK(later("flag: needs count: 4") == "r.yaml: flag: needs count: 4");
  CHECK(later("photos/a.jpg: damaged") == "photos/a.jpg: damaged");
  CHECK_THROWS_AS(recipe.places().around([] { fail("count: not a usage error"); }), Error);
  CHECK(recipe.places().around([] { return 5; }) == 5);
}

TEST_CASE("recipe errors say where and what") {
  CHECK(error_of("inner:\n  ratio: 1.5\n") == "r.yaml:2: inner.ratio: 1.5 is not in (0, 1)");
  CHECK(error_of("inner:\n  ratoi: 0.5\n") ==
        "r.yaml:2: inner.ratoi: unknown key; did you mean ratio?");
  CHECK(error_of("count: many\n") == "r.yaml:1: count: many is not a whole number");
  CHECK(error_of("count: 1.5\n") == "r.yaml:1: count: 1.5 is not a whole number");
  CHECK(error_of("flag: 3\n") == "r.yaml:1: flag: 3 is not true or false");
  CHECK(error_of("kind: bet\n") == "r.yaml:1: kind: bet is not one of a, beta; did you mean beta?");
  CHECK(error_of("shape: rond\n") ==
        "r.yaml:1: shape: rond is not one of square, round; did you mean round?");
  CHECK(error_of("shape: [1]\n") == "r.yaml:1: shape: this is not a word");
  CHECK(error_of("inner: 5\n") ==
        "r.yaml:1: inner: is a section of `key: value` lines, not a single value");
  CHECK(error_of("inner:\n  size: 3\n") == "r.yaml:2: inner.size: is a list; write [3]");
  CHECK(error_of("count: 1\ncount: 2\n") == "r.yaml:2: count: given twice");
  CHECK_THAT(error_of("kind: [\n"), ContainsSubstring("r.yaml:"));
  CHECK_THAT(error_of("inner:\n\tratio: 0.5\n"),
             ContainsSubstring("r.yaml:2: ") && EndsWith("; indent with spaces, not tabs"));
  CHECK_THAT(error_of("- 1\n"), ContainsSubstring("`key: value`"));
}

TEST_CASE("a file that can't be read is told by the line that asks for it") {
  const TempFolder temp;
  const std::string recipe = temp.path() + "/r.yaml";
  const auto error_with_base = [&](const std::string& base) -> std::string {
    write_whole_file(recipe, "# first\nbase: " + base + "\n");
    try {
      Recipe::load(recipe);
    } catch (const UsageError& e) {
      return e.what();
    }
    return "";
  };
  const std::string gone = temp.path() + "/gone.yaml", folder = temp.path() + "/folder";
  make_folder(folder);
  CHECK(error_with_base("gone.yaml") == recipe + ":2: base: " + gone + ": no such recipe");
  CHECK(error_with_base("folder") ==
        recipe + ":2: base: " + folder + ": is a folder, not a recipe");
  CHECK(error_with_base("[a]") == recipe + ":2: base: must be a file name");
  CHECK_THROWS_WITH(Recipe::load(gone), gone + ": no such recipe");
  CHECK_THROWS_WITH(Recipe::load(folder), folder + ": is a folder, not a recipe");
  CHECK_THROWS_WITH(Recipe::load(recipe + "/inside"), recipe + "/inside: Not a directory");
}

TEST_CASE("a list that holds itself, or other lists, is refused") {
  for (const std::string value : {"&a [1, *a]", "[[1, 2], [3]]", "[{a: 1}]"}) {
    INFO(value);
    CHECK_THROWS_WITH(
        Recipe::parse("optimizer:\n  betas: " + value, "x.yaml"),
        "x.yaml:2: optimizer.betas: a list holds single values, not lists or sections");
    Recipe recipe = Recipe::parse("", "x.yaml");
    CHECK_THROWS_AS(recipe.set("optimizer.betas=" + value), UsageError);
  }
}

TEST_CASE("a number may have a word, which is written as it is read") {
  struct Counted {
    int64_t count = 3;
  };
  struct Visit {
    static void all(FieldVisitor& v, Counted& o) {
      v.field("count", o.count, "how many", at_least(0), {"auto", "none"});
    }
  };
  const auto read = [](const std::string& text) {
    auto recipe = Recipe::parse(text, "r.yaml");
    Counted options;
    Visit::all(recipe.reader(), options);
    return options.count;
  };
  CHECK(read("") == 3);
  CHECK(read("count: 7") == 7);
  CHECK(read("count: auto") == -1);
  CHECK(read("count: \"none\"") == -2);
  CHECK_THROWS_WITH(read("count: automatic"),
                    "r.yaml:1: count: automatic is not a whole number or auto, none");
  CHECK_THROWS_WITH(read("count: -1"), "r.yaml:1: count: -1 is not in [0, inf)");
  CHECK_THROWS_WITH(read("count: [auto]"),
                    "r.yaml:1: count: this is not a whole number or auto, none");
  for (const int64_t count : {-2, -1, 0, 12}) {
    Counted options{count};
    RecipeWriter writer;
    Visit::all(writer, options);
    CHECK(read(writer.text()) == count);
  }
}
