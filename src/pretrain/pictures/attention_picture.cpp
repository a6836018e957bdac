#include "pretrain/pictures/attention_picture.h"

#include <torch/types.h>
#include <torch/utils.h>

#include "pretrain/pictures/contact_sheet.h"
#include "pretrain/pictures/upsample_nearest.h"

namespace previt {
namespace {

constexpr int64_t kMostHeads = 4;

// [B, L] over the patches → [B, 1, H, W] in [0, 1].
at::Tensor heat(const at::Tensor& attention, const VitOptions& model, const at::Tensor& images) {
  const int64_t patch = model.patch_size;
  const at::Tensor map = attention / attention.amax(1, /*keepdim=*/true).clamp_min(1e-12);
  const at::Tensor cells = map.view({-1, 1, images.size(2) / patch, images.size(3) / patch});
  return upsample_nearest(cells, images.size(2), images.size(3)).cpu();
}

}  // namespace

Picture attention_picture(Vit& vit, const at::Tensor& images, const NormalizeOptions& normalize) {
  const torch::NoGradGuard no_grad;
  const at::Tensor all = vit.attention(images);  // [B, heads, N, N]
  const at::Tensor of_cls = all.select(2, 0).slice(2, vit.num_prefix_tokens());
  ContactSheet sheet{.columns = {{"input", denormalize(images, normalize).cpu()},
                                 {"all heads", heat(of_cls.mean(1), vit.options(), images)}}};
  for (int64_t head = 0; head < std::min(kMostHeads, of_cls.size(1)); ++head) {
    sheet.columns.push_back(
        {fmt::format("head {}", head + 1), heat(of_cls.select(1, head), vit.options(), images)});
  }
  return {"attention",
          "Input, and where the class token looks in the teacher's last block: all heads together, "
          "then the first ones alone.",
          sheet.draw()};
}

}  // namespace previt
