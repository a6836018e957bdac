#include "augment/io/hdf5.h"

#include <algorithm>

#include "utf8.h"

namespace previt {
namespace {

/// Text attributes are arrays of bytes: no string types to get wrong.
H5Handle open_attribute(hid_t object, const char* name, const std::string& place) {
  return {H5Aopen(object, name, H5P_DEFAULT), H5Aclose, place + ": " + name};
}

void write_attribute(hid_t object,
                     const char* name,
                     hid_t type,
                     hsize_t count,
                     const void* data,
                     const std::string& place) {
  const std::string what = place + ": " + name;
  H5Handle attribute;
  if (H5Aexists(object, name) > 0) {
    attribute = open_attribute(object, name, place);
  } else {
    const H5Handle space(H5Screate_simple(1, &count, nullptr), H5Sclose, what);
    attribute = {H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose, what};
  }
  require(H5Awrite(attribute, type, data) >= 0, "{}: HDF5 error", what);
}

/// How many values of `value_bytes` bytes an object has. Throws Error if that is more than the
/// `stored` bytes of it, or than its whole file could hold.
size_t checked_count(
    hid_t object, hid_t space, hsize_t stored, size_t value_bytes, const std::string& what) {
  const H5Handle file(H5Iget_file_id(object), H5Fclose, what);
  hsize_t file_bytes = 0;
  require(H5Fget_filesize(file, &file_bytes) >= 0, "{}: HDF5 error", what);
  const hssize_t count = H5Sget_simple_extent_npoints(space);
  require(count >= 0 && static_cast<hsize_t>(count) <= std::min(stored, file_bytes) / value_bytes,
          "{}: damaged",
          what);
  return static_cast<size_t>(count);
}

}  // namespace

H5Handle h5_access(const std::string& place) {
  H5Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, place);
#if H5_VERSION_GE(1, 12, 1) || (H5_VERSION_GE(1, 10, 7) && !H5_VERSION_GE(1, 12, 0))
  require(H5Pset_file_locking(access, false, true) >= 0, "{}: HDF5 error", place);
#endif
  return access;
}

H5Handle h5_open(const std::string& path, const char* reason) {
  h5_quiet();
  const H5Handle access = h5_access(path);
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, access);
  require(file >= 0, "{}: {}", path, reason);
  return {file, H5Fclose, path};
}

size_t h5_stored_count(hid_t dataset, size_t value_bytes, const std::string& what) {
  const H5Handle space(H5Dget_space(dataset), H5Sclose, what);
  return checked_count(dataset, space, H5Dget_storage_size(dataset), value_bytes, what);
}

int64_t h5_read_number(hid_t object, const char* name, const std::string& place) {
  const H5Handle attribute = open_attribute(object, name, place);
  int64_t value = 0;
  require(H5Aread(attribute, H5T_NATIVE_INT64, &value) >= 0, "{}: {}: HDF5 error", place, name);
  return value;
}

void h5_write_number(hid_t object, const char* name, int64_t value, const std::string& place) {
  write_attribute(object, name, H5T_NATIVE_INT64, 1, &value, place);
}

std::string h5_read_text(hid_t object, const char* name, const std::string& place) {
  const H5Handle attribute = open_attribute(object, name, place);
  const std::string what = place + ": " + name;
  const H5Handle space(H5Aget_space(attribute), H5Sclose, what);
  std::string text(checked_count(attribute, space, H5Aget_storage_size(attribute), 1, what), '\0');
  require(!text.empty(), "{}: damaged", what);
  require(H5Aread(attribute, H5T_NATIVE_UINT8, text.data()) >= 0, "{}: HDF5 error", what);
  text.pop_back();
  return text;
}

void h5_write_text(hid_t object,
                   const char* name,
                   const std::string& text,
                   const std::string& place) {
  const std::string safe = utf8_or_escaped(text);
  write_attribute(object, name, H5T_NATIVE_UINT8, safe.size() + 1, safe.c_str(), place);
}

}  // namespace previt
