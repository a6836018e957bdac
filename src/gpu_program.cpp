#include "gpu_program.h"

#include <dlfcn.h>

#include "error.h"

namespace previt {
namespace {

// The first of these libraries that has `symbol`, itself or in one that it needs; or null.
void* library_with(const char* symbol, const std::vector<const char*>& names) {
  for (const char* name : names) {
    void* const library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr && dlsym(library, symbol) != nullptr) return library;
  }
  return nullptr;
}

template <class F>
void find(void* library, const char* name, F*& function) {
  function = library == nullptr ? nullptr : reinterpret_cast<F*>(dlsym(library, name));
}

// The functions of nvrtc.h that are needed; 0 is success.
struct Nvrtc {
  Nvrtc() {
    // The first is LibTorch's own, which knows where its NVRTC lies.
    void* const library =
        library_with("nvrtcCreateProgram",
                     {"libcaffe2_nvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"});
    find(library, "nvrtcCreateProgram", create);
    find(library, "nvrtcCompileProgram", compile);
    find(library, "nvrtcGetCUBINSize", code_size);
    find(library, "nvrtcGetCUBIN", code);
    find(library, "nvrtcGetProgramLogSize", log_size);
    find(library, "nvrtcGetProgramLog", log);
    find(library, "nvrtcDestroyProgram", destroy);
  }
  bool whole() const {
    return create && compile && code_size && code && log_size && log && destroy;
  }

  int (*create)(void**, const char*, const char*, int, const char* const*, const char* const*);
  int (*compile)(void*, int, const char* const*);
  int (*code_size)(void*, size_t*);
  int (*code)(void*, char*);
  int (*log_size)(void*, size_t*);
  int (*log)(void*, char*);
  int (*destroy)(void**);
};

const Nvrtc& nvrtc() {
  static const Nvrtc one;
  return one;
}

// Those of cuda.h.
struct Driver {
  Driver() {
    void* const library = library_with("cuInit", {"libcuda.so.1"});
    find(library, "cuInit", init);
    find(library, "cuDeviceGet", device);
    find(library, "cuDeviceGetAttribute", attribute);
    find(library, "cuDevicePrimaryCtxRetain", primary_context);
    find(library, "cuCtxGetCurrent", current_context);
    find(library, "cuCtxSetCurrent", set_context);
    find(library, "cuModuleLoadData", load);
    find(library, "cuModuleGetFunction", function);
    find(library, "cuLaunchKernel", launch);
    find(library, "cuStreamSynchronize", wait);
    const bool whole = init && device && attribute && primary_context && current_context &&
                       set_context && load && function && launch && wait;
    require(whole, "GPU kernels: libcuda.so.1 is missing or lacks a function");
    check(init(0), "cuInit");
  }
  static void check(int code, const char* what) {
    require(code == 0, "GPU kernels: {}: CUDA error {}", what, code);
  }

  int (*init)(unsigned);
  int (*device)(int*, int);
  int (*attribute)(int*, int, int);
  int (*primary_context)(void**, int);
  int (*current_context)(void**);
  int (*set_context)(void*);
  int (*load)(void**, const void*);
  int (*function)(void**, void*, const char*);
  int (*launch)(void*,
                unsigned,
                unsigned,
                unsigned,
                unsigned,
                unsigned,
                unsigned,
                unsigned,
                void*,
                void**,
                void**);
  int (*wait)(void*);
};

const Driver& driver() {
  static const Driver one;
  return one;
}

std::string architecture_of(int device) {
  constexpr int kMajor = 75, kMinor = 76;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_…
  int major = 0, minor = 0;
  Driver::check(driver().attribute(&major, kMajor, device), "cuDeviceGetAttribute");
  Driver::check(driver().attribute(&minor, kMinor, device), "cuDeviceGetAttribute");
  return fmt::format("sm_{}{}", major, minor);
}

}  // namespace

bool can_compile_for_gpu() { return nvrtc().whole(); }

std::string compile_for_gpu(const std::string& source,
                            const std::string& architecture,
                            const std::vector<std::string>& defines) {
  require(can_compile_for_gpu(), "GPU kernels: NVRTC was not found");
  const Nvrtc& n = nvrtc();
  std::vector<std::string> options = {"--std=c++17", "--gpu-architecture=" + architecture};
  for (const std::string& define : defines) options.push_back("-D" + define);
  std::vector<const char*> words;
  for (const std::string& option : options) words.push_back(option.c_str());

  void* program = nullptr;
  const char* const included = "models/kernels/gpu_numbers.cuh";
  require(n.create(&program, source.c_str(), "kernel.cu", 1, &kGpuNumbersSource, &included) == 0,
          "GPU kernels: NVRTC takes no program");
  const int failed = n.compile(program, static_cast<int>(words.size()), words.data());
  size_t size = 0;
  (failed != 0 ? n.log_size : n.code_size)(program, &size);
  std::string text(size, '\0');
  (failed != 0 ? n.log : n.code)(program, text.data());
  n.destroy(&program);
  require(failed == 0, "GPU kernels: {}", text.c_str());
  return text;
}

GpuProgram::GpuProgram(int device,
                       const std::string& source,
                       const std::vector<std::string>& defines) {
  const Driver& d = driver();
  int own = 0;
  Driver::check(d.device(&own, device), "cuDeviceGet");
  const std::string code = compile_for_gpu(source, architecture_of(own), defines);
  Driver::check(d.primary_context(&context_, own), "cuDevicePrimaryCtxRetain");
  Driver::check(d.set_context(context_), "cuCtxSetCurrent");
  Driver::check(d.load(&module_, code.data()), "cuModuleLoadData");
}

void GpuProgram::start(const char* kernel, unsigned blocks, void* stream, void** arguments) const {
  const Driver& d = driver();
  // A thread that has not used the device yet has no context.
  void* current = nullptr;
  Driver::check(d.current_context(&current), "cuCtxGetCurrent");
  if (current != context_) Driver::check(d.set_context(context_), "cuCtxSetCurrent");
  void* function = nullptr;
  Driver::check(d.function(&function, module_, kernel), kernel);
  Driver::check(
      d.launch(function, blocks, 1, 1, kThreads, 1, 1, /*shared=*/0, stream, arguments, nullptr),
      kernel);
}

void GpuProgram::wait_for(void* stream) {
  Driver::check(driver().wait(stream), "cuStreamSynchronize");
}

}  // namespace previt
