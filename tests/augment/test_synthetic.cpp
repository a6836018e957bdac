#include <algorithm>
#include <array>

#include "augment/dataset/flags.h"
#include "augment/dataset/shapes.h"
#include "augment/dataset/synthetic.h"
#include "augment/open_dataset.h"
#include "error.h"
#include "support/catch.h"

using namespace previt;

namespace {

std::string error_of(const std::string& spec) {
  try {
    open_dataset("synthetic:" + spec);
  } catch (const UsageError& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a generated scene depends on seed and index alone") {
  const auto small = open_dataset("synthetic:shapes,size=32,count=10,seed=3");
  const auto large = open_dataset("synthetic:shapes,size=32,count=500,seed=3");
  const auto other = open_dataset("synthetic:shapes,size=32,count=10,seed=4");
  const auto a = small->reader(), b = large->reader(), c = other->reader();
  read_image(*b, 9);
  const Image image = read_image(*a, 7);
  CHECK(image.height == 32);
  CHECK(image.width == 32);
  CHECK(image.channels == 3);
  CHECK(image.pixels == read_image(*b, 7).pixels);
  CHECK(image.pixels != read_image(*c, 7).pixels);
  CHECK(image.pixels != read_image(*a, 8).pixels);
}

TEST_CASE("validation scenes are not training scenes") {
  const auto train = open_dataset("synthetic:shapes,size=16,count=30,val=20", Split::train);
  const auto val = open_dataset("synthetic:shapes,size=16,count=30,val=20", Split::val);
  const auto all = open_dataset("synthetic:shapes,size=16,count=30,val=20", Split::all);
  CHECK(train->size() == 30);
  CHECK(val->size() == 20);
  REQUIRE(all->size() == 50);
  const auto a = train->reader(), b = val->reader(), c = all->reader();
  CHECK(read_image(*a, 3).pixels == read_image(*c, 3).pixels);
  CHECK(read_image(*b, 3).pixels == read_image(*c, 33).pixels);
  CHECK(read_image(*a, 3).pixels != read_image(*b, 3).pixels);
  CHECK(all->label(33) == val->label(3));
}

TEST_CASE("classes are balanced and the mask shows the object") {
  const auto data = open_dataset("synthetic:shapes,size=48,count=40");
  REQUIRE(data->class_names().size() == 10);
  std::vector<int64_t> counts(10);
  for (int64_t i = 0; i < data->size(); ++i) {
    ++counts[data->label(i)];
    const Image mask = *data->mask(i);
    REQUIRE(mask.channels == 1);
    const double area =
        static_cast<double>(std::count(mask.pixels.begin(), mask.pixels.end(), 255)) /
        static_cast<double>(mask.pixels.size());
    CHECK(area > 0.02);
    CHECK(area < 0.5);
  }
  CHECK(counts == std::vector<int64_t>(10, 4));
}

TEST_CASE("the hue of an object tells its species, but not its shape") {
  // The colour channel that is weakest on the object, over many scenes of one class.
  const auto weakest = [](const Dataset& data, int64_t label) {
    std::array<int, 3> times{};
    const auto reader = data.reader();
    for (int64_t i = label; i < data.size(); i += 10) {
      const Image image = read_image(*reader, i), mask = *data.mask(i);
      std::array<int64_t, 3> sum{};
      for (size_t p = 0; p < mask.pixels.size(); ++p) {
        for (size_t c = 0; c < 3; ++c) sum[c] += mask.pixels[p] != 0 ? image.pixels[3 * p + c] : 0;
      }
      ++times[static_cast<size_t>(std::min_element(sum.begin(), sum.end()) - sum.begin())];
    }
    return times;
  };
  const auto species = open_dataset("synthetic:species,size=32,count=400");
  const auto shapes = open_dataset("synthetic:shapes,size=32,count=400");
  const auto most = [](const std::array<int, 3>& times) {
    return *std::max_element(times.begin(), times.end());
  };
  CHECK(weakest(*species, 0)[0] >= 39);
  CHECK(weakest(*species, 5)[0] <= 1);
  CHECK(most(weakest(*shapes, 0)) < 30);
}

TEST_CASE("a flag covers what its layout says") {
  // The area of each colour in a flag of half width 20, which is 40 x 34 pixels.
  const auto areas = [](size_t layout) {
    std::vector<int> top(48 * 48, -1);
    for (const FlagPart& part : flag_parts(layout)) {
      std::vector<float> coverage(top.size());
      add_coverage(placed(part.outline, 0, 20, 24, 24), 48, 48, coverage);
      for (size_t i = 0; i < top.size(); ++i) {
        if (coverage[i] >= 0.5f) top[i] = static_cast<int>(part.colour);
      }
    }
    std::array<double, kFlagColours> area{};
    for (const int colour : top) {
      if (colour >= 0) ++area[static_cast<size_t>(colour)];
    }
    return area;
  };
  constexpr double kAll = 1360;
  REQUIRE(flag_names().size() == 10);
  const std::array<std::array<double, kFlagColours>, 10> expected = {
      {{kAll / 3, kAll / 3, kAll / 3},  // rows
       {kAll / 3, kAll / 3, kAll / 3},
       {kAll - 499, 499, 0},           // a cross of 7.4 x 34 and 40 x 7.6 pixels
       {kAll * 0.49, kAll * 0.51, 0},  // two bands without their overlap
       {kAll - 314.2, 314.2, 0},
       {kAll / 2, kAll / 2, 0},
       {kAll * 3 / 8, kAll * 3 / 8, kAll / 4},
       {kAll * 0.72, kAll * 0.28, 0},  // all but two triangles of 0.85 of the sides
       {kAll - 24 * 18, 24 * 18, 0},
       {kAll * 3 / 4, kAll / 4, 0}}};
  for (size_t layout = 0; layout < expected.size(); ++layout) {
    INFO(flag_names()[layout]);
    const auto area = areas(layout);
    CHECK(area[0] + area[1] + area[2] == kAll);
    for (size_t c = 0; c < kFlagColours; ++c) {
      CHECK_THAT(area[c], Catch::Matchers::WithinAbs(expected[layout][c], 60));
    }
  }
}

TEST_CASE("a flag's colours tell nothing about its layout, and its mask is the whole flag") {
  const auto data = open_dataset("synthetic:flags,size=32,count=400");
  CHECK(data->class_names() == flag_names());
  const auto reader = data->reader();
  for (int64_t layout = 0; layout < 10; ++layout) {
    std::array<int, 3> strongest{};
    for (int64_t i = layout; i < data->size(); i += 10) {
      const Image image = read_image(*reader, i), mask = *data->mask(i);
      std::array<int64_t, 3> sum{};
      int64_t inside = 0;
      for (size_t p = 0; p < mask.pixels.size(); ++p) {
        inside += mask.pixels[p] != 0;
        for (size_t c = 0; c < 3; ++c) sum[c] += mask.pixels[p] != 0 ? image.pixels[3 * p + c] : 0;
      }
      // A flag is 0.88 to 0.98 of the picture wide and 0.85 of that high.
      CHECK(inside > 0.62 * 1024);
      CHECK(inside < 0.85 * 1024);
      ++strongest[static_cast<size_t>(std::max_element(sum.begin(), sum.end()) - sum.begin())];
    }
    for (const int times : strongest) CHECK(times >= 3);
  }
}

TEST_CASE("an outline covers its area") {
  // A circle of radius 10 and the ring of outer radius 10 and inner radius 5.8.
  const auto area = [](size_t shape) {
    std::vector<float> coverage(32 * 32);
    add_coverage(placed(shape_outline(shape), 0.3, 10, 15.7, 16.2), 32, 32, coverage);
    double sum = 0;
    for (const float share : coverage) {
      CHECK(share >= 0);
      CHECK(share <= 1.0001);
      sum += share;
    }
    return sum;
  };
  CHECK(area(0) == Approx(314.2).epsilon(0.01));
  CHECK(area(1) == Approx(200).epsilon(0.01));
  CHECK(area(5) == Approx(314.2 - 105.7).epsilon(0.01));
  CHECK(area(8) == Approx(259.8).epsilon(0.01));
}

TEST_CASE("a shape that leaves the picture is cut off") {
  std::vector<float> coverage(16 * 16);
  add_coverage(placed(shape_outline(1), 0.785398, 8, 0, 0), 16, 16, coverage);
  CHECK(coverage[0] == Approx(1));
  add_coverage(placed(shape_outline(0), 0, 5, -40, 8), 16, 16, coverage);
  add_coverage(placed(shape_outline(0), 0, 5, 8, 90), 16, 16, coverage);
  CHECK(coverage[8 * 16] == 0);
}

TEST_CASE("few labels") {
  const auto data = open_dataset("synthetic:shapes,size=8,count=2000,labels=3");
  CHECK(data->size() == 30);
  const auto few = subset(open_dataset("synthetic:shapes,size=8,count=200"), 4, 1);
  REQUIRE(few->size() == 40);
  std::vector<int64_t> counts(10);
  for (int64_t i = 0; i < few->size(); ++i) ++counts[few->label(i)];
  CHECK(counts == std::vector<int64_t>(10, 4));
  const auto again = subset(open_dataset("synthetic:shapes,size=8,count=200"), 4, 1);
  const auto other = subset(open_dataset("synthetic:shapes,size=8,count=200"), 4, 2);
  bool same = true, differs = false;
  for (int64_t i = 0; i < few->size(); ++i) {
    same = same && few->name(i) == again->name(i);
    differs = differs || few->name(i) != other->name(i);
  }
  CHECK(same);
  CHECK(differs);
}

TEST_CASE("a wrong synthetic spec is named") {
  CHECK(error_of("circles") == "synthetic: circles is not one of shapes, species, flags");
  CHECK(error_of("shapes,sise=3") ==
        "synthetic: sise=3 is not one of count, labels, seed, size, val (as in size=64); did you "
        "mean "
        "size?");
  CHECK(error_of("shapes,size=x") == "synthetic: size=x is not a whole number in [8, 4096]");
  CHECK(error_of("shapes,size=4") == "synthetic: size=4 is not a whole number in [8, 4096]");
  CHECK_THAT(error_of("shapes,size"), ContainsSubstring("as in size=64"));
  CHECK_THAT(error_of("shapes,"), ContainsSubstring("is not one of"));
}
