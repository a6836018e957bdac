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

struct OtherArchitecture {
  const char* part;  // of timm's name
  const char* what;
};

constexpr std::array kOtherArchitectures = {
    OtherArchitecture{"eva02_", "rotary positions, or norms after its branches"},
    OtherArchitecture{"_rope_", "rotary positions"},
    OtherArchitecture{"_rpn_", "norms after its branches"},
    OtherArchitecture{"_quickgelu", "another GELU"},
    OtherArchitecture{"patch32_siglip_", "GELU by tanh"},
    OtherArchitecture{"large_patch16_siglip_512", "GELU by tanh"},
    OtherArchitecture{"large_patch16_siglip_gap_512", "GELU by tanh"},
    OtherArchitecture{"giantopt_patch16_siglip_", "GELU by tanh"},
    OtherArchitecture{"so400m_patch16_siglip_", "GELU by tanh"},
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

std::string what_timm_computes(const std::string& architecture) {
  for (const OtherArchitecture& other : kOtherArchitectures) {
    if (architecture.find(other.part) != std::string::npos) return other.what;
  }
  return "";
}

}  // namespace previt
