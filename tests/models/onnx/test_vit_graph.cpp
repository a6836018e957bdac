#include <torch/utils.h>

#include "files.h"
#include "finetune/probes/features.h"
#include "models/onnx/vit_graph.h"
#include "models/weights/safetensors.h"
#include "support/catch.h"
#include "support/temp_folder.h"
#include "support/tiny_vit.h"
#ifdef PREVIT_WITH_OPENCV_DNN
#include <opencv2/dnn.hpp>
#endif

using namespace previt;
using onnx::Outputs;

namespace {

struct GraphCase {
  std::string name;
  Outputs outputs;
  void (*change)(VitOptions&);
  bool raw_pixels = false;
};

// Every option of the network, each with what may go wrong beside it.
const std::vector<GraphCase> kGraphCases = {
    {"plain", Outputs::attention, [](VitOptions&) {}},
    {"classifier", Outputs::logits, [](VitOptions& o) { o.num_classes = 3; }},
    {"classes, but features", Outputs::features, [](VitOptions& o) { o.num_classes = 3; }},
    {"raw", Outputs::logits, [](VitOptions& o) { o.num_classes = 3; }, true},
    {"raw grey, no position of cls",
     Outputs::features,
     [](VitOptions& o) {
       o.in_channels = 1;
       o.pos_embed_cls = false;
     },
     true},
    {"distilled",
     Outputs::logits,
     [](VitOptions& o) {
       o.num_classes = 3;
       o.dist_token = true;
     }},
    {"mean",
     Outputs::logits,
     [](VitOptions& o) {
       o.num_classes = 3;
       o.pool = Pooling::avg;
     }},
    {"mean of normed patches",
     Outputs::logits,
     [](VitOptions& o) {
       o.num_classes = 3;
       o.pool = Pooling::norm_avg;
     }},
    {"mean of normed patches, no cls",
     Outputs::features,
     [](VitOptions& o) {
       o.pool = Pooling::norm_avg;
       o.cls_token = false;
     }},
    {"no cls",
     Outputs::attention,
     [](VitOptions& o) {
       o.pool = Pooling::avg;
       o.cls_token = false;
     }},
    {"nothing before patches, no positions",
     Outputs::features,
     [](VitOptions& o) {
       o.pool = Pooling::avg;
       o.cls_token = false;
       o.pos_embed = PosEmbed::none;
     }},
    {"BEiT",
     Outputs::logits,
     [](VitOptions& o) {
       o.rel_pos_bias = RelPosBias::both;
       o.pos_embed = PosEmbed::none;
       o.qkv_bias = QkvBias::qv;
       o.layer_scale = 0.5;
       o.pool = Pooling::avg;
       o.num_classes = 3;
     }},
    {"shared relative positions, few queries",
     Outputs::logits,
     [](VitOptions& o) {
       o.rel_pos_bias = RelPosBias::shared;
       o.num_classes = 3;
     }},
    {"DINOv2",
     Outputs::attention,
     [](VitOptions& o) {
       o.register_tokens = 4;
       o.mlp = MlpKind::swiglu;
       o.layer_scale = 0.1;
     }},
    {"sin-cos, no qkv bias, narrow heads, not square",
     Outputs::attention,
     [](VitOptions& o) {
       o.pos_embed = PosEmbed::sincos;
       o.qkv_bias = QkvBias::none;
       o.attention_dim = 24;
       o.image_size = {16, 24};
     }},
};

#ifdef PREVIT_WITH_OPENCV_DNN

NormalizeOptions normalization(const VitOptions& o) {
  if (o.in_channels == 1) return {.mean = {0.4}, .std = {0.2}};
  return {};
}

// What the graph's outputs must be.
NamedTensors expected(Vit& vit, Outputs outputs, const at::Tensor& images) {
  if (outputs == Outputs::logits) return {{"logits", vit.forward(images)}};
  const auto features = [&](FeatureTokens tokens) {
    return features_of(vit, images, {.tokens = tokens});
  };
  NamedTensors want = {{"mean", features(FeatureTokens::mean)},
                       {"patches", features(FeatureTokens::patches)}};
  if (vit.options().cls_token) want["cls"] = features(FeatureTokens::cls);
  if (vit.options().pool != Pooling::cls) want["pooled"] = features(FeatureTokens::pooled);
  if (outputs == Outputs::attention) want["attention"] = vit.attention(images);
  return want;
}

cv::Mat to_blob(const at::Tensor& pixels) {
  const std::vector<int> shape(pixels.sizes().begin(), pixels.sizes().end());
  return cv::Mat(shape, CV_32F, pixels.data_ptr()).clone();
}

at::Tensor to_tensor(const cv::Mat& blob) {
  const std::vector<int64_t> shape(blob.size.p, blob.size.p + blob.dims);
  return torch::from_blob(blob.data, shape, torch::kFloat).clone();
}

#endif

}  // namespace

