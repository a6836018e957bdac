#include "in_threads.h"

#include <system_error>
#include <thread>
#include <vector>

namespace previt {

void in_threads(int64_t count, const std::function<void(int64_t)>& work) {
  std::vector<std::jthread> others;  // which are waited for however this ends
  try {
    for (int64_t i = 1; i < count; ++i) others.emplace_back([&work, i] { work(i); });
  } catch (const std::system_error&) {
  }
  work(0);
}

}  // namespace previt
