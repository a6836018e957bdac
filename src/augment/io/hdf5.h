#pragma once

#include <hdf5.h>

#include <string>
#include <utility>
#include <vector>

#include "error.h"

namespace previt {

/// Owns a handle of the HDF5 library and closes it. Throws Error led by `what` for an invalid one.
class H5Handle {
 public:
  H5Handle() = default;
  H5Handle(hid_t id, herr_t (*close)(hid_t), const std::string& what) : id_(id), close_(close) {
    require(id >= 0, "{}: HDF5 error", what);
  }
  H5Handle(H5Handle&& other) noexcept { *this = std::move(other); }
  H5Handle& operator=(H5Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~H5Handle() { close(); }

  /// False if the library could not close it.
  bool close() {
    const hid_t id = std::exchange(id_, -1);
    return id < 0 || close_(id) >= 0;
  }
  operator hid_t() const { return id_; }

 private:
  hid_t id_ = -1;
  herr_t (*close_)(hid_t) = nullptr;
};

/// The HDF5 type of T, which files store little-endian.
template <class T>
hid_t h5_type();
template <>
inline hid_t h5_type<uint8_t>() {
  return H5T_NATIVE_UINT8;
}
template <>
inline hid_t h5_type<int32_t>() {
  return H5T_NATIVE_INT32;
}
template <>
inline hid_t h5_type<int64_t>() {
  return H5T_NATIVE_INT64;
}
template <>
inline hid_t h5_type<uint64_t>() {
  return H5T_NATIVE_UINT64;
}

/// Keeps the library from printing its errors: ours are one line.
inline void h5_quiet() { H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); }

/// How a file is opened: without a lock of the library's. Many may read what nobody writes, and what
/// is written is an UnfinishedFile, which has its own.
H5Handle h5_access(const std::string& place);

/// Opens a file to read it. Throws Error with `reason`, led by `path`.
H5Handle h5_open(const std::string& path, const char* reason);

/// How many values of `value_bytes` bytes a dataset has. Throws Error led by `what` if its header
/// claims more values than are stored: the library would follow such damage past its buffers.
size_t h5_stored_count(hid_t dataset, size_t value_bytes, const std::string& what);

/// Read and write an attribute of an object: a whole number, or text as UTF-8. Throw Error led by
/// `place`.
int64_t h5_read_number(hid_t object, const char* name, const std::string& place);
void h5_write_number(hid_t object, const char* name, int64_t value, const std::string& place);
std::string h5_read_text(hid_t object, const char* name, const std::string& place);
void h5_write_text(hid_t object,
                   const char* name,
                   const std::string& text,
                   const std::string& place);

/// All values of a one-dimensional dataset. Throws Error led by `place`.
template <class T>
std::vector<T> h5_read_all(hid_t file, const char* name, const std::string& place) {
  const std::string what = place + ": " + name;
  const H5Handle dataset(H5Dopen2(file, name, H5P_DEFAULT), H5Dclose, what);
  std::vector<T> values(h5_stored_count(dataset, sizeof(T), what));
  require(values.empty() ||
              H5Dread(dataset, h5_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0,
          "{}: HDF5 error",
          what);
  return values;
}

}  // namespace previt
