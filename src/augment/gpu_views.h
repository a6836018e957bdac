#pragma once

#include <ATen/ops/empty.h>

#include <optional>
#include <string>
#include <vector>

#include "augment/device_views.h"
#include "gpu_program.h"

namespace previt {

/// What makes views of `spec` from such a source on a CUDA device by kernels of our own (views.cu),
/// or null: LibTorch's operators shall. It is tried on the first use for the spec and the source.
const GpuProgram* gpu_views_program(const ViewSpec& spec,
                                    const ViewSource& source,
                                    at::Device device);

/// plan_device_views() for such a program.
class GpuViews {
 public:
  GpuViews(const ViewSpec& spec,
           const std::vector<ViewPlan>& plans,
           const ViewSource& source,
           DeviceLists& lists);

  /// The views, once the lists were uploaded. program: a GpuProgram, or what stands for it in tests.
  template <class Program>
  at::Tensor make(const Program& program, void* stream, const at::Tensor& prepared) const;

 private:
  template <class Program>
  at::Tensor weights(const Program& program, void* stream, const AxisLists& axes, int64_t n) const;
  template <class Program, class Pixel>
  at::Tensor changed(const Program& program, void* stream, const at::Tensor& pixels) const;

  int64_t views_, height_, width_;
  int64_t images_;  // of whose crops the views are; one crop each where they are cut already
  std::optional<CutPlan> cut_;
  DeviceLists::List drawn_;
  bool jittered_ = false, blurred_ = false;
};

template <class Program>
at::Tensor GpuViews::weights(const Program& program,
                             void* stream,
                             const AxisLists& axes,
                             int64_t n) const {
  const auto data = [](const DeviceLists::List& list) { return list.numbers().data_ptr<float>(); };
  const int64_t count = axes.origins.size();
  const at::Tensor made = at::empty({count, axes.size, n}, axes.origins.numbers().options());
  program.launch("resize_weights",
                 GpuProgram::blocks_of(count * axes.size),
                 stream,
                 data(axes.origins),
                 data(axes.steps),
                 data(axes.lows),
                 data(axes.highs),
                 static_cast<int>(count),
                 static_cast<int>(axes.size),
                 static_cast<int>(n),
                 static_cast<int>(cut_->filter),
                 made.data_ptr<float>());
  return made;
}

template <class Program, class Pixel>
at::Tensor GpuViews::changed(const Program& program, void* stream, const at::Tensor& pixels) const {
  constexpr int64_t kSums = 32, kPixelsOfWarp = 1024, kLinesOfWarp = 4;  // as views.cu has them
  const auto views = static_cast<int>(views_), images = static_cast<int>(images_);
  const at::Tensor numbers = drawn_.numbers();
  const float* const drawn = numbers.data_ptr<float>();
  const at::Tensor sums = at::empty({views_, kSums}, numbers.options());
  const at::Tensor made = at::empty({views_, 3, height_, width_}, numbers.options());
  const Pixel* const from = pixels.data_ptr<Pixel>();
  float *const sum = sums.data_ptr<float>(), *const out = made.data_ptr<float>();
  if (jittered_) {
    program.launch("sum_greys",
                   GpuProgram::blocks_of(views_ * kSums),
                   stream,
                   from,
                   drawn,
                   views,
                   images,
                   sum);
  }
  const int64_t parts = (height_ * width_ + kPixelsOfWarp - 1) / kPixelsOfWarp;
  program.launch("change_colors",
                 GpuProgram::blocks_of(views_ * parts),
                 stream,
                 from,
                 drawn,
                 sum,
                 views,
                 images,
                 out);
  const auto blur = [&](const char* kernel, int64_t lines) {
    const int64_t groups = (lines + kLinesOfWarp - 1) / kLinesOfWarp;
    program.launch(kernel, GpuProgram::blocks_of(3 * views_ * groups), stream, drawn, views, out);
  };
  if (blurred_) {
    blur("blur_across", height_);
    blur("blur_down", width_);
  }
  return made;
}

template <class Program>
at::Tensor GpuViews::make(const Program& program, void* stream, const at::Tensor& prepared) const {
  if (!cut_) return changed<Program, uint8_t>(program, stream, prepared.contiguous());
  const auto make_weights = [&](const AxisLists& axes, int64_t n) {
    return weights(program, stream, axes, n);
  };
  return changed<Program, float>(program, stream, cut(*cut_, prepared, make_weights));
}

/// For views.cu.
std::vector<std::string> gpu_views_defines(const ViewSpec& spec, bool cuts);

extern const char* const kGpuViewsSource;  ///< views.cu

}  // namespace previt
