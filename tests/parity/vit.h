#pragma once

#include <map>
#include <string>

#include "models/vit.h"
#include "parity/parity.h"

namespace previt::parity {

/// Options of the Vit in fixture.config (img_size, patch_size, embed_dim …), whose weights begin
/// with `prefix` and tell the width of the heads, biases and LayerScale; the caller adds its
/// source's.
VitOptions vit_options(const Fixture& fixture, const std::string& prefix = "weight.");

/// The same for the encoders of BEiT and SimMIM: positions and pooling as the file's weights have
/// them.
VitOptions beit_vit_options(const Fixture& fixture, const std::string& prefix = "weight.");

/// The same for DINOv2, whose configuration says how positions are resized.
VitOptions dinov2_vit_options(const Fixture& fixture, const std::string& prefix = "weight.");

/// Official names of DINOv2's tokens as ours.
extern const std::map<std::string, std::string> kDinov2Renames;

/// Official names of BEiT's parts of a block as ours, for `renames` below.
extern const std::map<std::string, std::string> kBeitRenames;

/// Loads tensors (official names, under `renames`) into the module; those without a place in it or
/// missing from the file fail the check, relative_position_index is left out.
void load_renamed(torch::nn::Module& module,
                  const NamedTensors& weights,
                  Check& check,
                  const std::map<std::string, std::string>& renames = {});

/// A Vit with `weight.*` loaded; official names on the left of `renames` become ours on the right,
/// wherever they occur. Fails the check when names do not agree; `ignored` weights are not the
/// Vit's.
std::shared_ptr<Vit> load_vit(const Fixture& fixture,
                              const VitOptions& options,
                              Check& check,
                              const std::map<std::string, std::string>& renames = {},
                              const std::vector<std::string>& ignored = {});

/// Compares every `grad.*` with the module's gradients under the same renames.
void check_gradients(const Fixture& fixture,
                     const torch::nn::Module& module,
                     Check& check,
                     const std::map<std::string, std::string>& renames = {},
                     const std::vector<std::string>& ignored = {});

/// Compares output.block.N with the tokens after each block.
void check_blocks(const Fixture& fixture, Vit& vit, const at::Tensor& images, Check& check);

/// Heights and widths of config.other_hw, in order.
std::vector<std::vector<int64_t>> other_sizes(const Fixture& fixture);

}  // namespace previt::parity
