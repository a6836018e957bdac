#include "pretrain/word_table.h"

#include <torch/types.h>

#include "error.h"

namespace previt {

void require_fixed_view(const ViewSpec& view) {
  if (view.crop != CropKind::center && view.crop != CropKind::resize &&
      view.crop != CropKind::none) {
    fail_usage(
        "augment.crop: {} cuts other pictures each time, beit.tokens are of one; use "
        "center, resize or none",
        name_of(view.crop));
  }
  for (const auto& [key, chance] : {std::pair{"flip", view.flip},
                                    std::pair{"jitter", view.jitter},
                                    std::pair{"greyscale", view.greyscale},
                                    std::pair{"blur", view.blur},
                                    std::pair{"solarize", view.solarize}}) {
    if (chance == 0) continue;
    fail_usage("augment.{}: {}, but beit.tokens are of one picture; use 0", key, chance);
  }
  if (!view.rand_augment.empty()) {
    fail_usage("augment.rand_augment: {}, but beit.tokens are of one picture; use \"\"",
               view.rand_augment);
  }
}

at::Tensor pixel_sums(const at::Tensor& pictures) {
  return pictures.mul(255).round().to(torch::kInt64).sum({1, 2, 3}).cpu();
}

WordTable::WordTable(const TensorFile& file, const std::string& path, const WordOrigin& origin)
    : path_(path), words_(file.read("words")), pixel_sums_(file.read("pixel_sums")) {
  const auto require_same = [&](const char* key, const std::string& wanted, const char* other) {
    if (file.description(key) != wanted) {
      fail_usage("beit.tokens: {} was made with {}; make it again with cache_tokens", path, other);
    }
  };
  require_same("tokenizer", origin.tokenizer, "another tokenizer");
  require_same("views", origin.views, "other views of the images");
  require(words_.dim() == 2 && words_.scalar_type() == torch::kInt64 &&
              pixel_sums_.sizes() == at::IntArrayRef(words_.size(0)),
          "{}: words are not int64 [N, L], or not as many as pixel_sums",
          path);
}

at::Tensor WordTable::words(const at::Tensor& indices,
                            const std::function<at::Tensor()>& pictures) {
  require(indices.max().item<int64_t>() < words_.size(0),
          "{}: has words of {} images, image {} is asked for; make it again with cache_tokens",
          path_,
          words_.size(0),
          indices.max().item<int64_t>());
  if (!same_images_) {
    require(torch::equal(pixel_sums_.index_select(0, indices), pixel_sums(pictures())),
            "{}: has words of other images, or in another order; make it again with cache_tokens",
            path_);
    same_images_ = true;
  }
  at::Tensor words = words_.index_select(0, indices);
  require(words.min().item<int64_t>() >= 0,
          "{}: lacks an image that couldn't be read then; make it again with cache_tokens",
          path_);
  return words;
}

}  // namespace previt
