#include "augment/io/tiff_file.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "error.h"

namespace previt {
namespace {

// libtiff reports errors per process, not per file; each thread keeps its own last one.
thread_local char last_error[160];

void keep_error(const char*, const char* format, va_list arguments) {
  std::vsnprintf(last_error, sizeof last_error, format, arguments);
}

void take_errors() {
  static const bool taken = [] {
    TIFFSetErrorHandler(keep_error);
    TIFFSetWarningHandler(nullptr);
    return true;
  }();
  static_cast<void>(taken);
  std::snprintf(last_error, sizeof last_error, "cut short or not a TIFF");
}

/// Lets libtiff read a file from memory.
struct FileInMemory {
  Bytes file;
  uint64_t at = 0;

  static FileInMemory& of(thandle_t handle) { return *static_cast<FileInMemory*>(handle); }
  static tmsize_t read(thandle_t handle, void* to, tmsize_t size) {
    FileInMemory& stream = of(handle);
    const Bytes left = stream.file.from(stream.at);
    const size_t count = std::min(left.size, static_cast<size_t>(size));
    if (count > 0) std::memcpy(to, left.data, count);
    stream.at += count;
    return static_cast<tmsize_t>(count);
  }
  static tmsize_t write(thandle_t, void*, tmsize_t) { return 0; }
  static toff_t seek(thandle_t handle, toff_t offset, int whence) {
    FileInMemory& stream = of(handle);
    if (whence == SEEK_CUR) offset += stream.at;
    if (whence == SEEK_END) offset += stream.file.size;
    return stream.at = offset;
  }
  static int close(thandle_t handle) {
    delete &of(handle);
    return 0;
  }
  static toff_t size(thandle_t handle) { return of(handle).file.size; }
};

}  // namespace

Tiff open_tiff(Bytes file) {
  take_errors();
  std::unique_ptr<FileInMemory> stream(new FileInMemory{file});
  Tiff tiff(TIFFClientOpen("",
                           "rm",
                           stream.get(),
                           FileInMemory::read,
                           FileInMemory::write,
                           FileInMemory::seek,
                           FileInMemory::close,
                           FileInMemory::size,
                           nullptr,
                           nullptr));
  require_tiff(tiff != nullptr);
  stream.release();  // TIFFClose deletes it
  return tiff;
}

uint16_t tiff_value(TIFF* tiff, uint32_t tag) {
  uint16_t value = 0;
  TIFFGetFieldDefaulted(tiff, tag, &value);
  return value;
}

void require_tiff(bool went_well) { require(went_well, "damaged TIFF ({})", last_error); }

}  // namespace previt
