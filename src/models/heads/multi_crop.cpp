#include "models/heads/multi_crop.h"

#include <torch/types.h>

#include "models/vit.h"

namespace previt {

at::Tensor multi_crop_features(Vit& vit, const std::vector<at::Tensor>& views) {
  std::vector<at::Tensor> features;
  for (size_t first = 0, end = 0; first < views.size(); first = end) {
    std::vector<at::Tensor> same;
    for (; end < views.size() && views[end].sizes() == views[first].sizes(); ++end) {
      same.push_back(views[end]);
    }
    features.push_back(vit.pooled(same.size() == 1 ? same.front() : torch::cat(same)));
  }
  return features.size() == 1 ? features.front() : torch::cat(features);
}

}  // namespace previt
