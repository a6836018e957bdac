#include "models/weights/weights.h"

#include <torch/nn/module.h>

#include <cmath>

#include "error.h"
#include "files.h"
#include "models/layers/pos_embed.h"
#include "models/layers/rel_pos_bias.h"

namespace previt {
namespace {

struct Grid {
  int64_t height, width;
};

// The grid of a table with `cells` cells; `name` leads errors.
Grid table_grid(const std::string& name, int64_t cells, const std::vector<int64_t>& given) {
  if (!given.empty()) {
    require(given.size() == 2 && given[0] * given[1] == cells,
            "{}: {} rows are not a grid of {}",
            name,
            cells,
            given);
    return {given[0], given[1]};
  }
  const auto side = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(cells))));
  require(side > 0 && side * side == cells, "{}: {} rows are not a square grid", name, cells);
  return {side, side};
}

at::Tensor fit_absolute(const at::Tensor& table,
                        const VitOptions& options,
                        const std::vector<int64_t>& grid) {
  require(table.dim() == 3, "pos_embed: {} is not [1, rows, D]", table.sizes().vec());
  const int64_t extra = options.num_prefix_positions();
  if (table.size(1) == options.num_patches() + extra && grid.empty()) return table;
  const Grid from = table_grid("pos_embed", table.size(1) - extra, grid);
  return resize_pos_embed(table.to(torch::kFloat),
                          from.height,
                          from.width,
                          options.grid_height(),
                          options.grid_width(),
                          pos_resize(options.pos_resize));
}

at::Tensor fit_relative(const std::string& name,
                        const at::Tensor& table,
                        const VitOptions& options,
                        const std::vector<int64_t>& grid) {
  require(table.dim() == 2, "{}: {} is not [rows, H]", name, table.sizes().vec());
  const int64_t wanted = relative_position_rows(options.grid_height(), options.grid_width());
  if (table.size(0) == wanted && grid.empty()) return table;
  std::vector<int64_t> offsets;
  for (const int64_t side : grid) offsets.push_back(2 * side - 1);
  const Grid from = table_grid(name, table.size(0) - 3, offsets);
  return resize_relative_table(table,
                               (from.height + 1) / 2,
                               (from.width + 1) / 2,
                               options.grid_height(),
                               options.grid_width());
}

const std::string kTable = "relative_position_bias_table";

// BEiT pretrains with one table for all blocks and fine-tunes with one in each.
void share_relative_table(NamedTensors& weights, const VitOptions& options) {
  const auto shared = weights.find("rel_pos_bias." + kTable);
  if (options.rel_pos_bias != RelPosBias::per_block || shared == weights.end()) return;
  for (int64_t i = 0; i < options.depth; ++i) {
    weights[fmt::format("blocks.{}.attn.{}", i, kTable)] = shared->second;
  }
  weights.erase(shared);
}

// The names of `own` that the weights lack. All shapes are compared before anything is changed.
std::vector<std::string> names_missing_in(const NamedTensors& weights, const NamedTensors& own) {
  std::vector<std::string> missing;
  for (const auto& [name, tensor] : own) {
    const auto it = weights.find(name);
    if (it == weights.end()) {
      missing.push_back(name);
    } else {
      require(it->second.sizes() == tensor.sizes(),
              "{}: the weights are {}, the model has {}",
              name,
              it->second.sizes().vec(),
              tensor.sizes().vec());
    }
  }
  return missing;
}

}  // namespace

NamedTensors named_tensors(const torch::nn::Module& module) {
  NamedTensors tensors;
  for (const auto& item : module.named_parameters()) tensors[item.key()] = item.value();
  for (const auto& item : module.named_buffers()) tensors[item.key()] = item.value();
  return tensors;
}

std::string weights_checksum(const torch::nn::Module& module) {
  Checksum checksum;
  for (const auto& [name, tensor] : named_tensors(module)) {
    const at::Tensor bytes = tensor.detach().cpu().contiguous();
    checksum.update(name.data(), name.size());
    checksum.update(bytes.const_data_ptr(), bytes.nbytes());
  }
  return checksum.hex();
}

LoadReport load_into(torch::nn::Module& module, const NamedTensors& weights) {
  const NamedTensors own = named_tensors(module);
  LoadReport report;
  report.missing = names_missing_in(weights, own);
  torch::NoGradGuard no_grad;
  for (const auto& [name, tensor] : weights) {
    const auto it = own.find(name);
    if (it == own.end()) {
      report.unexpected.push_back(name);
    } else {
      it->second.copy_(tensor);
    }
  }
  return report;
}

void share_into(torch::nn::Module& module, const NamedTensors& weights) {
  const torch::NoGradGuard no_grad;
  NamedTensors own = named_tensors(module);
  names_missing_in(weights, own);
  for (auto& [name, tensor] : own) {
    const auto found = weights.find(name);
    if (found == weights.end()) continue;
    tensor.set_data(found->second.detach().to(tensor.scalar_type()).contiguous());
  }
}

NamedTensors fit_positions(NamedTensors weights,
                           const VitOptions& options,
                           const std::vector<int64_t>& grid) {
  torch::NoGradGuard no_grad;
  share_relative_table(weights, options);
  for (auto& [name, tensor] : weights) {
    if (name == "pos_embed") tensor = fit_absolute(tensor, options, grid);
    if (name.size() > kTable.size() && name.ends_with(kTable)) {
      tensor = fit_relative(name, tensor, options, grid);
    }
  }
  return weights;
}

}  // namespace previt
