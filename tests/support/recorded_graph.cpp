#include "support/recorded_graph.h"

#include <ATen/ATen.h>
#include <ATen/core/LegacyTypeDispatch.h>

#include <cstring>
#include <optional>
#include <set>
#include <vector>

#include "error.h"
#include "support/counted_device.h"
#include "support/device_work.h"

namespace previt::test {
namespace {

GraphCounts all;

using Storages = std::set<const c10::StorageImpl*>;

/// A tensor of a recording: the graph owns memory that was taken in it, no other.
class Operand {
 public:
  Operand(const at::Tensor& tensor, const Storages& own)
      : storage_(tensor.storage().getWeakStorageImpl()),
        sizes_(tensor.sizes().vec()),
        strides_(tensor.strides().vec()),
        offset_(tensor.storage_offset()),
        type_(tensor.dtype()) {
    if (tensor.is_cpu()) {  // a launch takes its value
      number_ = tensor.clone();
      number_.unsafeGetTensorImpl()->set_wrapped_number(
          tensor.unsafeGetTensorImpl()->is_wrapped_number());
    }
    if (own.contains(tensor.storage().unsafeGetStorageImpl())) kept_ = tensor.storage();
  }

  at::Tensor tensor() const {
    if (number_.defined()) return number_;
    auto storage = storage_.lock();
    require(storage.defined(), "a graph uses memory that is freed");
    at::Tensor again = at::detail::make_tensor<c10::TensorImpl>(
        c10::Storage(std::move(storage)), c10::DispatchKeySet(c10::DispatchKey::HPU), type_);
    again.unsafeGetTensorImpl()->set_sizes_and_strides(sizes_, strides_, offset_);
    return again;
  }

 private:
  c10::weak_intrusive_ptr<c10::StorageImpl> storage_;
  std::optional<c10::Storage> kept_;
  std::vector<int64_t> sizes_, strides_;
  int64_t offset_;
  caffe2::TypeMeta type_;
  at::Tensor number_;
};

/// An argument or a result, with its tensors as operands.
class Value {
 public:
  Value(const c10::IValue& value, const Storages& own) : value_(value) {
    const auto add = [&](const at::Tensor& tensor) {
      operands_.push_back(tensor.defined() ? std::optional(Operand(tensor, own)) : std::nullopt);
    };
    if (value.isTensor()) add(value.toTensor());
    if (value.isTensorList()) {
      for (const at::Tensor& tensor : value.toTensorVector()) add(tensor);
    }
    if (value.isOptionalTensorList()) {
      optional_ = true;
      for (const std::optional<at::Tensor> one : value.toOptionalTensorList()) {
        add(one.value_or(at::Tensor()));
      }
    }
    list_ = !value.isTensor();
    if (!operands_.empty()) value_ = {};
  }

  c10::IValue value() const {
    if (operands_.empty()) return value_;
    const std::vector<at::Tensor> all_of = tensors();
    if (!list_) return all_of.front();
    if (!optional_) return c10::List<at::Tensor>(all_of);
    c10::List<std::optional<at::Tensor>> list;
    for (const at::Tensor& tensor : all_of) {
      list.push_back(tensor.defined() ? std::optional(tensor) : std::nullopt);
    }
    return list;
  }

  std::vector<at::Tensor> tensors() const {
    std::vector<at::Tensor> made;
    for (const auto& operand : operands_)
      made.push_back(operand ? operand->tensor() : at::Tensor());
    return made;
  }

 private:
  c10::IValue value_;
  std::vector<std::optional<Operand>> operands_;
  bool list_ = false, optional_ = false;
};

std::vector<at::Tensor> tensors_of(const torch::jit::Stack& stack) {
  std::vector<at::Tensor> tensors;
  for (const c10::IValue& value : stack) {
    for (const at::Tensor& tensor : Value(value, {}).tensors()) {
      if (tensor.defined()) tensors.push_back(tensor);
    }
  }
  return tensors;
}

class RecordedGraph final : public DeviceGraph, private DeviceListener {
 public:
  void rehearse(const std::function<void()>& work) override { work(); }

  void record(const std::function<void()>& work) override {
    ++all.recordings;
    set_device_listener(this);
    try {
      work();
    } catch (...) {
      set_device_listener(nullptr);
      throw;
    }
    set_device_listener(nullptr);
    for (const c10::Storage& memory : made_) {
      std::memset(memory.mutable_data(), 0xff, memory.nbytes());
    }
  }

  void replay() override {
    ++all.replays;
    const at::AutoDispatchBelowADInplaceOrView below;
    for (const Launch& launch : launches_) {
      torch::jit::Stack stack;
      for (const Value& argument : launch.arguments) stack.push_back(argument.value());
      launch.op.callBoxed(stack);
      const std::vector<at::Tensor> again = tensors_of(stack);
      size_t next = 0;
      for (const Value& result : launch.results) {
        for (const at::Tensor& tensor : result.tensors()) {
          if (!tensor.defined()) continue;
          const at::Tensor& now = again.at(next++);
          if (now.data_ptr() != tensor.data_ptr()) tensor.copy_(now);
        }
      }
    }
  }

 private:
  struct Launch {
    c10::OperatorHandle op;
    std::vector<Value> arguments, results;
  };

  void launched(const c10::OperatorHandle& op,
                const torch::jit::Stack& arguments,
                const torch::jit::Stack& results) override {
    Storages before = own_;
    for (const at::Tensor& tensor : tensors_of(arguments)) {
      before.insert(tensor.storage().unsafeGetStorageImpl());
    }
    for (const at::Tensor& tensor : tensors_of(results)) {
      if (!before.contains(tensor.storage().unsafeGetStorageImpl())) made(tensor);
    }
    add(op, arguments, results);
  }

  void copied(const at::Tensor& from, const at::Tensor& to) override {
    static const c10::OperatorHandle op =
        c10::Dispatcher::singleton().findSchemaOrThrow("aten::_copy_from", "");
    add(op, {from, to, false}, {});
  }

  void made(const at::Tensor& tensor) override {
    own_.insert(tensor.storage().unsafeGetStorageImpl());
    made_.push_back(tensor.storage());
  }

  void passes_host(const std::string& name) override { fail("{}: can't be recorded", name); }

  void add(const c10::OperatorHandle& op,
           const torch::jit::Stack& arguments,
           const torch::jit::Stack& results) {
    Launch launch{op, {}, {}};
    for (const c10::IValue& value : arguments) launch.arguments.emplace_back(value, own_);
    for (const c10::IValue& value : results) launch.results.emplace_back(value, own_);
    launches_.push_back(std::move(launch));
  }

  std::vector<Launch> launches_;
  std::vector<c10::Storage> made_;  // all stay, so that no other memory gets their address
  Storages own_;
};

}  // namespace

DeviceGraphMaker recorded_graphs() {
  return [](at::Device device) -> std::unique_ptr<DeviceGraph> {
    if (device != counted_device()) return nullptr;
    return std::make_unique<RecordedGraph>();
  };
}

GraphCounts graph_counts() { return all; }

}  // namespace previt::test
