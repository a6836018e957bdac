#pragma once

#include <previt/version.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

/// Marks what libprevit.so exports. Everything else in it is hidden, LibTorch's headers included.
#define PREVIT_API __attribute__((visibility("default")))

/// Vision Transformers from C++ (17 and later). What goes wrong throws std::runtime_error with one
/// line that begins with the file or option it is about.
namespace previt {

/// RGB pixels that the caller owns: one byte a channel, row by row from the top.
struct PixelsView {
  const uint8_t* rgb = nullptr;
  int64_t width = 0, height = 0;
  int64_t row_bytes = 0;  ///< from one row to the next; 0: 3 * width
};

/// RGB pixels without gaps.
struct RgbImage {
  std::vector<uint8_t> rgb;
  int64_t width = 0, height = 0;

  operator PixelsView() const { return {rgb.data(), width, height, 0}; }
};

/// What a network gives to one image, after its final norm. D is Backbone::feature_width().
struct ImageFeatures {
  std::vector<float> cls;      ///< [D], the class token; empty where the network has none
  std::vector<float> mean;     ///< [D], the mean of the patches
  std::vector<float> patches;  ///< [rows * columns * D], from the upper left, row by row
  int64_t rows = 0, columns = 0;
};

struct ClassProbability {
  int64_t index = 0;
  std::string name;  ///< the index, where the weights don't name their classes
  float probability = 0;
};

struct BackboneOptions {
  std::string device = "cpu";  ///< cpu, cuda or cuda:N
  std::string weights = "";    ///< of a file with several networks: model, ema, teacher, student
  int64_t heads = 0;           ///< attention heads, for weights that don't tell
  /// Pixels of the images that the positions are for, both or neither, for weights that don't tell.
  int64_t image_height = 0, image_width = 0;
};

/// A network that is ready to use. Copies share it. One thread at a time may use a network; each
/// call computes on all cores.
class Backbone {
 public:
  /// Pixels of what the network sees: the image, its short side resized and its centre cut out, as
  /// in evaluations.
  PREVIT_API int64_t input_width() const;
  PREVIT_API int64_t input_height() const;
  PREVIT_API int64_t patch_size() const;
  PREVIT_API int64_t feature_width() const;
  /// By which channels are normalised: (pixel / 255 - mean) / std. Images are given as they are.
  PREVIT_API std::vector<double> channel_mean() const;
  PREVIT_API std::vector<double> channel_std() const;
  PREVIT_API std::vector<std::string> class_names() const;  ///< empty where there are none
  PREVIT_API int64_t num_classes() const;                   ///< 0: no classifier
  /// What was odd about the file, for example a damaged checkpoint that was passed over, or what it
  /// doesn't tell and was guessed.
  PREVIT_API std::vector<std::string> warnings() const;

  PREVIT_API ImageFeatures features(const PixelsView& image) const;
  /// The `top` likeliest classes, likeliest first.
  PREVIT_API std::vector<ClassProbability> classify(const PixelsView& image, int64_t top = 5) const;

 private:
  struct Impl;
  friend PREVIT_API Backbone load_backbone(const std::string&, const BackboneOptions&);
  explicit Backbone(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<Impl> impl_;
};

/// Loads what `--from` of the programs takes: a run folder, a checkpoint folder, .safetensors, a
/// folder of Hugging Face or timm, an official .pth. Throws where the options are needed, or
/// contradict the weights.
PREVIT_API Backbone load_backbone(const std::string& path, const BackboneOptions& options = {});

/// Reads a JPEG, PNG, WebP, BMP or TIFF, upright.
PREVIT_API RgbImage load_image(const std::string& path);

/// The library's version, which may differ from that of the headers.
PREVIT_API const char* version();

}  // namespace previt
