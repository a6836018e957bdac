#pragma once

#include <string>

#include "augment/io/hdf5.h"

namespace previt {

/// NOTE [Full disks]
/// HDF5 can't cope with a file that can't be written. A failed close leaves the file half open, and
/// at the end of the program the library closes it again and crashes. So files are written through
/// a driver that hides a failed write, and all writes after it, from the library. Callers must ask
/// check() after each piece and at the end: what wasn't checked may be missing from the file.
class H5Output {
 public:
  H5Output() = default;
  /// Creates the file (H5F_ACC_TRUNC, H5F_ACC_EXCL) or opens it (H5F_ACC_RDWR). `access` holds
  /// further properties, or is H5P_DEFAULT. Throws Error led by `place`.
  H5Output(const std::string& path,
           unsigned flags,
           const std::string& place,
           hid_t access = H5P_DEFAULT);

  operator hid_t() const { return file_; }
  /// Throws Error with the reason if something could not be written.
  void check() const;
  /// Brings everything to the disk and closes the file. Throws Error if that fails.
  void close();

 private:
  H5Handle file_;
  std::string place_;
  int descriptor_ = -1;
};

}  // namespace previt
