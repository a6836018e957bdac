#include "augment/dataset/synthetic.h"

#include <array>
#include <charconv>
#include <map>
#include <numbers>

#include "augment/dataset/flags.h"
#include "augment/dataset/shapes.h"
#include "augment/dataset/texture.h"
#include "augment/views.h"
#include "error.h"
#include "nearest_word.h"
#include "options.h"
#include "random.h"

namespace previt {
namespace {

constexpr double kTurn = 2 * std::numbers::pi;
constexpr double kTilt = kTurn / 18;  // radians; largest tilt of an object, to either side
constexpr float kStandsOut = 110;     // least colour distance of an object from its background

const std::vector<std::string>& names_of(SceneKind kind) {
  return kind == SceneKind::flags ? flag_names() : shape_names();
}

struct Scene {
  Image pixels, mask;
};

/// A float RGB picture, and the painting of textures onto it through the coverage of an outline.
class Painter {
 public:
  explicit Painter(int size) : size_(size), picture_(3 * size * size), row_(3 * size) {}

  void background(const Texture& texture) {
    for (int y = 0; y < size_; ++y) texture.fill_row(y, size_, picture_.data() + 3 * size_ * y);
  }

  void paint(const Outline& outline, const Texture& texture) {
    coverage_.assign(static_cast<size_t>(size_) * size_, 0);
    const auto [first, last] = add_coverage(outline, size_, size_, coverage_);
    for (int y = first; y < last; ++y) {
      texture.fill_row(y, size_, row_.data());
      for (int x = 0; x < size_; ++x) {
        const float share = coverage_[y * size_ + x];
        for (int c = 0; c < 3; ++c) {
          float& pixel = picture_[3 * (y * size_ + x) + c];
          pixel += share * (row_[3 * x + c] - pixel);
        }
      }
    }
  }

  /// The picture in 8 bits, with sensor noise of amplitude `noise`.
  Image picture(uint32_t salt, float noise) const {
    Image image(size_, size_);
    for (int y = 0; y < size_; ++y) {
      for (int i = 0; i < 3 * size_; ++i) {
        const float value = picture_[3 * size_ * y + i] + noise * (hash01(i, y, salt) - 0.5f);
        image.row(y)[i] = static_cast<uint8_t>(std::clamp(value + 0.5f, 0.0f, 255.0f));
      }
    }
    return image;
  }

  /// What the last paint() covered.
  Image mask() const {
    Image image(size_, size_, 1);
    for (size_t i = 0; i < coverage_.size(); ++i) image.pixels[i] = coverage_[i] >= 0.5f ? 255 : 0;
    return image;
  }

