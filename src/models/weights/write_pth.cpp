#include "models/weights/write_pth.h"

#include <caffe2/serialize/inline_container.h>
#include <fcntl.h>
#include <torch/csrc/jit/serialization/pickler.h>
#include <torch/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "error.h"
#include "unfinished_file.h"

namespace previt {
namespace {

using nlohmann::json;

c10::impl::GenericDict empty_dict() {
  return c10::impl::GenericDict(c10::StringType::get(), c10::AnyType::get());
}

c10::IValue plain_value(const json& value) {
  switch (value.type()) {
    case json::value_t::boolean:
      return value.get<bool>();
    case json::value_t::number_integer:
    case json::value_t::number_unsigned:
      return value.get<int64_t>();
    case json::value_t::number_float:
      return value.get<double>();
    case json::value_t::string:
      return value.get<std::string>();
    case json::value_t::array: {
      c10::impl::GenericList list(c10::AnyType::get());
      for (const json& item : value) list.push_back(plain_value(item));
      return list;
    }
    case json::value_t::object: {
      auto dict = empty_dict();
      for (const auto& [key, item] : value.items()) dict.insert(key, plain_value(item));
      return dict;
    }
    default:
      return {};
  }
}

// Alone in its memory, all of which is written.
at::Tensor alone(const at::Tensor& tensor) {
  const at::Tensor plain = tensor.detach().to(at::kCPU).contiguous();
  return plain.storage().nbytes() == plain.nbytes() ? plain : plain.clone();
}

c10::IValue state_dict(const NamedTensors& tensors) {
  auto dict = empty_dict();
  for (const auto& [name, tensor] : tensors) dict.insert(name, alone(tensor));
  return dict;
}

// LibTorch's pickle_save() isn't used, because it tags dicts with types of TorchScript, which
// torch.load refuses with weights_only.
struct Pickled {
  std::string bytes;
  std::vector<at::Tensor> tensors;  // in the order of their keys, from 0
};

Pickled pickled(const c10::IValue& value) {
  Pickled made;
  torch::jit::Pickler pickler([&](const char* data, size_t size) { made.bytes.append(data, size); },
                              /*tensor_table=*/nullptr,
                              /*type_renamer=*/nullptr,
                              /*memoized_class_types=*/nullptr,
                              /*get_tensor_id=*/nullptr,
                              /*tag_aggregates=*/false);
  pickler.protocol();
  pickler.pushIValue(value);
  pickler.stop();
  made.tensors = pickler.tensorData();
  return made;
}

// Returns the error number of the first write that failed, or 0. The writer is not told: it ends its
// file in its destructor, where a second failure would end the program.
int write_archive(const Pickled& made, std::FILE* file) {
  int error = 0;
  const auto append = [&](const void* data, size_t size) {
    if (error == 0 && std::fwrite(data, 1, size, file) != size) error = errno;
    return size;
  };
  caffe2::serialize::PyTorchStreamWriter archive(append);
  archive.writeRecord("data.pkl", made.bytes.data(), made.bytes.size());
  for (size_t i = 0; i < made.tensors.size(); ++i) {
    const at::Tensor& tensor = made.tensors[i];
    archive.writeRecord("data/" + std::to_string(i), tensor.const_data_ptr(), tensor.nbytes());
  }
  archive.writeEndOfFile();
  return error;
}

}  // namespace

void write_pth(const std::string& path,
               const std::map<std::string, NamedTensors>& dicts,
               const json& args) {
  auto root = empty_dict();
  for (const auto& [key, tensors] : dicts) root.insert(key, state_dict(tensors));
  if (!args.is_null()) root.insert("args", plain_value(args));
  const auto bare = dicts.find("");
  const Pickled made = pickled(bare == dicts.end() ? c10::IValue(root) : state_dict(bare->second));

  UnfinishedFile unfinished(path);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
      std::fopen(unfinished.path().c_str(), "wb"), &std::fclose);
  require_system(file != nullptr, path);
  const int error = write_archive(made, file.get());
  require(error == 0, "{}: {}", path, std::strerror(error));
  const bool flushed = std::fflush(file.get()) == 0 && ::fsync(::fileno(file.get())) == 0;
  require_system(flushed, path);
  unfinished.finish();
}

}  // namespace previt
