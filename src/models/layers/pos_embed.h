#pragma once

#include <ATen/core/Tensor.h>

#include <array>

namespace previt {

/// MAE's fixed table (mae:util/pos_embed.py), float32 [rows, dim], computed in double: for row r
/// and column c, [sin(c·ω), cos(c·ω), sin(r·ω), cos(r·ω)] with ω_k = 10000^(-k/(dim/4)). A row of
/// zeros comes first with cls_row. dim must be a multiple of 4.
at::Tensor sincos_positions(int64_t dim, int64_t grid_height, int64_t grid_width, bool cls_row);

/// How a code base resamples its position table; all do so bicubically. With offset > 0 the scale
/// is (new + offset) / old instead of new / old: DINO's way around rounding errors (dino issue 8).
struct PosResize {
  bool antialias = false;
  double offset = 0;
};

/// The code base whose way of resampling a position table is taken.
enum class ResizeConvention { timm, mae, dino, dinov2_reg };
constexpr auto enum_names(ResizeConvention) {
  return std::array{"timm", "mae", "dino", "dinov2_reg"};
}

/// What a convention does. timm: antialias; mae (also BEiT, Hugging Face): plain; dino (also iBOT,
/// DINOv2): offset 0.1; dinov2_reg (DINOv2 with registers): antialias.
PosResize pos_resize(ResizeConvention convention);

/// Resamples the last old_height · old_width rows of table [1, rows, D] to another grid; the rows
/// before them (cls) stay. Differentiable. The same grid gives the table itself. Throws Error for a
/// table that has fewer rows.
at::Tensor resize_pos_embed(const at::Tensor& table,
                            int64_t old_height,
                            int64_t old_width,
                            int64_t new_height,
                            int64_t new_width,
                            PosResize how);

}  // namespace previt
