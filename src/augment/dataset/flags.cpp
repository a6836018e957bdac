#include "augment/dataset/flags.h"

namespace previt {
namespace {

constexpr double kTop = -kFlagHeight, kBottom = kFlagHeight;

Outline box(double left, double top, double right, double bottom) {
  return {{{left, top}, {right, top}, {right, bottom}, {left, bottom}}};
}

/// A stripe from corner to corner; `side` 1: falling, -1: rising.
Outline diagonal(double side) {
  const double x = 0.3, y = x * kFlagHeight;
  return {{{-1, -side * kBottom},
           {x - 1, -side * kBottom},
           {1, side * (kBottom - y)},
           {1, side * kBottom},
           {1 - x, side * kBottom},
           {-1, side * (y - kBottom)}}};
}

struct Layout {
  const char* name;
  std::vector<FlagPart> parts;  // on the cloth
};

std::vector<Layout> make_layouts() {
  const double third = 1.0 / 3, high = third * kFlagHeight;
  return {{"rows", {{box(-1, -high, 1, high), 1}, {box(-1, high, 1, kBottom), 2}}},
          {"columns", {{box(-third, kTop, third, kBottom), 1}, {box(third, kTop, 1, kBottom), 2}}},
          {"cross", {{box(-0.46, kTop, -0.09, kBottom), 1}, {box(-1, -0.19, 1, 0.19), 1}}},
          {"saltire", {{diagonal(1), 1}, {diagonal(-1), 1}}},
          {"disc", {{placed(shape_outline(0), 0, 0.5, 0, 0), 1}}},
          {"quarters", {{box(-1, kTop, 0, 0), 1}, {box(0, 0, 1, kBottom), 1}}},
          {"wedge", {{box(-1, 0, 1, kBottom), 1}, {{{{-1, kTop}, {0, 0}, {-1, kBottom}}}, 2}}},
          {"band", {{diagonal(1), 1}}},
          {"frame", {{box(-0.6, kTop + 0.4, 0.6, kBottom - 0.4), 1}}},
          {"canton", {{box(-1, kTop, 0, 0), 1}}}};
}

const std::vector<Layout>& layouts() {
  static const std::vector<Layout> all = [] {
    std::vector<Layout> made = make_layouts();
    const FlagPart cloth = {box(-1, kTop, 1, kBottom), 0};
    for (Layout& layout : made) layout.parts.insert(layout.parts.begin(), cloth);
    return made;
  }();
  return all;
}

}  // namespace

const std::vector<std::string>& flag_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Layout& layout : layouts()) all.emplace_back(layout.name);
    return all;
  }();
  return names;
}

const std::vector<FlagPart>& flag_parts(size_t layout) { return layouts()[layout].parts; }

}  // namespace previt
