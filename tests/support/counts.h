#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace previt::test {

/// How often things happened, by name, in all threads.
class Counts {
 public:
  void add(const std::string& name) {
    const std::lock_guard lock(mutex_);
    ++counts_[name];
  }
  std::map<std::string, int64_t> now() const {
    const std::lock_guard lock(mutex_);
    return counts_;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, int64_t> counts_;
};

/// What was added to `all` since this was made.
class CountsSince {
 public:
  explicit CountsSince(const Counts& all) : all_(all), before_(all.now()) {}

  std::map<std::string, int64_t> counts() const {
    std::map<std::string, int64_t> more;
    for (const auto& [name, times] : all_.now()) {
      const auto earlier = before_.find(name);
      const int64_t since = times - (earlier == before_.end() ? 0 : earlier->second);
      if (since > 0) more[name] = since;
    }
    return more;
  }
  int64_t total() const {
    int64_t sum = 0;
    for (const auto& [name, times] : counts()) sum += times;
    return sum;
  }

 private:
  const Counts& all_;
  std::map<std::string, int64_t> before_;
};

}  // namespace previt::test
