#include "pretrain/pictures/reconstruction_picture.h"

#include <torch/types.h>

#include "pretrain/pictures/contact_sheet.h"
#include "pretrain/pictures/upsample_nearest.h"

namespace previt {

Picture reconstruction_picture(const Reconstruction& shown, const NormalizeOptions& normalize) {
  const at::Tensor &images = shown.images, &predicted = shown.predicted;
  const at::Tensor hidden = upsample_nearest(shown.hidden, images.size(2), images.size(3));
  const auto pixels = [&](const at::Tensor& values) { return denormalize(values, normalize); };
  const ContactSheet sheet{
      .columns = {{"input", pixels(images)},
                  {"masked", pixels(images * (1 - hidden))},
                  {"reconstruction", pixels(predicted)},
                  {"+ visible patches", pixels(predicted * hidden + images * (1 - hidden))}},
      .note = shown.note};
  return {"reconstruction",
          fmt::format("Input, {:.0f}% of its patches masked, reconstruction, and reconstruction "
                      "with the visible patches put back. {}",
                      100 * shown.hidden.mean().item<double>(),
                      shown.note),
          sheet.draw()};
}

}  // namespace previt
