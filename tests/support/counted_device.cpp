#include "support/counted_device.h"

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/detail/HPUHooksInterface.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <algorithm>
#include <set>

#include "support/device_work.h"

namespace previt::test {
namespace {

constexpr c10::DeviceType kType = c10::DeviceType::HPU;
const c10::Device kDevice(kType, 0);

// Operators that wait on a GPU: the host must know a size, or looks at a result.
const std::set<std::string> kWaiting = {"aten::nonzero",
                                        "aten::masked_select",
                                        "aten::bincount",
                                        "aten::equal",
                                        "aten::_unique2",
                                        "aten::unique_dim",
                                        "aten::repeat_interleave.Tensor",
                                        "aten::_linalg_eigh.eigenvalues"};

struct Allocator final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    c10::DataPtr data = c10::GetCPUAllocator()->allocate(bytes);
    void* const start = data.get();
    const auto free = data.get_deleter();
    return {start, data.release_context(), free, kDevice};
  }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }
};

Allocator& allocator() {
  static Allocator one;
  return one;
}

// The same bytes under another device's name; they live as long as the copy.
at::Tensor seen_as(const at::Tensor& tensor, c10::Device device) {
  auto* owner = new c10::Storage(tensor.storage());
  c10::DataPtr data(
      owner->mutable_data(),
      owner,
      [](void* storage) { delete static_cast<c10::Storage*>(storage); },
      device);
  c10::Storage storage(c10::Storage::use_byte_size_t(),
                       owner->nbytes(),
                       std::move(data),
                       device.is_cpu() ? c10::GetCPUAllocator() : &allocator(),
                       /*resizable=*/true);
  at::Tensor seen = at::detail::make_tensor<c10::TensorImpl>(
      std::move(storage),
      c10::DispatchKeySet(device.is_cpu() ? c10::DispatchKey::CPU : c10::DispatchKey::HPU),
      tensor.dtype());
  seen.unsafeGetTensorImpl()->set_sizes_and_strides(
      tensor.sizes(), tensor.strides(), tensor.storage_offset());
  return seen;
}

constexpr c10::DispatchKeySet kKeys(c10::DispatchKey::HPU);

at::Tensor empty(at::IntArrayRef size,
                 std::optional<at::ScalarType> type,
                 std::optional<at::Layout>,
                 std::optional<at::Device>,
                 std::optional<bool>,
                 std::optional<at::MemoryFormat> format) {
  return made(
      at::detail::empty_generic(size, &allocator(), kKeys, c10::dtype_or_default(type), format));
}

at::Tensor empty_strided(at::IntArrayRef size,
                         at::IntArrayRef stride,
                         std::optional<at::ScalarType> type,
                         std::optional<at::Layout>,
                         std::optional<at::Device>,
                         std::optional<bool>) {
  return made(at::detail::empty_strided_generic(
      size, stride, &allocator(), kKeys, c10::dtype_or_default(type)));
}

at::Tensor host_view(const at::Tensor& tensor) {
  return tensor.is_cpu() ? tensor : seen_as(tensor, c10::kCPU);
}

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  const char* download = non_blocking ? "late download" : "download";
  if (from.device() != to.device()) {
    count(from.is_cpu() ? "upload" : download);
  } else {
    count_operator("copy");
  }
  host_view(to).copy_(host_view(from));
  if (DeviceListener* listener = device_listener()) listener->copied(from, to);
  return to;
}

// The plain formula: it has every gradient, and which kernel a GPU would take can't be asked here.
int64_t choose_attention(const at::Tensor&,
                         const at::Tensor&,
                         const at::Tensor&,
                         const std::optional<at::Tensor>&,
                         double,
                         bool,
                         std::optional<double>,
                         bool) {
  return static_cast<int64_t>(at::SDPBackend::math);
}

at::Scalar read(const at::Tensor& tensor) {
  count("read");
  return host_view(tensor).item();
}

// Takes the tensors of an operator to the host's names and back.
class HostOperands {
 public:
  explicit HostOperands(const c10::OperatorHandle& op) : op_(op) {}

  c10::IValue to_host(const c10::IValue& value) {
    if (value.isTensor()) return value.toTensor().defined() ? host(value.toTensor()) : value;
    if (value.isDevice()) return c10::Device(c10::kCPU);
    if (value.isTensorList()) {
      c10::List<at::Tensor> list;
      for (const at::Tensor& tensor : value.toTensorVector()) list.push_back(host(tensor));
      return list;
    }
    if (!value.isOptionalTensorList()) return value;
    c10::List<std::optional<at::Tensor>> list;
    for (const std::optional<at::Tensor> one : value.toOptionalTensorList()) {
      const bool there = one && one->defined();
      // The number of true values is the result's size.
      if (there && one->scalar_type() == at::kBool) count("index with a mask");
      list.push_back(there ? std::optional(host(*one)) : std::nullopt);
    }
    return list;
  }

  c10::IValue to_device(const c10::IValue& value) {
    if (value.isTensor()) return value.toTensor().defined() ? device(value.toTensor()) : value;
    if (!value.isTensorList()) return value;
    c10::List<at::Tensor> list;
    for (const at::Tensor& tensor : value.toTensorVector()) list.push_back(device(tensor));
    return list;
  }

 private:
  at::Tensor host(const at::Tensor& tensor) {
    if (tensor.is_cpu()) {
      TORCH_CHECK(tensor.dim() == 0,
                  op_.operator_name(),
                  ": a tensor of the host among the device's, of shape ",
                  tensor.sizes());
      return tensor;
    }
    at::Tensor seen = seen_as(tensor, c10::kCPU);
    originals_.emplace(seen.unsafeGetTensorImpl(), tensor);
    kept_.push_back(seen);  // no other may get its address meanwhile
    return seen;
  }

