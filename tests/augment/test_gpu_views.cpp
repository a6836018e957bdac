// The kernels of a GPU that make views, on a machine without one: their code run as C++, started as
// on a GPU, beside LibTorch's operators. What needs a GPU runs where one is under test.
#include <c10/core/DeviceGuard.h>

#include "augment/gpu_views.h"
#include "gpu_launch.h"
#include "support/catch.h"
#include "support/gpu_code.h"
#include "support/test_device.h"
// Its names must be known before the kernels.
#include "models/kernels/emulated_gpu.h"
// The kernels themselves.
#include "augment/views.cu"

using namespace previt;
using namespace previt::test;

namespace {

static_assert(previt_gpu::kWarpsPerBlock == GpuProgram::kWarps);

// Starts kernels as a GpuProgram does, for views of one size.
template <int kHeight, int kWidth>
class EmulatedProgram {
 public:
  template <class... A>
  void launch(const std::string& kernel, unsigned blocks, void*, A... arguments) const {
    started.push_back(kernel);
    run_emulated(blocks, GpuProgram::kThreads, [&] { start(kernel, arguments...); });
  }
  mutable std::vector<std::string> started;

 private:
  static const previt_gpu::Drawn* drawn_at(const float* numbers) {
    return reinterpret_cast<const previt_gpu::Drawn*>(numbers);
  }
  static void start(const std::string&,
                    const float* origins,
                    const float* steps,
                    const float* lows,
                    const float* highs,
                    int axes,
                    int size,
                    int pixels,
                    int filter,
                    float* weights) {
    previt_gpu::resize_weights(origins, steps, lows, highs, axes, size, pixels, filter, weights);
  }
  template <class T>
  static void start(
      const std::string&, const T* pixels, const float* drawn, int views, int images, float* sums) {
    previt_gpu::sum_greys<T, kHeight, kWidth>(pixels, drawn_at(drawn), views, images, sums);
  }
  template <class T>
  static void start(const std::string&,
                    const T* pixels,
                    const float* drawn,
                    const float* sums,
                    int views,
                    int images,
                    float* out) {
    previt_gpu::change_colors<T, kHeight, kWidth>(
        pixels, drawn_at(drawn), sums, views, images, out);
  }
  static void start(const std::string& kernel, const float* drawn, int views, float* out) {
    if (kernel == "blur_down") {
      previt_gpu::blur<kHeight, kWidth, true>(drawn_at(drawn), views, out);
    } else {
      previt_gpu::blur<kHeight, kWidth, false>(drawn_at(drawn), views, out);
    }
  }
};

using Kernels = std::vector<std::string>;

// Makes the views of `spec` twice on a device and gives how far they are apart at most.
template <class Program>
double apart(const Program& program,
             const ViewSpec& spec,
             const ViewSource& source,
             at::Device device) {
  const ImagesThere& size = source.images;
  const int64_t views = source.cuts ? size.count * spec.count : size.count;
  std::vector<ViewPlan> plans;
  for (int64_t i = 0; i < views; ++i) {
    Random draws(4, Stream::synthetic, {static_cast<uint64_t>(i)});
    plans.push_back(plan_views({spec}, size.height, size.width, draws).front());
  }
  torch::manual_seed(6);
  const at::Tensor bytes =
      torch::randint(0, 256, {size.count, 3, size.height, size.width}, torch::kUInt8);
  const at::Tensor pixels = prepared(bytes.to(device), source.cuts);
  DeviceLists lists;
  const auto theirs = plan_device_views(spec, plans, source, lists);
  const GpuViews ours(spec, plans, source, lists);
  lists.upload(device);
  void* const stream = device.is_cuda() ? gpu_stream(device) : nullptr;
  const at::Tensor got = ours.make(program, stream, pixels), want = theirs(pixels);
  REQUIRE(got.sizes() == want.sizes());
  return (got - want).abs().max().item<double>();
}

// Holds views that are made on the CPU against each other, and gives what was started.
template <int kHeight, int kWidth>
Kernels check_views(ViewSpec spec, const ViewSource& source) {
  INFO(kHeight << " x " << kWidth << " of " << source.images.height << " x "
               << source.images.width);
  spec.height = kHeight;
  spec.width = kWidth;
  const EmulatedProgram<kHeight, kWidth> program;
  CHECK(apart(program, spec, source, torch::kCPU) < 1e-5);
  CHECK(!warp.torn);
  return program.started;
}

// Everything that the kernels have, in some views each.
ViewSpec all_of_them(Interpolation filter = Interpolation::bicubic) {
  ViewSpec spec{.count = 2, .interpolation = filter};
  spec.jitter = 0.8;
  spec.brightness = spec.contrast = spec.saturation = 0.9;  // factors below a half too
  spec.greyscale = spec.solarize = 0.3;
  spec.blur = 0.5;
  spec.blur_sigma = {0.1, 5};
  return spec;
}

}  // namespace

