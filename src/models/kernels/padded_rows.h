#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace previt {

/// Rows [R, W] in memory for padded_rows(R) of them, so that a matmul can run over a number of rows
/// that suits its tiles. What lies in the padding does not matter, since a row of the result
/// depends on its own row alone.
class PaddedRows {
 public:
  /// Rows are padded to a multiple of this: oneDNN is up to a tenth slower with other numbers.
  static constexpr int64_t kTile = 32;

  /// Uninitialised memory for a tensor of `shape` [..., W], whose rows are all but the last
  /// dimension. Throws c10::Error for a shape without dimensions.
  PaddedRows(at::IntArrayRef shape, const at::TensorOptions& options);

  /// Contiguous rows [R, W] in their own storage. They are padded if it reaches far enough behind
  /// them, as it does for every view(), and else stay as they are. Throws c10::Error for other
  /// rows.
  explicit PaddedRows(const at::Tensor& rows);

  at::Tensor view() const;                           ///< the rows, in the shape that was given
  const at::Tensor& padded() const { return all_; }  ///< [R or more, W]

 private:
  at::Tensor all_;
  std::vector<int64_t> shape_;
};

/// `rows` rounded up to a multiple of PaddedRows::kTile.
int64_t padded_rows(int64_t rows);

}  // namespace previt
