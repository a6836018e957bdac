#pragma once

#include <sys/resource.h>

#include <csignal>
#include <cstdint>

namespace previt::test {

/// While it lives, no file of this process grows beyond so many bytes, as on a full disk. SIGXFSZ
/// is ignored, so that a write fails instead of ending the process.
class FullDisk {
 public:
  explicit FullDisk(int64_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit small = before_;
    small.rlim_cur = static_cast<rlim_t>(bytes);
    ::setrlimit(RLIMIT_FSIZE, &small);
  }
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  void (*handler_)(int);
  rlimit before_{};
};

}  // namespace previt::test