#ifdef PREVIT_WITH_OPENCV_DNN

TEST_CASE("OpenCV gives what the network gives, for any number of images", "[onnx]") {
  const torch::NoGradGuard no_grad;
  const TempFolder temp;
  for (const GraphCase& c : kGraphCases) {
    VitOptions options = tiny_vit();
    c.change(options);
    const auto vit = random_vit(options);
    vit->eval();
    const NormalizeOptions normalize_as = normalization(options);
    const std::string path = temp.path() + "/model.onnx";
    onnx::vit_graph(*vit,
                    {.outputs = c.outputs, .raw_pixels = c.raw_pixels, .normalize = normalize_as})
        .write(path);
    cv::dnn::Net net = cv::dnn::readNetFromONNX(path);
    const VitOptions& o = vit->options();
    for (const int64_t batch : {2, 1, 3}) {
      const at::Tensor bytes =
          torch::randint(256, {batch, o.in_channels, o.image_height(), o.image_width()})
              .to(torch::kUInt8);
      const at::Tensor images = normalize(bytes, normalize_as, torch::kCPU);
      net.setInput(to_blob(c.raw_pixels ? bytes.to(torch::kFloat) : images), "pixels");
      for (const auto& [name, want] : expected(*vit, c.outputs, images)) {
        INFO(c.name << ", " << name << " of " << batch);
        const at::Tensor got = to_tensor(net.forward(name));
        REQUIRE(got.sizes() == want.sizes());
        CHECK((got - want).abs().max().item<double>() < 1e-4);
      }
    }
  }
}

#endif

TEST_CASE("graphs of every kind are written, twice to the same bytes", "[onnx]") {
  const TempFolder temp;
  for (const GraphCase& c : kGraphCases) {
    VitOptions options = tiny_vit();
    c.change(options);
    const auto vit = random_vit(options);
    for (const int64_t opset : {onnx::kOldOpset, onnx::kNewOpset}) {
      const auto file = [&] {
        onnx::VitGraphOptions how{.outputs = c.outputs, .opset = opset};
        if (options.in_channels == 1) how.normalize = {.mean = {0.4}, .std = {0.2}};
        onnx::vit_graph(*vit, how).write(temp.path() + "/model.onnx");
        return read_whole_file(temp.path() + "/model.onnx");
      };
      INFO(c.name << ", opset " << opset);
      const std::string bytes = file();
      CHECK(bytes == file());
      const bool has_new = bytes.find("LayerNormalization") != std::string::npos;
      CHECK(has_new == (opset == onnx::kNewOpset));
      const bool has_old = bytes.find("InstanceNormalization") != std::string::npos;
      CHECK(has_old == (opset == onnx::kOldOpset));
    }
  }
}

TEST_CASE("without a head of the distillation token a graph has that of the class token",
          "[onnx]") {
  const TempFolder temp;
  VitOptions options = tiny_vit();
  options.dist_token = true;
  options.num_classes = 3;
  const auto vit = random_vit(options);
  const auto file = [&] {
    onnx::vit_graph(*vit, {.outputs = Outputs::logits}).write(temp.path() + "/model.onnx");
    return read_whole_file(temp.path() + "/model.onnx");
  };
  CHECK_THAT(file(), ContainsSubstring("head_dist"));
  vit->set_num_classes(3, 0.02, /*dist_head=*/false);
  CHECK_THAT(file(), !ContainsSubstring("head_dist"));
}

TEST_CASE("what a graph can't give is refused in words", "[onnx]") {
  VitOptions options = tiny_vit();
  const auto refuse = [&](const onnx::VitGraphOptions& how, const std::string& message) {
    Vit vit(options);
    CHECK_THROWS_WITH(onnx::vit_graph(vit, how), message);
  };
  refuse({.outputs = Outputs::logits}, "outputs: logits, but the network has no classes");
  refuse({.dynamic_size = true}, "opset: 13, but images of any size need 18");
  refuse({.raw_pixels = true, .normalize = {.mean = {0.4}, .std = {0.2}}},
         "normalize.mean: has 1 channels and the network 3");
  options.rel_pos_bias = RelPosBias::per_block;
  refuse({.opset = onnx::kNewOpset, .dynamic_size = true},
         "dynamic size: this network's relative positions belong to one size");
}
