#include "augment/io/hdf5_output.h"

#if __has_include(<H5FDdevelop.h>)
#include <H5FDdevelop.h>
#endif
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>

namespace previt {
namespace {

const H5FD_class_t* usual = nullptr;  // the library's own driver, which does the work

std::mutex mutex;
std::map<int, int> failures;  // by descriptor: why the first write failed, 0 if none did

int descriptor_of(H5FD_t* file) {
  void* descriptor = nullptr;
  usual->get_handle(file, H5P_DEFAULT, &descriptor);
  return *static_cast<int*>(descriptor);
}

int failure_of(int descriptor) {
  const std::lock_guard lock(mutex);
  return failures[descriptor];
}

void set_failure(int descriptor, int reason) {
  const std::lock_guard lock(mutex);
  failures[descriptor] = reason;
}

H5FD_t* open(const char* name, unsigned flags, hid_t access, haddr_t most) {
  H5FD_t* file = usual->open(name, flags, access, most);
  if (file != nullptr) set_failure(descriptor_of(file), 0);
  return file;
}

/// Runs `work`, unless something has failed before, and keeps the reason if it fails. The library
/// always hears of success.
template <class Work>
herr_t attempt(int descriptor, const Work& work) {
  if (failure_of(descriptor) != 0) return 0;
  errno = 0;
  if (work() < 0) set_failure(descriptor, errno == 0 ? EIO : errno);
  return 0;
}

herr_t write(
    H5FD_t* file, H5FD_mem_t type, hid_t transfer, haddr_t at, size_t size, const void* data) {
  return attempt(descriptor_of(file),
                 [&] { return usual->write(file, type, transfer, at, size, data); });
}

herr_t truncate(H5FD_t* file, hid_t transfer, hbool_t closing) {
  return attempt(descriptor_of(file), [&] { return usual->truncate(file, transfer, closing); });
}

herr_t close(H5FD_t* file) {
  const int descriptor = descriptor_of(file);
  errno = 0;
  if (usual->close(file) < 0 && failure_of(descriptor) == 0) {
    set_failure(descriptor, errno == 0 ? EIO : errno);
  }
  return 0;
}

hid_t register_driver() {
  // The only way to the library's own driver is a file that it has open.
  const H5Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "HDF5");
  H5Pset_fapl_sec2(access);
  H5FD_t* file = H5FDopen("/dev/null", H5F_ACC_RDONLY, access, HADDR_UNDEF);
  require(file != nullptr, "/dev/null: HDF5 can't open it");
  usual = file->cls;
  H5FDclose(file);
  static H5FD_class_t driver = *usual;
  driver.name = "previt";
  driver.terminate = nullptr;
  driver.open = open;
  driver.write = write;
  driver.truncate = truncate;
  driver.close = close;
  return H5FDregister(&driver);
}

}  // namespace

H5Output::H5Output(const std::string& path, unsigned flags, const std::string& place, hid_t access)
    : place_(place) {
  h5_quiet();
  static const hid_t driver = register_driver();
  const H5Handle properties =
      access == H5P_DEFAULT ? h5_access(place) : H5Handle(H5Pcopy(access), H5Pclose, place);
  require(H5Pset_driver(properties, driver, nullptr) >= 0, "{}: HDF5 error", place);
  errno = 0;
  const hid_t file = flags == H5F_ACC_RDWR
                         ? H5Fopen(path.c_str(), flags, properties)
                         : H5Fcreate(path.c_str(), flags, H5P_DEFAULT, properties);
  require(file >= 0 || errno != 0, "{}: not an HDF5 file that can be written", place);
  require_system(file >= 0, place);
  file_ = {file, H5Fclose, place};
  void* descriptor = nullptr;
  require(H5Fget_vfd_handle(file_, H5P_DEFAULT, &descriptor) >= 0, "{}: HDF5 error", place);
  descriptor_ = *static_cast<int*>(descriptor);
}

void H5Output::check() const {
  const int reason = failure_of(descriptor_);
  require(reason == 0, "{}: {}", place_, std::strerror(reason));
}

void H5Output::close() {
  require(H5Fflush(file_, H5F_SCOPE_GLOBAL) >= 0, "{}: HDF5 error", place_);
  check();
  require_system(::fsync(descriptor_) == 0, place_);
  require(file_.close(), "{}: HDF5 error", place_);
  check();
}

}  // namespace previt
