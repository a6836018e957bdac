#include "error.h"
#include "finetune/class_match.h"
#include "finetune/model.h"
#include "support/catch.h"

using namespace previt;

namespace {

using Names = std::vector<std::string>;
using Numbers = std::vector<int64_t>;

ClassMatch match(const Names& model, const Names& data, int64_t count = -1) {
  return match_classes({"model", model, count < 0 ? std::ssize(model) : count},
                       {"data", data, std::ssize(data)});
}

std::string refusal(const Names& model, const Names& data, int64_t count = -1) {
  try {
    match(model, data, count);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("classes are matched by name, whatever their order") {
  const ClassMatch same = match({"a", "b", "c"}, {"a", "b", "c"});
  CHECK(same.in_model == Numbers{0, 1, 2});
  CHECK(same.note.empty());
  const ClassMatch other = match({"c", "a", "b"}, {"a", "b", "c"});
  CHECK(other.in_model == Numbers{1, 2, 0});
  CHECK_FALSE(other.by_position);
  CHECK(other.note ==
        "data: has its classes in another order than model; they are matched by name");
  const ClassMatch part = match({"a", "b", "c", "d"}, {"a", "c", "d"});
  CHECK(part.in_model == Numbers{0, 2, 3});
  CHECK(part.note == "data: has 3 of the 4 classes that model knows");
  // Numbers and ids are names where they are the same on both sides: "10" stands after "1".
  CHECK(match({"0", "1", "2"}, {"1", "0", "2"}).in_model == Numbers{1, 0, 2});
  CHECK(match({"0", "1", "10", "2"}, {"10", "2"}).in_model == Numbers{2, 3});
  CHECK(match({"n02102040", "n01440764"}, {"n01440764", "n02102040"}).in_model == Numbers{1, 0});
}

TEST_CASE("a class that the model lacks is an error that names it and the nearest that it has") {
  CHECK(refusal({"church", "golf_ball"}, {"churchs", "golf_balls"}) ==
        "data: model knows no class churchs (is it church?), nor 1 more of the data; it knows "
        "church, golf_ball");
  CHECK(refusal({"a", "b", "c", "d", "e", "f"}, {"a", "xyzzy"}) ==
        "data: model knows no class xyzzy; it knows a, b, c, d, e and 1 more");
  CHECK(refusal({"0", "1", "2", "3"}, {"1", "2", "3", "4"})
            .starts_with("data: model knows no class 4"));
  CHECK_FALSE(refusal({"0", "1"}, {"2", "3"}).empty());
  CHECK_FALSE(refusal({"cat", "dog"}, {"0", "1"}).empty());
  CHECK_FALSE(refusal({"n00000001", "n00000002"}, {"n00000003", "n00000004"}).empty());
  CHECK(refusal({"crane", "crane", "egret"}, {"crane", "egret"}) ==
        "model: several of its classes are called crane, which data has too");
  CHECK(match({"crane", "crane", "egret"}, {"egret"}).in_model == Numbers{2});
  CHECK(match({"crane", "crane"}, {"crane", "crane"}).in_model == Numbers{0, 1});
}

TEST_CASE("a class without images may be unknown") {
  const ClassList data{.place = "data", .names = {"b", "c", "d"}, .count = 3};
  const auto with = [&](std::vector<bool> there) {
    ClassList list = data;
    list.there = std::move(there);
    return match_classes({"model", {"b", "a", "d"}, 3}, list);
  };
  CHECK(with({true, false, true}).in_model == Numbers{0, -1, 2});
  CHECK(with({true, false, true}).note == "data: has 2 of the 3 classes that model knows");
  CHECK_THROWS_AS(with({true, true, true}), Error);
  CHECK(match_classes({"model", {}, 3}, data).in_model == Numbers{0, 1, 2});
}

TEST_CASE("classes without names are taken by position, which is said") {
  for (const Names& model : {Names{},
                             Names{"LABEL_0", "LABEL_1"},
                             Names{"0", "1"},
                             Names{"n01440764", "n02102040"},
                             Names{"one of two"}}) {
    const ClassMatch found = match(model, {"cat", "dog"}, 2);
    CHECK(found.by_position);
    CHECK(found.in_model == Numbers{0, 1});
    CHECK(
        found.note ==
        "model: its classes have no names to match with those of data: they are taken by position "
        "(cat, dog)");
    CHECK(refusal(model, {"cat", "dog", "eel"}, 2) ==
          "model: its 2 classes have no names, only places, but data has 3 (cat, dog, eel)");
  }
  CHECK(match({"LABEL_0", "LABEL_1"}, {"0", "1"}).by_position);
  CHECK(match({}, {"0", "1"}, 2).by_position);
  // Folders are listed as 0, 1, 10, 2: a number is a place of its own.
  const ClassMatch numbers = match({}, {"1", "10", "2", "03"}, 4);
  CHECK(numbers.in_model == Numbers{0, 3, 1, 2});
  CHECK_THAT(numbers.note, ContainsSubstring("by position (1, 2, 03, 10)"));
  CHECK(match({"LABEL_0", "LABEL_1", "LABEL_2"}, {"0", "10", "9"}).in_model == Numbers{0, 2, 1});
  CHECK(match({"tench", "springer"}, {"n01440764", "n02102040"}).by_position);
  CHECK_FALSE(refusal({"springer", "tench"}, {"n01440764", "n02102040"}).empty());
  CHECK(only_numbered({}, 3));
  CHECK(only_numbered({"LABEL_0", "LABEL_1"}, 2));
  CHECK_FALSE(only_numbered({"cat", "1"}, 2));
}

TEST_CASE("of a checkpoint's heads the classes asked for are left, in their order") {
  LoadedModel model;
  model.options.num_classes = 3;
  model.class_names = {"a", "b", "c"};
  model.weights = {{"head.weight", torch::arange(6).view({3, 2})},
                   {"head.bias", torch::arange(3)},
                   {"head_dist.bias", torch::arange(3)},
                   {"norm.bias", torch::arange(3)}};
  keep_classes(model, {2, 0});
  CHECK(model.options.num_classes == 2);
  CHECK(model.class_names == Names{"c", "a"});
  CHECK(torch::equal(model.weights["head.weight"], torch::tensor({{4, 5}, {0, 1}})));
  CHECK(torch::equal(model.weights["head.bias"], torch::tensor({2, 0})));
  CHECK(torch::equal(model.weights["head_dist.bias"], torch::tensor({2, 0})));
  CHECK(model.weights["norm.bias"].size(0) == 3);
}
