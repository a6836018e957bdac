#include "augment/device_lists.h"

#include <torch/types.h>

#include <algorithm>

#include "upload.h"

namespace previt {

at::Tensor DeviceLists::List::numbers() const {
  return uploaded_->numbers.slice(0, first_, first_ + size_);
}

at::Tensor DeviceLists::List::indices() const {
  return uploaded_->indices.slice(0, first_, first_ + size_);
}

DeviceLists::List DeviceLists::add(const std::vector<double>& numbers) {
  List list;
  list.uploaded_ = uploaded_;
  list.first_ = static_cast<int64_t>(numbers_.size());
  list.size_ = static_cast<int64_t>(numbers.size());
  numbers_.insert(numbers_.end(), numbers.begin(), numbers.end());
  return list;
}

void DeviceLists::upload(at::Device device) {
  // A double holds every index and rounds to the float that the host would have made of it.
  const at::Tensor host = host_memory({static_cast<int64_t>(numbers_.size())}, torch::kFloat64);
  std::copy(numbers_.begin(), numbers_.end(), host.data_ptr<double>());
  const at::Tensor there = previt::upload(host, device);
  uploaded_->numbers = there.to(torch::kFloat32);
  uploaded_->indices = there.to(torch::kInt64);
}

}  // namespace previt