 private:
  int size_;
  std::vector<float> picture_, row_, coverage_;
};

/// A sliver, bar or lump that belongs to no class.
Outline fragment(Draws& draws, double size) {
  std::vector<Point> points;
  const int64_t corners = draws.integer(3, 6);
  for (int64_t i = 0; i < corners; ++i) {
    const double angle =
        kTurn * (static_cast<double>(i) + draws.uniform(-0.3, 0.3)) / static_cast<double>(corners);
    const double radius = draws.uniform(0.3, 1);
    points.push_back({radius * std::cos(angle), 0.4 * radius * std::sin(angle)});
  }
  return placed({points},
                draws.uniform(0, kTurn),
                size * draws.uniform(0.05, 0.16),
                draws.uniform(0, size),
                draws.uniform(0, size));
}

/// The pattern and hue of a species. How light and how strong the colour is varies between its
/// members.
TextureChoice coat_of_species(size_t shape) {
  constexpr double kHueSpread = 0.03;
  constexpr size_t kPatterns = 5;  // each comes fine and coarse, which makes ten
  const double hue = static_cast<double>(shape) / static_cast<double>(shape_names().size());
  return {.pattern = static_cast<int64_t>(shape % kPatterns),
          .wavelength = shape < kPatterns ? Span{0.08, 0.14} : Span{0.2, 0.3},
          .hue = Span{hue - kHueSpread, hue + kHueSpread},
          .saturation = {0.6, 1},
          .value = {0.5, 1}};
}

/// Colours that stand out from each other.
std::vector<Texture> plain_colours(size_t count, Draws& draws, double unit) {
  std::vector<Texture> colours;
  while (colours.size() < count) {
    const Texture colour(draws, unit, {.contrast = {0, 0}});
    const auto close = [&](const Texture& other) {
      return colour.colour_distance(other) < kStandsOut;
    };
    if (std::none_of(colours.begin(), colours.end(), close)) colours.push_back(colour);
  }
  return colours;
}

/// A flag before a plain ground, of which little is seen.
Scene draw_flag(size_t layout, const SyntheticOptions& options, Random draws) {
  const double unit = static_cast<double>(options.size);
  Painter painter(static_cast<int>(options.size));
  const std::vector<Texture> colours = plain_colours(kFlagColours + 1, draws, unit);
  painter.background(colours[kFlagColours]);
  const double half = unit * draws.uniform(0.44, 0.49);
  const double room_x = unit / 2 - half, room_y = (unit / 2 - half * kFlagHeight) / 2;
  const double x = unit / 2 + draws.uniform(-room_x, room_x);
  const double y = unit / 2 + draws.uniform(-room_y, room_y);
  const double angle = draws.uniform(-kTilt, kTilt) / 6;
  Image mask;
  for (const FlagPart& part : flag_parts(layout)) {
    painter.paint(placed(part.outline, angle, half, x, y), colours[part.colour]);
    if (mask.pixels.empty()) mask = painter.mask();  // of the cloth, which is all of the flag
  }
  const auto salt = static_cast<uint32_t>(draws.integer(0, int64_t{1} << 32));
  return {painter.picture(salt, 12), std::move(mask)};
}

Scene draw_object(size_t shape, const SyntheticOptions& options, Random draws) {
  const TextureChoice coat =
      options.kind == SceneKind::species ? coat_of_species(shape) : TextureChoice{};
  const double unit = static_cast<double>(options.size);
  Painter painter(static_cast<int>(options.size));
  const Texture ground(draws, unit);
  painter.background(ground);
  const int64_t fragments = draws.integer(3, 8);
  for (int64_t i = 0; i < fragments; ++i) {
    // Drawn in a statement of its own: C++ doesn't fix the order of a call's arguments.
    const Outline outline = fragment(draws, unit);
    painter.paint(outline, Texture(draws, unit));
  }
  const double radius = unit * draws.uniform(0.25, 0.42);
  const double x = draws.uniform(radius, unit - radius), y = draws.uniform(radius, unit - radius);
  const double angle = draws.uniform(-kTilt, kTilt);
  Texture texture(draws, unit, coat);
  while (texture.colour_distance(ground) < kStandsOut) texture = Texture(draws, unit, coat);
  painter.paint(placed(shape_outline(shape), angle, radius, x, y), texture);
  const auto salt = static_cast<uint32_t>(draws.integer(0, int64_t{1} << 32));
  return {painter.picture(salt, static_cast<float>(draws.uniform(0, 16))), painter.mask()};
}

Scene draw_scene(size_t label, const SyntheticOptions& options, Random draws) {
  return options.kind == SceneKind::flags ? draw_flag(label, options, draws)
                                          : draw_object(label, options, draws);
}

class Synthetic final : public Dataset {
 public:
  /// `ranges` holds the first number and the count of scenes, range after range. The numbers for
  /// validation start where those for training can't reach.
  Synthetic(const SyntheticOptions& options, std::vector<std::pair<int64_t, int64_t>> ranges)
      : options_(options), ranges_(std::move(ranges)) {}

  int64_t size() const override {
    int64_t total = 0;
    for (const auto& [first, count] : ranges_) total += count;
    return total;
  }
  int64_t label(int64_t index) const override {
    return number(index) % static_cast<int64_t>(names_of(options_.kind).size());
  }
  std::vector<std::string> class_names() const override { return names_of(options_.kind); }
  std::unique_ptr<SampleReader> reader() const override;
  std::optional<Image> mask(int64_t index) const override { return scene(index).mask; }

