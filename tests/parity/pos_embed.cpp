#include "models/layers/pos_embed.h"

#include "error.h"
#include "models/weights/weights.h"
#include "parity/parity.h"

using namespace previt;

// Tables "d48_g4_cls" (width, grid side, with or without the class row).
PARITY_CASE(mae_sincos) {
  for (const auto& [name, want] : fixture.group("output.")) {
    long dim = 0, side = 0;
    require(std::sscanf(name.c_str(), "d%ld_g%ld", &dim, &side) == 2, "{}: not understood", name);
    const bool cls = !name.ends_with("_nocls");
    check.absolute(name, sincos_positions(dim, side, side, cls), want, 1e-6);
  }
}

// interpolate_pos_embed: what loading a checkpoint of another resolution does.
PARITY_CASE(mae_posembed_interp) {
  for (const int64_t side : fixture.config.at("new").get<std::vector<int64_t>>()) {
    VitOptions options;
    options.patch_size = 1;
    options.image_size = {side};
    options.pos_resize = ResizeConvention::mae;
    const auto fitted = fit_positions({{"pos_embed", fixture.at("input.pos_embed")}}, options);
    const std::string key = fmt::format("output.pos_embed_g{}", side);
    check.t1(key, fitted.at("pos_embed"), fixture.at(key));
  }
}

// One table by every convention: "timm_antialias_3x5", "size_3x5", "scale_plus0.1_antialias_3x5".
PARITY_CASE(posembed_interp_conventions) {
  const at::Tensor table = fixture.at("input.pos_embed");
  const int64_t old = fixture.integer("old");
  for (const auto& [name, want] : fixture.group("output.")) {
    PosResize how =
        pos_resize(name.starts_with("timm") ? ResizeConvention::timm : ResizeConvention::mae);
    if (name.starts_with("scale_plus")) {
      how.offset = std::stod(name.substr(std::string("scale_plus").size()));
      how.antialias = name.find("antialias") != std::string::npos;
    }
    long height = 0, width = 0;
    const auto size = name.substr(name.rfind('_'));
    require(
        std::sscanf(size.c_str(), "_%ldx%ld", &height, &width) == 2, "{}: not understood", name);
    check.t1(name, resize_pos_embed(table, old, old, height, width, how), want);
  }
}
