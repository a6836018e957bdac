#include <previt/previt.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cstring>

#ifdef PREVIT_WITH_IMAGE_IO
#include "augment/io/image_file.h"
#endif
#include "augment/sample_renderer.h"
#include "error.h"
#include "finetune/class_match.h"
#include "finetune/finetune_options.h"
#include "finetune/model.h"
#include "models/weights/finite.h"

namespace previt {
namespace {

// One image in the caller's memory.
class GivenPixels final : public Dataset, public SampleReader {
 public:
  explicit GivenPixels(const PixelsView& image) : image_(image) {
    require(image.rgb != nullptr && image.width > 0 && image.height > 0, "image: has no pixels");
    if (image_.row_bytes == 0) image_.row_bytes = 3 * image_.width;
    require(image_.row_bytes >= 3 * image_.width,
            "image: rows of {} bytes hold no {} RGB pixels",
            image_.row_bytes,
            image_.width);
  }

  int64_t size() const override { return 1; }
  std::unique_ptr<SampleReader> reader() const override {
    return std::make_unique<GivenPixels>(image_);
  }

  ImageSize open(int64_t) override { return {image_.height, image_.width}; }
  void decode(const Box& box, int64_t, Region& region) override {
    region.box = box;
    region.pixels = Image(box.height, box.width);
    for (int64_t y = 0; y < box.height; ++y) {
      std::memcpy(region.pixels.row(y),
                  image_.rgb + (box.top + y) * image_.row_bytes + 3 * box.left,
                  static_cast<size_t>(3 * box.width));
    }
  }

 private:
  PixelsView image_;
};

// Calls `work`. LibTorch's errors end in a backtrace, and have no place of ours in front.
template <class Work>
auto with_plain_errors(const std::string& place, const Work& work) {
  try {
    return work();
  } catch (const c10::Error& e) {
    const std::string message = e.what_without_backtrace();
    fail("{}: {}", place, message.substr(0, message.find('\n')));
  }
}

std::vector<float> values_of(const at::Tensor& tensor) {
  const at::Tensor plain = tensor.to(torch::kCPU, torch::kFloat32).contiguous();
  const float* values = plain.data_ptr<float>();
  return {values, values + plain.numel()};
}

LoadHints hints_of(const BackboneOptions& options) {
  const int64_t height = options.image_height, width = options.image_width;
  require((height > 0) == (width > 0), "image_height: give image_width too, or neither");
  LoadHints hints;
  hints.network = options.weights;
  if (height > 0) hints.image_size = {height, width};
  hints.backbone_only = true;
  hints.heads_said = options.heads > 0;
  hints.words = {.heads = "BackboneOptions::heads",
                 .image_size = "BackboneOptions::image_height and image_width",
                 .normalize = "convert --set normalize.mean=[R,G,B] --set normalize.std=[R,G,B]"};
  return hints;
}

// The weights' network, with what the caller says of it.
VitOptions model_options(const LoadedModel& loaded,
                         const BackboneOptions& options,
                         const LoadHints& hints) {
  VitOptions model = loaded.options;
  if (options.heads > 0) model.num_heads = options.heads;
  require_heads(model, loaded, hints.words);
  if (!model.has_positions() && !hints.image_size.empty()) model.image_size = hints.image_size;
  const bool same = hints.image_size.empty() || (model.image_height() == options.image_height &&
                                                 model.image_width() == options.image_width);
  require(same,
          "{}: is for images of {} x {} pixels, not of {} x {} (BackboneOptions)",
          loaded.source,
          model.image_height(),
          model.image_width(),
          options.image_height,
          options.image_width);
  require_same_architecture(model, loaded);
  return model;
}

}  // namespace

struct Backbone::Impl {
  LoadedModel loaded;
  std::shared_ptr<Vit> vit;
  at::Device device = at::kCPU;
  ViewSpec view;
  std::vector<std::string> warnings;

