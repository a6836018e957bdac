#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace previt::cli {

/// One image with its maps, for pictures. K heads, h × w patches.
struct Attended {
  std::string name;    ///< file name without ending
  at::Tensor picture;  ///< float32 [3, H, W] in [0, 1]
  at::Tensor maps;     ///< float32 [K, h, w], a map for each head
  at::Tensor masks;    ///< bool [K, h, w], the maps thresholded
  at::Tensor truth;    ///< bool [H, W], undefined without an object mask
};

/// Writes OUT/overlays/NAME_head0.png … and NAME_mean.png, and OUT/masks/NAME_head0.png …
void write_pictures(const std::string& out, const Attended& image);

/// The picture beside the heat of the heads' mean, a frame of a video: uint8 [H, 2 W, 3].
at::Tensor side_by_side(const Attended& image);

/// The first images in rows: picture, mean, each head, and the object where it is known.
class AttentionSheet {
 public:
  void add(const Attended& image);
  bool full() const;
  /// Writes OUT/contact_sheet.png with `note` below.
  void write(const std::string& out, const std::string& note) const;

 private:
  std::vector<std::vector<at::Tensor>> rows_;
  std::vector<std::string> titles_;
};

}  // namespace previt::cli
