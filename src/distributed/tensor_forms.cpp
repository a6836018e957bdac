#include "distributed/tensor_forms.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <numeric>

#include "error.h"

namespace previt {
namespace {

constexpr int64_t kMostDimensions = 8;

int64_t bytes_of_row(const at::Tensor& tensor) {
  int64_t bytes = static_cast<int64_t>(tensor.element_size());
  for (int64_t d = 1; d < tensor.dim(); ++d) bytes *= tensor.size(d);
  return bytes;
}

at::ScalarType added_in(at::ScalarType type) {
  switch (type) {
    case at::kBFloat16:
    case at::kHalf:
      return at::kFloat;
    case at::kBool:
    case at::kShort:
      return at::kInt;
    default:
      return type;
  }
}

}  // namespace

at::Tensor as_added(const at::Tensor& tensor, at::Device device) {
  return tensor.detach().to(device, added_in(tensor.scalar_type())).contiguous();
}

at::Tensor as_bytes(const at::Tensor& tensor, at::Device device) {
  return tensor.detach().to(device).contiguous().view({-1}).view(at::kByte);
}

// What must agree comes first: the type, the number of dimensions, the sizes behind the first.
at::Tensor form_of(const at::Tensor& tensor) {
  require(tensor.dim() >= 1 && tensor.dim() <= kMostDimensions,
          "gather: a tensor of {} dimensions",
          tensor.dim());
  const at::Tensor form = at::zeros({kMostDimensions + 2}, at::kLong);
  auto* values = form.mutable_data_ptr<int64_t>();
  values[0] = static_cast<int64_t>(tensor.scalar_type());
  values[1] = tensor.dim();
  for (int64_t d = 1; d < tensor.dim(); ++d) values[1 + d] = tensor.size(d);
  values[kMostDimensions + 1] = tensor.size(0);
  return form;
}

std::vector<int64_t> rows_of(const std::vector<at::Tensor>& forms, int64_t rank) {
  const auto* own = forms.at(static_cast<size_t>(rank)).const_data_ptr<int64_t>();
  std::vector<int64_t> rows;
  for (const at::Tensor& form : forms) {
    const auto* values = form.const_data_ptr<int64_t>();
    require(std::equal(values, values + kMostDimensions + 1, own),
            "gather: rank {} has tensors of another shape or type than rank {}",
            rows.size(),
            rank);
    rows.push_back(values[kMostDimensions + 1]);
  }
  return rows;
}

at::Tensor padded_bytes(const at::Tensor& tensor,
                        const std::vector<int64_t>& rows,
                        at::Device device) {
  const at::Tensor bytes = as_bytes(tensor, device);
  const int64_t most = *std::max_element(rows.begin(), rows.end());
  const at::Tensor padded = at::zeros({most * bytes_of_row(tensor)}, bytes.options());
  padded.narrow(0, 0, bytes.numel()).copy_(bytes);
  return padded;
}

at::Tensor put_together(const std::vector<at::Tensor>& parts,
                        const std::vector<int64_t>& rows,
                        const at::Tensor& like) {
  const at::Device device = parts.empty() ? like.device() : parts[0].device();
  auto shape = like.sizes().vec();
  shape[0] = std::accumulate(rows.begin(), rows.end(), int64_t{0});
  const at::Tensor together = at::empty(shape, like.options().device(device).requires_grad(false));
  if (parts.empty()) return together;
  const at::Tensor bytes = as_bytes(together, device);
  int64_t begin = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const int64_t length = bytes_of_row(like) * rows[i];
    bytes.narrow(0, begin, length).copy_(parts[i].narrow(0, 0, length));
    begin += length;
  }
  return together;
}

}  // namespace previt
