#include "pretrain/model_view.h"

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

}  // namespace previt
