#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "augment/ops/operation.h"
#include "augment/ops/rand_augment.h"
#include "augment/views.h"
#include "error.h"
#include "files.h"
#include "recipe_writer.h"
#include "support/catch.h"
#include "support/noise_image.h"
#include "support/view_with.h"

using namespace previt;
using test::noise;

namespace {

std::vector<uint8_t> rendered(const Image& image, const ViewSpec& spec, const ViewPlan& plan) {
  std::vector<uint8_t> view(image.pixels.size());
  render_view({.pixels = image, .box = {0, 0, image.height, image.width}}, spec, plan, view.data());
  return view;
}

// Gives the lowest number each time, so that everything happens, and says what was asked for.
class LoggedDraws final : public Draws {
 public:
  double uniform(double low, double high) override {
    asked += fmt::format("[{}, {}) ", low, high);
    return low;
  }
  int64_t integer(int64_t low, int64_t high) override {
    asked += fmt::format("{}..{} ", low, high - 1);
    return low;
  }
  double normal(double mean, double) override { return asked += "normal ", mean; }
  double beta(double, double) override { return asked += "beta ", 0; }

  std::string asked;
};

// The table as text for readers: each operation's recipe keys with default and help, and where it
// works.
std::string operations_text() {
  std::string text;
  for (const auto& operation : operations()) {
    RecipeWriter fields;
    ViewSpec defaults;
    operation.row->visit(fields, defaults);
    text += fmt::format("# {}; {} a fixed view\n{}",
                        operation.plan_batch ? "host and device" : "host only",
                        operation.row->in_fixed_view ? "also in" : "not in",
                        fields.text());
  }
  std::vector<std::string> names;
  for (const auto& row : rand_operations()) names.emplace_back(row.name);
  return text + fmt::format("# rand_augment draws from {}\n", fmt::join(names, ", "));
}

}  // namespace

TEST_CASE("what is drawn for a view, and in which order, is fixed: a seed means these numbers",
          "[operations]") {
  ViewSpec spec{.count = 2,
                .crop = CropKind::resize,
                .jitter = 0.8,
                .greyscale = 0.2,
                .blur = 0.5,
                .solarize = 0.2,
                .rand_augment = RandAugment::parse("rand-m9-mstd0.5-inc1")};
  LoggedDraws draws;
  plan_views({spec}, 64, 64, draws);
  const std::string once =
      "[0, 1) 0..14 0..14 [0, 1) normal [0, 1) normal "
      "[0, 1) 0..3 0..2 0..1 [0.6, 1.4) [0.6, 1.4) [0.8, 1.2) [-0.1, 0.1) "
      "[0, 1) [0, 1) [0.1, 2) [0, 1) ";
  CHECK(draws.asked == once + once);

  spec.count = 1;
  spec.sharpness = 0.5;
  draws.asked.clear();
  plan_views({spec}, 64, 64, draws);
  CHECK(draws.asked == once + "[0, 1) [0.1, 1.9) ");
}

TEST_CASE("every operation changes its pixels and no others, as drawn, and draws nothing when off",
          "[operations]") {
  const Image image = noise(24, 30);
  for (const auto& operation : operations()) {
    INFO(operation.key);
    const ViewSpec spec = view_with(operation.key, 24, 30);
    int changed = 0;
    for (uint64_t seed = 0; seed < 20; ++seed) {
      Random draws(seed), again(seed);
      const ViewPlan plan = plan_views({spec}, 24, 30, draws).front();
      REQUIRE(plan.drawn.size() == 1);
      REQUIRE(plan.drawn.contains(operation.key));
      const auto pixels = rendered(image, spec, plan);
      changed += pixels != image.pixels;
      CHECK(pixels == rendered(image, spec, plan_views({spec}, 24, 30, again).front()));
      for (const int64_t channels : {1, 3}) {
        std::vector<uint8_t> framed(30 * 30 * 3, 77);
        const int64_t size = 24 * 30 * channels, margin = 90;
        std::copy_n(image.pixels.begin(), size, framed.begin() + margin);
        apply_operations(spec, plan, {framed.data() + margin, 24, 30, channels});
        const auto untouched = [](uint8_t value) { return value == 77; };
        CHECK(std::all_of(framed.begin(), framed.begin() + margin, untouched));
        CHECK(std::all_of(framed.begin() + margin + size, framed.end(), untouched));
      }
    }
    CHECK(changed > 10);

    ViewSpec repeating = spec;
    repeating.same_crop_as = spec.name;
    ViewSpec off{
        .height = 24, .width = 30, .crop = CropKind::none, .flip = 0, .same_crop_as = spec.name};
    Random draws(0);
    const auto plans = plan_views({spec, repeating, off}, 24, 30, draws);
    CHECK(rendered(image, repeating, plans[1]) == rendered(image, spec, plans[0]));
    CHECK(plans[2].drawn.empty());
    CHECK(operation.row->on(spec));
    CHECK_FALSE(operation.row->on(off));
    off.same_crop_as.clear();
    LoggedDraws none;
    plan_views({off}, 24, 30, none);
    CHECK(none.asked.empty());
  }
}