TEST_CASE("a GPU's kernels make the views that LibTorch's operators make") {
  const Kernels all = {"sum_greys", "change_colors", "blur_across", "blur_down"};
  const auto with_weights = [&](Kernels weights) {
    weights.insert(weights.end(), all.begin(), all.end());
    return weights;
  };
  const auto one = with_weights({"resize_weights"});
  const auto two = with_weights({"resize_weights", "resize_weights"});
  // Rows and columns that aren't whole groups of lines, and more pixels than a warp takes.
  CHECK(check_views<33, 33>(all_of_them(), {{8, 40, 40}}) == one);
  CHECK(check_views<12, 12>(all_of_them(), {{8, 50, 50}}) == one);
  CHECK(check_views<18, 31>(all_of_them(Interpolation::bilinear), {{8, 40, 52}}) == two);
  CHECK(check_views<26, 21>(all_of_them(Interpolation::lanczos), {{8, 40, 52}}) == two);
  ViewSpec cut = all_of_them();
  cut.crop = CropKind::none;
  CHECK(check_views<35, 42>(cut, {{16, 35, 42}, false}) == all);
}

TEST_CASE("a GPU's kernels do each operation alone, and start no others") {
  for (double ViewSpec::*probability :
       {&ViewSpec::jitter, &ViewSpec::greyscale, &ViewSpec::blur, &ViewSpec::solarize}) {
    ViewSpec spec{.crop = CropKind::none, .flip = 0};
    spec.*probability = 0.7;
    Kernels expected = {"change_colors"};
    if (spec.jitter > 0) expected.insert(expected.begin(), "sum_greys");
    if (spec.blur > 0) expected.insert(expected.end(), {"blur_across", "blur_down"});
    CHECK(check_views<10, 13>(spec, {{8, 10, 13}, false}) == expected);
  }
}

TEST_CASE("NVRTC compiles the kernels of views", "[nvrtc]") {
  if (!nvrtc_is_here()) return;
  for (const bool cuts : {true, false}) {
    for (const char* gpu : {"sm_80", "sm_90"}) {
      for (const int side : {32, 96, 224, 384}) {
        const ViewSpec spec{.height = side, .width = side};
        check_code(compile_for_gpu(kGpuViewsSource, gpu, gpu_views_defines(spec, cuts)),
                   {"resize_weights", "sum_greys", "change_colors", "blur_across", "blur_down"});
      }
    }
  }
}

// Whether or not they are the faster ones there.
TEST_CASE("on a GPU under test, our kernels make the views that LibTorch's operators make") {
  const at::Device device = numbered(test_device());
  if (!device.is_cuda()) return;
  const c10::DeviceGuard guard(device);
  for (const bool cuts : {true, false}) {
    for (const int64_t side : {33, 96, 224}) {
      const ViewSpec size{.height = side, .width = side + 7};
      const GpuProgram program(device.index(), kGpuViewsSource, gpu_views_defines(size, cuts));
      for (const auto filter :
           {Interpolation::bicubic, Interpolation::bilinear, Interpolation::lanczos}) {
        INFO(name_of(filter) << ", cut there: " << cuts << ", " << side);
        ViewSpec spec = all_of_them(filter);
        spec.height = size.height;
        spec.width = size.width;
        spec.solarize_threshold = 0;  // no rounding decides what is inverted
        if (!cuts) spec.crop = CropKind::none;
        const ImagesThere images = {16, cuts ? 240 : spec.height, cuts ? 250 : spec.width};
        CHECK(apart(program, spec, {images, cuts}, device) < 1e-4);
      }
    }
  }
}

TEST_CASE("without a GPU, operators make the views") {
  CHECK(gpu_views_program(all_of_them(), {{8, 40, 40}}, torch::kCPU) == nullptr);
}
