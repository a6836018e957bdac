#include "models/weights/other_networks.h"

#include <array>

namespace previt {
namespace {

struct Known {
  const char* part;  // of a name
  const char* what;
};

// By a part of a tensor's name.
constexpr std::array kOtherNetworks = {
    Known{"layers.0.blocks.", "is a Swin Transformer, not a plain Vision Transformer"},
    Known{"conv_proj.weight", "has the names of torchvision, which are not read"},
    Known{"vision_model.", "is of CLIP or SigLIP, which are not read"},
    Known{"visual.conv1.", "is of CLIP or SigLIP, which are not read"},
    Known{"rope_embed", "is of DINOv3, whose rotary positions are not supported"},
    Known{"layer.0.attention.q_proj.", "is of DINOv3, whose rotary positions are not supported"},
    Known{"patch_embed.projection.", "has the names of mmpretrain, which are not read"},
};

// By a part of timm's name.
constexpr std::array kOtherArchitectures = {
    Known{"eva02_", "rotary positions, or norms after its branches"},
    Known{"_rope_", "rotary positions"},
    Known{"_rpn_", "norms after its branches"},
    Known{"_quickgelu", "another GELU"},
    Known{"patch32_siglip_", "GELU by tanh"},
    Known{"large_patch16_siglip_512", "GELU by tanh"},
    Known{"large_patch16_siglip_gap_512", "GELU by tanh"},
    Known{"giantopt_patch16_siglip_", "GELU by tanh"},
    Known{"so400m_patch16_siglip_", "GELU by tanh"},
};

}  // namespace

std::string why_not_read(const NamedTensors& weights, const std::string& otherwise) {
  for (const Known& other : kOtherNetworks) {
    for (const auto& [name, tensor] : weights) {
      if (name.find(other.part) != std::string::npos) return other.what;
    }
  }
  return otherwise + "; docs/weight_formats.md has those that are read";
}

std::string what_timm_computes(const std::string& architecture) {
  for (const Known& other : kOtherArchitectures) {
    if (architecture.find(other.part) != std::string::npos) return other.what;
  }
  return "";
}

}  // namespace previt
