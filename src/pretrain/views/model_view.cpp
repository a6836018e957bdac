#include "pretrain/views/model_view.h"

#include "error.h"

namespace previt {

ViewSpec model_view(ViewSpec view, const VitOptions& model) {
  if (view.height == 0) view.height = model.image_height();
  if (view.width == 0) view.width = model.image_width();
  if (view.height != model.image_height() || view.width != model.image_width()) {
    fail_usage("augment.height, augment.width: {} x {} is not model.image_size {} x {}",
               view.height,
               view.width,
               model.image_height(),
               model.image_width());
  }
  return view;
}

const at::Tensor& only_view(const Batch& batch, const ViewSpec& view, const std::string& method) {
  require(batch.views.size() == 1,
          "{}: takes 1 view of each image, not {}",
          method,
          batch.views.size());
  const at::Tensor& images = batch.views.front();
  require(images.size(2) == view.height && images.size(3) == view.width,
          "{}: images are {} x {} instead of {} x {}",
          method,
          images.size(2),
          images.size(3),
          view.height,
          view.width);
  return images;
}

}  // namespace previt