  Scene scene(int64_t index) const {
    const auto sample = static_cast<uint64_t>(number(index));
    return draw_scene(static_cast<size_t>(label(index)),
                      options_,
                      Random(static_cast<uint64_t>(options_.seed), Stream::synthetic, {sample}));
  }

 private:
  int64_t number(int64_t index) const {
    for (const auto& [first, count] : ranges_) {
      if (index < count) return first + index;
      index -= count;
    }
    fail("synthetic: no such sample");
  }

  SyntheticOptions options_;
  std::vector<std::pair<int64_t, int64_t>> ranges_;
};

class SyntheticReader final : public SampleReader {
 public:
  explicit SyntheticReader(const Synthetic& dataset) : dataset_(dataset) {}
  ImageSize open(int64_t index) override {
    scene_ = dataset_.scene(index);
    return {scene_.pixels.height, scene_.pixels.width};
  }
  void decode(const Box&, int64_t, Region& region) override {
    region.pixels = scene_.pixels;
    region.box = {0, 0, scene_.pixels.height, scene_.pixels.width};
  }

 private:
  const Synthetic& dataset_;
  Scene scene_;
};

std::unique_ptr<SampleReader> Synthetic::reader() const {
  return std::make_unique<SyntheticReader>(*this);
}

int64_t number_of(const std::string& key, const std::string& text, int64_t low, int64_t high) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < low || value > high) {
    fail_usage("synthetic: {}={} is not a whole number in [{}, {}]", key, text, low, high);
  }
  return value;
}

}  // namespace

SyntheticOptions parse_synthetic(const std::string& spec) {
  SyntheticOptions options;
  const EnumField kind(options.kind);
  const int64_t most = 1'000'000'000;
  const std::map<std::string, std::tuple<int64_t*, int64_t, int64_t>> fields = {
      {"size", {&options.size, 8, 4096}},
      {"count", {&options.count, 1, most}},
      {"val", {&options.val, 0, most}},
      {"seed", {&options.seed, 0, most}},
      {"labels", {&options.labels, 0, most}}};
  std::vector<std::string> names;
  for (const auto& [name, field] : fields) names.push_back(name);

  for (size_t from = 0; from <= spec.size();) {
    const size_t comma = std::min(spec.find(',', from), spec.size());
    const std::string part = spec.substr(from, comma - from);
    const size_t equals = part.find('=');
    if (from == 0) {
      require_choice(part, kind.choices(), "synthetic");
      kind.set(part, "synthetic");
    } else {
      const std::string key = part.substr(0, equals);
      const auto it = fields.find(key);
      if (it == fields.end() || equals == std::string::npos) {
        fail_usage("synthetic: {} is not one of {} (as in size=64){}",
                   part,
                   fmt::join(names, ", "),
                   it == fields.end() ? did_you_mean(key, names) : "");
      }
      const auto& [value, low, high] = it->second;
      *value = number_of(key, part.substr(equals + 1), low, high);
    }
    from = comma + 1;
  }
  return options;
}

std::shared_ptr<Dataset> make_synthetic(const SyntheticOptions& options, Split split) {
  const auto classes = static_cast<int64_t>(names_of(options.kind).size());
  const int64_t few = options.labels > 0 ? options.labels * classes : options.count;
  const std::pair<int64_t, int64_t> train = {0, std::min(options.count, few)};
  const std::pair<int64_t, int64_t> val = {int64_t{1} << 40, options.val};
  if (split == Split::val) {
    require(options.val > 0, "synthetic: val=0 leaves nothing to validate on");
    return std::make_shared<Synthetic>(options, std::vector{val});
  }
  if (split == Split::all) return std::make_shared<Synthetic>(options, std::vector{train, val});
  return std::make_shared<Synthetic>(options, std::vector{train});
}

}  // namespace previt
