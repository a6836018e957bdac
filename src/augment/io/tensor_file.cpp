#include "augment/io/tensor_file.h"

#include <torch/types.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "augment/io/hdf5_output.h"
#include "unfinished_file.h"
#include "utf8.h"

namespace previt {
namespace {

constexpr int64_t kChunkBytes = 1 << 20;  // of a dataset that grows

hid_t stored_type(at::ScalarType type, const std::string& what) {
  switch (type) {
    case at::kFloat:
      return H5T_NATIVE_FLOAT;
    case at::kLong:
      return H5T_NATIVE_INT64;
    case at::kByte:
      return H5T_NATIVE_UINT8;
    default:
      fail("{}: tensors of type {} are not stored", what, at::toString(type));
  }
}

at::ScalarType tensor_type(hid_t type, const std::string& what) {
  if (H5Tequal(type, H5T_NATIVE_FLOAT) > 0) return at::kFloat;
  if (H5Tequal(type, H5T_NATIVE_INT64) > 0) return at::kLong;
  if (H5Tequal(type, H5T_NATIVE_UINT8) > 0) return at::kByte;
  fail("{}: not a tensor that was written here", what);
}

std::vector<hsize_t> shape_of(const at::Tensor& tensor) {
  return {tensor.sizes().begin(), tensor.sizes().end()};
}

H5Handle text_type(const std::string& what) {
  H5Handle type(H5Tcopy(H5T_C_S1), H5Tclose, what);
  H5Tset_size(type, H5T_VARIABLE);
  H5Tset_cset(type, H5T_CSET_UTF8);
  return type;
}

// Creates the folders in a name as needed.
H5Handle link_list(const std::string& what) {
  H5Handle list(H5Pcreate(H5P_LINK_CREATE), H5Pclose, what);
  H5Pset_create_intermediate_group(list, 1);
  return list;
}

// Without times, so that the same contents are the same file.
H5Handle dataset_list(const std::string& what) {
  H5Handle list(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, what);
  H5Pset_obj_track_times(list, false);
  return list;
}

H5Handle growing_layout(const at::Tensor& rows, const std::string& what) {
  std::vector<hsize_t> chunk = shape_of(rows);
  const int64_t row_bytes =
      std::max<int64_t>(1, rows.numel() / rows.size(0)) * static_cast<int64_t>(rows.element_size());
  chunk[0] = static_cast<hsize_t>(std::clamp<int64_t>(kChunkBytes / row_bytes, 1, 65536));
  H5Handle list = dataset_list(what);
  require(H5Pset_chunk(list, static_cast<int>(chunk.size()), chunk.data()) >= 0,
          "{}: HDF5 error",
          what);
  return list;
}

}  // namespace

struct TensorFileWriter::Impl {
  explicit Impl(const std::string& to)
      : path(to), unfinished(to), file(unfinished.path(), H5F_ACC_TRUNC, to) {}

  std::string path;
  UnfinishedFile unfinished;  // first, as it outlives the file open in it
  H5Output file;
  std::map<std::string, H5Handle> growing;

  std::string place(const std::string& name) const { return path + ": " + name; }
};

TensorFileWriter::TensorFileWriter(const std::string& path) : impl_(std::make_unique<Impl>(path)) {}

TensorFileWriter::~TensorFileWriter() = default;

void TensorFileWriter::write(const std::string& name, const at::Tensor& tensor) {
  const std::string what = impl_->place(name);
  const at::Tensor values = tensor.detach().cpu().contiguous();
  const hid_t type = stored_type(values.scalar_type(), what);
  const auto shape = shape_of(values);
  const H5Handle links = link_list(what);
  const H5Handle space(
      H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr), H5Sclose, what);
  const H5Handle dataset(
      H5Dcreate2(impl_->file, name.c_str(), type, space, links, dataset_list(what), H5P_DEFAULT),
      H5Dclose,
      what);
  require(values.numel() == 0 ||
              H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.const_data_ptr()) >= 0,
          "{}: HDF5 error",
          what);
  impl_->file.check();
}

