#include "models/weights/other_networks.h"

#include <array>

namespace previt {
namespace {

struct OtherNetwork {
  const char* part;  // of a tensor's name
  const char* reason;
};

constexpr std::array kOtherNetworks = {
    OtherNetwork{"layers.0.blocks.", "is a Swin Transformer, not a plain Vision Transformer"},
    OtherNetwork{"conv_proj.weight", "has the names of torchvision, which are not read"},
    OtherNetwork{"vision_model.", "is of CLIP or SigLIP, which are not read"},
    OtherNetwork{"visual.conv1.", "is of CLIP or SigLIP, which are not read"},
    OtherNetwork{"rope_embed", "is of DINOv3, whose rotary positions are not supported"},
    OtherNetwork{"layer.0.attention.q_proj.",
                 "is of DINOv3, whose rotary positions are not supported"},
    OtherNetwork{"patch_embed.projection.", "has the names of mmpretrain, which are not read"},
};

}  // namespace

std::string why_not_read(const NamedTensors& weights, const std::string& otherwise) {
  for (const OtherNetwork& other : kOtherNetworks) {
    for (const auto& [name, tensor] : weights) {
      if (name.find(other.part) != std::string::npos) return other.reason;
    }
  }
  return otherwise + "; docs/weight_formats.md has those that are read";
}

}  // namespace previt
