#pragma once

#include <string>
#include <vector>

#include "models/vit_options.h"
#include "models/weights/safetensors.h"

namespace torch::nn {
class Module;
}

namespace previt {

/// The module's parameters and buffers by name. They share its memory.
NamedTensors named_tensors(const torch::nn::Module& module);

/// Checksum::hex of the names and bytes of all parameters and buffers.
std::string weights_checksum(const torch::nn::Module& module);

/// What load_into found no match for.
struct LoadReport {
  std::vector<std::string>
      missing;  ///< the module's names that the weights lack; these keep their values
  std::vector<std::string> unexpected;  ///< names of the weights that the module lacks
};

/// Copies weights into the module's parameters and buffers of the same name, converting type and
/// device. Throws Error that names a tensor of another shape, with both shapes, before anything is
/// copied.
LoadReport load_into(torch::nn::Module& module, const NamedTensors& weights);

/// Lets the module's parameters and buffers share the memory of the weights of the same name, where
/// these are float32 and contiguous; others are converted. Names that the module lacks are passed
/// over. Throws Error as load_into does. For a module on the CPU that nobody trains.
void share_into(torch::nn::Module& module, const NamedTensors& weights);

/// Makes the position tables in `weights` (a Vit's names) those of `options`: pos_embed is
/// resampled by options.pos_resize, relative tables as BEiT's fine-tuning does, and a shared
/// relative table becomes one per block if the options want that. `grid` is [rows, columns] of the
/// tables; empty: square. Throws Error if a table fits no such grid.
NamedTensors fit_positions(NamedTensors weights,
                           const VitOptions& options,
                           const std::vector<int64_t>& grid = {});

}  // namespace previt