TEST_CASE("a view whose tokens are made once has only operations that their rows allow there",
          "[operations]") {
  for (const auto& operation : operations()) {
    INFO(operation.key);
    const auto changing = changing_setting(view_with(operation.key, 24, 30));
    CHECK(changing.has_value() != operation.row->in_fixed_view);
    if (changing) CHECK(changing->key == operation.key);
  }
  const auto sharper = changing_setting(view_with("sharpness", 24, 30));
  REQUIRE(sharper.has_value());
  CHECK(sharper->value == "1");
  CHECK(sharper->fixed == "0");
  const auto drawn = changing_setting(view_with("rand_augment", 24, 30));
  REQUIRE(drawn.has_value());
  CHECK(drawn->value == "rand-m9-p1-inc1");
  CHECK(drawn->fixed == "\"\"");
  const auto flipped = changing_setting({.crop = CropKind::none, .flip = 0.5});
  REQUIRE(flipped.has_value());
  CHECK(flipped->key == "flip");
  CHECK(flipped->value == "0.5");
  CHECK_FALSE(changing_setting({.crop = CropKind::none, .flip = 0}).has_value());
}

TEST_CASE("a row without pixel code, and pixel code without a row, are errors at once",
          "[operations]") {
  std::vector<Operation> made = operations();
  std::reverse(made.begin(), made.end());
  CHECK(matched_rows(made).front().key == operations().front().key);
  made.push_back(made.front());
  CHECK_THROWS_WITH(matched_rows(made), ContainsSubstring("augmentation: pixel code of "));
  made.erase(made.end() - 2, made.end());
  CHECK_THROWS_WITH(matched_rows(made), "augmentation: rand_augment has no pixel code");
}

TEST_CASE("what tells views apart in files does not change with operations that are off",
          "[operations]") {
  const std::string before =
      R"({"blur":0.0,"blur_sigma":[0.1,2.0],"brightness":0.4,"contrast":0.4,)"
      R"("crop":"random_resized","crop_pct":0.875,"flip":0.5,"greyscale":0.0,"height":224,)"
      R"("hue":0.1,"interpolation":"bicubic","jitter":0.0,"rand_augment":"",)"
      R"("ratio":[0.75,1.3333333333333333],"saturation":0.2,"scale":[0.2,1.0],)"
      R"("solarize":0.0,"solarize_threshold":128,"width":224})";
  CHECK(view_identity({}).dump() == before);
  CHECK(view_identity({.sharpness = 0.5}).at("sharpness") == 0.5);
}

TEST_CASE("wrong fields of an operation are told by their key", "[operations]") {
  const auto reads = [](const char* key, const nlohmann::json& value) {
    nlohmann::json options;
    options[key] = value;
    return options_from_json<ViewSpec>(options, "test");
  };
  CHECK_THROWS_WITH(reads("sharpness_factor", std::vector<double>{2, 1}),
                    "test: sharpness_factor: [2, 1] is not the lowest and the highest, like "
                    "[0.5, 1]");
  CHECK_THROWS_WITH(reads("rand_augment", "rand-m"),
                    "test: rand_augment: rand-m: m needs a number");
  const RandAugment policy = reads("rand_augment", "rand-m7").rand_augment;
  CHECK(policy.on());
  CHECK(policy.magnitude == 7);
  CHECK(policy.config == "rand-m7");
}

TEST_CASE("the page on adding an operation shows the code and the table as they are",
          "[operations]") {
  const std::string root = PREVIT_SOURCE_DIR;
  const std::string page = read_whole_file(root + "/docs/add_an_operation.md");
  CHECK_THAT(page,
             ContainsSubstring(read_whole_file(root + "/src/augment/ops/sharpness_operation.cpp")));
  CHECK_THAT(page, ContainsSubstring(operations_text()));
}
