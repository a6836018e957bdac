#pragma once

#include <string>

#include "augment/io/hdf5.h"

namespace previt {

/// NOTE [Full disks]
/// HDF5 can't live with a file that can't be written: a close that fails leaves it half open, and
/// the library closes it again when the program ends, and crashes. So its files are written through
/// a driver that keeps a failed write, and those after it, to itself. Whoever writes asks check(),
/// after each piece and at the end: what wasn't asked about may not be in the file.
class H5Output {
 public:
  H5Output() = default;
  /// Creates the file (H5F_ACC_TRUNC, H5F_ACC_EXCL) or opens it (H5F_ACC_RDWR). Errors are led by
  /// `place`. `access`: further properties, or H5P_DEFAULT.
  H5Output(const std::string& path,
           unsigned flags,
           const std::string& place,
           hid_t access = H5P_DEFAULT);

  operator hid_t() const { return file_; }
  /// Throws Error with the reason if something could not be written.
  void check() const;
  /// Everything is on the disk, or Error.
  void close();

 private:
  H5Handle file_;
  std::string place_;
  int descriptor_ = -1;
};

}  // namespace previt
