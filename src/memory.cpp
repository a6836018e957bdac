#include "memory.h"

#include <c10/core/CPUAllocator.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#ifdef __GLIBC__
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vector>
#endif

namespace previt {
namespace {

std::atomic<int64_t> held_by_tensors = 0, most_held_by_tensors = 0;

// Activations differ in size from step to step (drop path, masks), and blocks that nearly fit break
// up the heap. So tensors get blocks of a few sizes, at most a sixteenth too large.
class RoundingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    const c10::Device cpu(c10::DeviceType::CPU);
    if (bytes == 0) return {nullptr, cpu};
    const size_t size = rounded(bytes) + kAlignment;
    void* block = std::malloc(size);
    TORCH_CHECK_WITH(OutOfMemoryError,
                     block != nullptr,
                     "memory: the system gives no ",
                     bytes / 1000000,
                     " MB more");
    const uintptr_t next = reinterpret_cast<uintptr_t>(block) + kAlignment;
    void* data = reinterpret_cast<void*>(next / kAlignment * kAlignment);
    header_of(data) = {block, static_cast<int64_t>(size)};
    count(static_cast<int64_t>(size));
    return {data, data, &release, cpu};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

 private:
  static constexpr size_t kAlignment = 64;  // what LibTorch promises its kernels

  // Sixteen sizes from each power of two to the next.
  static size_t rounded(size_t bytes) {
    const size_t step = std::max(kAlignment, std::bit_floor(bytes) / 16);
    return (bytes + step - 1) / step * step;
  }
  // malloc aligns to 16 bytes, so there is always room for it in front of the data.
  struct Header {
    void* block;
    int64_t size;
  };
  static Header& header_of(void* data) { return static_cast<Header*>(data)[-1]; }
  static void release(void* data) {
    if (data == nullptr) return;
    const Header header = header_of(data);
    count(-header.size);
    std::free(header.block);
  }
  static void count(int64_t bytes) {
    const int64_t now = held_by_tensors.fetch_add(bytes, std::memory_order_relaxed) + bytes;
    int64_t most = most_held_by_tensors.load(std::memory_order_relaxed);
    while (now > most && !most_held_by_tensors.compare_exchange_weak(most, now)) {
    }
  }
};

#ifdef __GLIBC__

constexpr int kKeep = 1 << 30;  // larger than any activation worth keeping

// Reserves addresses for half of the machine's memory, which get huge pages once they are touched:
// the heap grows into them. If the system gives fewer of them, or no huge pages, nothing is lost.
void reserve_heap() {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t wanted = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * page / 2;
  constexpr size_t kBlock = kKeep - (1 << 20);  // larger blocks don't come from the heap
  std::vector<void*> blocks;
  while (blocks.size() * kBlock < wanted) {
    void* block = std::malloc(kBlock);
    if (block == nullptr) break;
    blocks.push_back(block);
    const auto first = (reinterpret_cast<uintptr_t>(block) + page - 1) / page * page;
    madvise(reinterpret_cast<void*>(first), kBlock - page, MADV_HUGEPAGE);
  }
  for (void* block : blocks) std::free(block);
}

#endif

// The number behind `key` in the line that begins with it; 0 if there is none.
int64_t number_in(const char* path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    std::istringstream words(line.substr(key.size()));
    int64_t number = 0;
    words >> number;
    return number;
  }
  return 0;
}

// Bytes that a container with a limit (cgroup v2) can still get, if it gives up its cached files;
// without a limit 0.
int64_t left_in_container() {
  const std::string folder = "/sys/fs/cgroup/memory.";
  // Without a limit the file says "max", which reads as 0.
  const int64_t limit = number_in((folder + "max").c_str(), "");
  const int64_t used = number_in((folder + "current").c_str(), "");
  if (limit == 0 || used == 0) return 0;
  const std::string stat = folder + "stat";
  const int64_t cached =
      number_in(stat.c_str(), "inactive_file ") + number_in(stat.c_str(), "active_file ");
  return std::max<int64_t>(1, limit - used + cached);
}

}  // namespace

void tune_allocator() {
  static RoundingAllocator allocator;
  c10::SetCPUAllocator(&allocator);
#ifdef __GLIBC__
  // Above M_MMAP_THRESHOLD every allocation is a mapping of its own, with fresh pages each time.
  constexpr int kOldLimit = 32 << 20;  // the most that glibc before 2.35 accepts
  constexpr int kNever = -1;
  mallopt(M_TRIM_THRESHOLD, kNever);
  mallopt(M_TOP_PAD, 64 << 20);  // the heap grows by this much more than is needed
  if (mallopt(M_MMAP_THRESHOLD, kKeep) == 0) {
    mallopt(M_MMAP_THRESHOLD, kOldLimit);
  } else {
    reserve_heap();
  }
#endif
}

TensorMemory tensor_memory() { return {held_by_tensors.load(), most_held_by_tensors.load()}; }

void restart_tensor_peak() { most_held_by_tensors = held_by_tensors.load(); }

int64_t peak_memory() { return number_in("/proc/self/status", "VmHWM:") * 1024; }

int64_t obtainable_memory() {
  int64_t free = number_in("/proc/meminfo", "MemAvailable:") * 1024;
  if (const int64_t left = left_in_container(); left > 0 && (free == 0 || left < free)) free = left;
  return free == 0 ? 0 : free + number_in("/proc/self/status", "VmRSS:") * 1024;
}

}  // namespace previt