void TensorFileWriter::append(const std::string& name, const at::Tensor& rows) {
  const std::string what = impl_->place(name);
  const at::Tensor values = rows.detach().cpu().contiguous();
  if (values.numel() == 0) return;
  const hid_t type = stored_type(values.scalar_type(), what);
  const auto count = shape_of(values);
  const auto rank = static_cast<int>(count.size());
  auto [it, begins] = impl_->growing.try_emplace(name);
  if (begins) {
    std::vector<hsize_t> none = count, unlimited = count;
    none[0] = 0;
    unlimited[0] = H5S_UNLIMITED;
    const H5Handle links = link_list(what), layout = growing_layout(values, what);
    const H5Handle space(H5Screate_simple(rank, none.data(), unlimited.data()), H5Sclose, what);
    it->second = {H5Dcreate2(impl_->file, name.c_str(), type, space, links, layout, H5P_DEFAULT),
                  H5Dclose,
                  what};
  }
  std::vector<hsize_t> start(count.size(), 0), size = count;
  {
    const H5Handle old(H5Dget_space(it->second), H5Sclose, what);
    std::vector<hsize_t> had(count.size());
    require(H5Sget_simple_extent_ndims(old) == rank, "{}: rows of another shape", what);
    H5Sget_simple_extent_dims(old, had.data(), nullptr);
    require(std::equal(had.begin() + 1, had.end(), count.begin() + 1),
            "{}: rows of another shape",
            what);
    start[0] = had[0];
    size[0] = had[0] + count[0];
  }
  require(H5Dset_extent(it->second, size.data()) >= 0, "{}: HDF5 error", what);
  const H5Handle all(H5Dget_space(it->second), H5Sclose, what);
  const H5Handle memory(H5Screate_simple(rank, count.data(), nullptr), H5Sclose, what);
  H5Sselect_hyperslab(all, H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr);
  require(H5Dwrite(it->second, type, memory, all, H5P_DEFAULT, values.const_data_ptr()) >= 0,
          "{}: HDF5 error",
          what);
  impl_->file.check();
}

void TensorFileWriter::write_texts(const std::string& name, const std::vector<std::string>& texts) {
  const std::string what = impl_->place(name);
  std::vector<std::string> safe;
  for (const std::string& text : texts) safe.push_back(utf8_or_escaped(text));
  std::vector<const char*> pointers;
  for (const std::string& text : safe) pointers.push_back(text.c_str());
  const hsize_t count = texts.size();
  const H5Handle type = text_type(what), links = link_list(what);
  const H5Handle space(H5Screate_simple(1, &count, nullptr), H5Sclose, what);
  const H5Handle dataset(
      H5Dcreate2(impl_->file, name.c_str(), type, space, links, dataset_list(what), H5P_DEFAULT),
      H5Dclose,
      what);
  require(
      count == 0 || H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data()) >= 0,
      "{}: HDF5 error",
      what);
  impl_->file.check();
}

void TensorFileWriter::describe(const std::string& name, const std::string& text) {
  h5_write_text(impl_->file, name.c_str(), text, impl_->path);
}

void TensorFileWriter::finish() {
  impl_->growing.clear();
  impl_->file.close();
  impl_->unfinished.finish();
}

struct TensorFileReader::Impl {
  std::string path;
  H5Handle file;
  std::string place(const std::string& name) const { return path + ": " + name; }
  H5Handle open(const std::string& name) const {
    const hid_t dataset = H5Dopen2(file, name.c_str(), H5P_DEFAULT);
    require(dataset >= 0, "{}: has no {}", path, name);
    return {dataset, H5Dclose, place(name)};
  }
};

TensorFileReader::TensorFileReader(const std::string& path) : impl_(std::make_unique<Impl>()) {
  impl_->path = path;
  impl_->file = h5_open(path, "not an HDF5 file that can be read");
}

TensorFileReader::~TensorFileReader() = default;

bool TensorFileReader::has(const std::string& name) const {
  return H5Lexists(impl_->file, name.c_str(), H5P_DEFAULT) > 0;
}

at::Tensor TensorFileReader::read(const std::string& name) const {
  const std::string what = impl_->place(name);
  const H5Handle dataset = impl_->open(name);
  const H5Handle space(H5Dget_space(dataset), H5Sclose, what);
  const H5Handle type(H5Dget_type(dataset), H5Tclose, what);
  const at::ScalarType stored = tensor_type(type, what);
  std::vector<hsize_t> shape(static_cast<size_t>(std::max(0, H5Sget_simple_extent_ndims(space))));
  H5Sget_simple_extent_dims(space, shape.data(), nullptr);
  // Only for its Error: a damaged shape could ask for any amount of memory.
  h5_stored_count(dataset, c10::elementSize(stored), what);
  at::Tensor values = torch::empty(std::vector<int64_t>(shape.begin(), shape.end()), stored);
  require(values.numel() == 0 || H5Dread(dataset,
                                         stored_type(stored, what),
                                         H5S_ALL,
                                         H5S_ALL,
                                         H5P_DEFAULT,
                                         values.mutable_data_ptr()) >= 0,
          "{}: HDF5 error",
          what);
  return values;
}

std::string TensorFileReader::description(const std::string& name) const {
  return h5_read_text(impl_->file, name.c_str(), impl_->path);
}

}  // namespace previt
