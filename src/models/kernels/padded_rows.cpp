#include "models/kernels/padded_rows.h"

#include <ATen/ops/empty.h>
#include <c10/util/accumulate.h>

namespace previt {
namespace {

int64_t rows_in(at::IntArrayRef shape) {
  TORCH_CHECK(!shape.empty(), "padded rows: a number has no rows");
  return c10::multiply_integers(shape.slice(0, shape.size() - 1));
}

// Whether the tensor's own storage reaches to the end of its padding.
bool has_padding(const at::Tensor& rows, int64_t padded) {
  const int64_t needed = rows.storage_offset() + padded * rows.size(1);
  return static_cast<int64_t>(rows.storage().nbytes() / rows.element_size()) >= needed;
}

}  // namespace

int64_t padded_rows(int64_t rows) {
  return (rows + PaddedRows::kTile - 1) / PaddedRows::kTile * PaddedRows::kTile;
}

PaddedRows::PaddedRows(at::IntArrayRef shape, const at::TensorOptions& options)
    : all_(at::empty({padded_rows(rows_in(shape)), shape.back()}, options)), shape_(shape.vec()) {}

PaddedRows::PaddedRows(const at::Tensor& rows) : all_(rows), shape_(rows.sizes().vec()) {
  TORCH_CHECK(rows.dim() == 2 && rows.is_contiguous(),
              "padded rows: ",
              rows.sizes(),
              " with strides ",
              rows.strides(),
              " are no contiguous rows");
  const int64_t padded = padded_rows(rows.size(0));
  if (has_padding(rows, padded)) {
    all_ = rows.as_strided({padded, rows.size(1)}, {rows.size(1), 1});
  }
}

at::Tensor PaddedRows::view() const { return all_.narrow(0, 0, rows_in(shape_)).view(shape_); }

}  // namespace previt
