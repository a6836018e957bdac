#pragma once

// What LibTorch's c10d/ProcessGroupGloo.hpp names of gloo. Gloo itself is inside libtorch_cpu.so,
// but no LibTorch ships its headers. Only declarations, so that nothing here depends on how gloo's
// classes are laid out: they are all held by pointers, and made and called inside LibTorch.
// c10d's store for gloo is never made here, so its table of functions isn't emitted either.

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace gloo {

class Context {
 public:
  void setTimeout(std::chrono::milliseconds timeout);
};

namespace transport {
class Device;
class UnboundBuffer;
}  // namespace transport

namespace rendezvous {

class Store {
 public:
  virtual ~Store() = default;
  virtual void set(const std::string& key, const std::vector<char>& value) = 0;
  virtual std::vector<char> get(const std::string& key) = 0;
  virtual void wait(const std::vector<std::string>& keys) = 0;
  virtual void wait(const std::vector<std::string>& keys,
                    const std::chrono::milliseconds& timeout) = 0;
};

}  // namespace rendezvous
}  // namespace gloo
