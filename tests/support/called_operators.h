#pragma once

#include <ATen/record_function.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace previt::test {

/// Counts the operators of LibTorch that this thread calls while it lives, by name ("aten::lerp_"),
/// without those that an operator calls in turn. One at a time.
class CalledOperators {
 public:
  CalledOperators()
      : callback_(at::addThreadLocalCallback(at::RecordFunctionCallback(&begin, &end))) {
    state() = {};
  }
  ~CalledOperators() { at::removeCallback(callback_); }
  CalledOperators(const CalledOperators&) = delete;
  CalledOperators& operator=(const CalledOperators&) = delete;

  int64_t count(const std::string& name) const {
    const auto found = state().counts.find(name);
    return found == state().counts.end() ? 0 : found->second;
  }

 private:
  struct State {
    int64_t depth = 0;
    std::map<std::string, int64_t> counts = {};
  };
  static State& state() {
    static thread_local State one;
    return one;
  }
  static std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& function) {
    if (state().depth++ == 0) ++state().counts[function.name()];
    return nullptr;
  }
  static void end(const at::RecordFunction&, at::ObserverContext*) { --state().depth; }

  at::CallbackHandle callback_;
};

}  // namespace previt::test