  at::Tensor device(const at::Tensor& tensor) const {
    const auto given = originals_.find(tensor.unsafeGetTensorImpl());
    if (given == originals_.end()) return seen_as(tensor, kDevice);
    // An output that was resized may have other memory, though its size is the old one again.
    if (tensor.sizes() != given->second.sizes() ||
        tensor.storage().data() != given->second.storage().data()) {
      c10::TensorImpl* const original = given->second.unsafeGetTensorImpl();
      original->set_storage_keep_dtype(seen_as(tensor, kDevice).storage());
      original->set_sizes_and_strides(tensor.sizes(), tensor.strides(), tensor.storage_offset());
      made(given->second);
    }
    return given->second;
  }

  const c10::OperatorHandle& op_;
  std::map<const void*, at::Tensor> originals_;
  std::vector<at::Tensor> kept_;
};

// Whether all that it gives lies in the memory of what it got, unchanged.
bool is_view(const c10::FunctionSchema& schema) {
  const auto lies_there = [](const c10::Argument& result) {
    return result.alias_info() != nullptr && !result.alias_info()->isWrite();
  };
  const auto& results = schema.returns();
  return !results.empty() && std::all_of(results.begin(), results.end(), lies_there);
}

void by_the_host(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const at::AutoDispatchBelowADInplaceOrView below;
  const std::string name = c10::toString(op.operator_name());
  if (kWaiting.contains(name)) count(name.substr(6, name.find('.') - 6));
  if (!is_view(op.schema())) count_operator(name);
  HostOperands operands(op);
  const size_t arguments = op.schema().arguments().size();
  const torch::jit::Stack given(stack->end() - static_cast<std::ptrdiff_t>(arguments),
                                stack->end());
  for (size_t i = stack->size() - arguments; i < stack->size(); ++i) {
    (*stack)[i] = operands.to_host((*stack)[i]);
  }
  op.callBoxed(stack);
  const size_t results = op.schema().returns().size();
  for (size_t i = stack->size() - results; i < stack->size(); ++i) {
    (*stack)[i] = operands.to_device((*stack)[i]);
  }
  if (DeviceListener* listener = device_listener()) {
    listener->launched(
        op, given, {stack->end() - static_cast<std::ptrdiff_t>(results), stack->end()});
  }
}

TORCH_LIBRARY_IMPL(aten, HPU, m) {
  m.impl("empty.memory_format", empty);
  m.impl("empty_strided", empty_strided);
  m.impl("_copy_from", copy_from);
  m.impl("_local_scalar_dense", read);
  m.impl("_fused_sdp_choice", choose_attention);
  m.impl("view", at::native::view);
  m.impl("as_strided", at::native::as_strided_tensorimpl);
  m.impl("_reshape_alias", at::native::_reshape_alias);
  m.impl("unfold", at::native::unfold);
  // LibTorch chooses by the device how to compute these, and has no way for this one.
  for (const char* name : {"convolution", "convolution_backward"}) {
    m.impl(name, torch::CppFunction::makeFromBoxedFunction<&by_the_host>());
  }
}

TORCH_LIBRARY_IMPL(_, HPU, m) {
  m.fallback(torch::CppFunction::makeFromBoxedFunction<&by_the_host>());
}

struct Guard final : c10::impl::NoOpDeviceGuardImpl<kType> {
  c10::Device exchangeDevice(c10::Device) const override { return kDevice; }
  c10::Device getDevice() const override { return kDevice; }
  c10::Stream getStream(c10::Device) const noexcept override { return stream(); }
  c10::Stream getNewStream(c10::Device, int) const override { return stream(); }
  c10::Stream exchangeStream(c10::Stream) const noexcept override { return stream(); }
  // The only stream is the host's own order; autograd makes events all the same.
  void record(void**, const c10::Stream&, c10::DeviceIndex, c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void synchronizeEvent(void*) const override { count("wait"); }

 private:
  static c10::Stream stream() noexcept { return c10::Stream(c10::Stream::DEFAULT, kDevice); }
};
C10_REGISTER_GUARD_IMPL(HPU, Guard)

// Random numbers are those of the host's generator.
struct HPUHooks final : at::HPUHooksInterface {
  explicit HPUHooks(at::HPUHooksArgs) {}
  void init() const override {}
  // Autograd asks for the accelerator, of which LibTorch allows one.
  bool isBuilt() const override { return counted_device_has_gradients(); }
  bool isAvailable() const override { return isBuilt(); }
  bool hasHPU() const override { return isBuilt(); }
  bool hasPrimaryContext(at::DeviceIndex) const override { return true; }
  at::DeviceIndex deviceCount() const override { return 1; }
  at::DeviceIndex getCurrentDevice() const override { return 0; }
  const at::Generator& getDefaultGenerator(at::DeviceIndex) const override {
    return at::globalContext().defaultGenerator(c10::kCPU);
  }
};

}  // namespace
}  // namespace previt::test

namespace at {
using previt::test::HPUHooks;  // LibTorch looks for this name
REGISTER_HPU_HOOKS(HPUHooks)
}  // namespace at

namespace previt::test {

at::Device counted_device() { return kDevice; }

bool counted_device_has_gradients() { return !at::detail::getCUDAHooks().isBuilt(); }

}  // namespace previt::test
