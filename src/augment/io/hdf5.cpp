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

}  // namespace

size_t h5_stored_count(hid_t dataset, size_t value_bytes, const std::string& what) {
  const H5Handle space(H5Dget_space(dataset), H5Sclose, what);
  const H5Handle file(H5Iget_file_id(dataset), H5Fclose, what);
  hsize_t file_bytes = 0;
  require(H5Fget_filesize(file, &file_bytes) >= 0, "{}: HDF5 error", what);
  const hsize_t stored = std::min(H5Dget_storage_size(dataset), file_bytes);
  const hssize_t count = H5Sget_simple_extent_npoints(space);
  require(count >= 0 && static_cast<hsize_t>(count) <= stored / value_bytes, "{}: damaged", what);
  return static_cast<size_t>(count);
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
  const hssize_t bytes = H5Sget_simple_extent_npoints(space);
  require(bytes > 0 && static_cast<hsize_t>(bytes) <= H5Aget_storage_size(attribute),
          "{}: damaged",
          what);
  std::string text(static_cast<size_t>(bytes), '\0');
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