  // Normalised, float32 [1, C, H, W].
  at::Tensor input(const PixelsView& image) const {
    const at::Tensor pixels = torch::zeros({1, 3, view.height, view.width}, torch::kUInt8)
                                  .contiguous(at::MemoryFormat::ChannelsLast);
    const std::vector<ViewSpec> views = {view};
    SampleRenderer renderer(GivenPixels(image), views);
    Random unused(0);
    std::string reason;
    require(renderer.render(0, unused, {pixels}, 0, reason), "image: {}", reason);
    return normalize(pixels, loaded.normalize, device);
  }
};

Backbone load_backbone(const std::string& path, const BackboneOptions& options) {
  auto impl = std::make_shared<Backbone::Impl>();
  with_plain_errors(path, [&] {
    LoadedModel& loaded = impl->loaded;
    const LoadHints hints = hints_of(options);
    loaded = load_model(path, &impl->warnings, hints);
    const VitOptions model = model_options(loaded, options, hints);
    impl->vit = frozen_vit(loaded, model);
    with_plain_errors("device", [&] {
      impl->device = at::Device(options.device);
      impl->vit->to(impl->device);
    });
    impl->vit->eval();
    const int64_t height = model.image_height();
    impl->view = evaluation_view(height, model.image_width(), evaluation_crop(loaded, height));
    loaded.weights.clear();  // the network has them
    loaded.extra.clear();
    if (std::ssize(loaded.class_names) != model.num_classes) loaded.class_names.clear();
  });
  return Backbone(std::move(impl));
}

int64_t Backbone::input_width() const { return impl_->view.width; }
int64_t Backbone::input_height() const { return impl_->view.height; }
int64_t Backbone::patch_size() const { return impl_->vit->options().patch_size; }
int64_t Backbone::feature_width() const { return impl_->vit->options().embed_dim; }
int64_t Backbone::num_classes() const { return impl_->vit->options().num_classes; }
std::vector<double> Backbone::channel_mean() const { return impl_->loaded.normalize.mean; }
std::vector<double> Backbone::channel_std() const { return impl_->loaded.normalize.std; }
std::vector<std::string> Backbone::class_names() const { return impl_->loaded.class_names; }
std::vector<std::string> Backbone::warnings() const { return impl_->warnings; }

ImageFeatures Backbone::features(const PixelsView& image) const {
  const torch::NoGradGuard no_grad;
  return with_plain_errors(impl_->loaded.source, [&] {
    Vit& vit = *impl_->vit;
    const VitOptions& model = vit.options();
    const at::Tensor tokens =
        vit.intermediate(impl_->input(image), 1).front().to(torch::kFloat32)[0];
    require_finite({{"a feature", tokens}}, impl_->loaded.source);
    const at::Tensor patches = tokens.slice(0, vit.num_prefix_tokens());
    return ImageFeatures{.cls = model.cls_token ? values_of(tokens[0]) : std::vector<float>(),
                         .mean = values_of(patches.mean(0)),
                         .patches = values_of(patches),
                         .rows = model.grid_height(),
                         .columns = model.grid_width()};
  });
}

std::vector<ClassProbability> Backbone::classify(const PixelsView& image, int64_t top) const {
  require(num_classes() > 0, "{}: has no classes; fine-tune it first", impl_->loaded.source);
  require(top > 0, "top: {} is not at least 1", top);
  const torch::NoGradGuard no_grad;
  return with_plain_errors(impl_->loaded.source, [&] {
    const at::Tensor probabilities = impl_->vit->forward(impl_->input(image)).softmax(1)[0].cpu();
    require_finite({{"a probability", probabilities}}, impl_->loaded.source);
    const auto [values, classes] = probabilities.topk(std::min(top, num_classes()));
    const auto& names = impl_->loaded.class_names;
    std::vector<ClassProbability> likeliest;
    for (int64_t i = 0; i < values.size(0); ++i) {
      const auto index = classes[i].item<int64_t>();
      likeliest.push_back(
          {.index = index,
           .name = names.empty() ? std::to_string(index) : names[static_cast<size_t>(index)],
           .probability = values[i].item<float>()});
    }
    return likeliest;
  });
}

#ifdef PREVIT_WITH_IMAGE_IO
RgbImage load_image(const std::string& path) {
  const auto file = open_image_file(path);
  try {
    Image image = read_image(*file->reader(), 0);
    return {.rgb = std::move(image.pixels), .width = image.width, .height = image.height};
  } catch (const std::exception& e) {
    fail("{}: {}", path, e.what());
  }
}
#else
RgbImage load_image(const std::string& path) {
  fail("{}: this PreViT was built without image files", path);
}
#endif

const char* version() { return PREVIT_VERSION; }

}  // namespace previt
