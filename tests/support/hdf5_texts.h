#pragma once

#include <string>
#include <vector>

#include "augment/io/hdf5.h"

namespace previt {

/// Reads a list of texts from an HDF5 file. It is here because no program reads one back.
inline std::vector<std::string> hdf5_texts(const std::string& path, const std::string& name) {
  const H5Handle file = h5_open(path, "can't be opened");
  const H5Handle dataset(H5Dopen2(file, name.c_str(), H5P_DEFAULT), H5Dclose, path);
  const H5Handle space(H5Dget_space(dataset), H5Sclose, path);
  const H5Handle type(H5Dget_type(dataset), H5Tclose, path);
  require(H5Tis_variable_str(type) > 0, "{}: {}: no list of texts", path, name);
  std::vector<char*> pointers(static_cast<size_t>(H5Sget_simple_extent_npoints(space)));
  std::vector<std::string> texts;
  if (pointers.empty()) return texts;
  require(H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data()) >= 0,
          "{}: HDF5 error",
          path);
  for (const char* text : pointers) texts.emplace_back(text);
  H5Dvlen_reclaim(type, space, H5P_DEFAULT, pointers.data());
  return texts;
}

}  // namespace previt
