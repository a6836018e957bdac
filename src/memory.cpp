#include "memory.h"

#include <c10/core/CPUAllocator.h>

#include <algorithm>
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

// Activations differ in size from step to step (drop path, masks), and a heap of blocks that nearly
// fit falls to pieces. Tensors get blocks of few sizes instead, at most a sixteenth too large.
class RoundingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    const c10::Device cpu(c10::DeviceType::CPU);
    if (bytes == 0) return {nullptr, cpu};
    void* block = std::malloc(rounded(bytes) + kAlignment);
    TORCH_CHECK_WITH(OutOfMemoryError,
                     block != nullptr,
                     "memory: the system gives no ",
                     bytes / 1000000,
                     " MB more");
    const uintptr_t next = reinterpret_cast<uintptr_t>(block) + kAlignment;
    void* data = reinterpret_cast<void*>(next / kAlignment * kAlignment);
    block_of(data) = block;
    return {data, data, &release, cpu};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

 private:
  static constexpr size_t kAlignment = 64;  // what LibTorch promises its kernels

  static size_t rounded(size_t bytes) {
    const size_t step = std::max(kAlignment, std::bit_floor(bytes) / 16);
    return (bytes + step - 1) / step * step;
  }
  // malloc aligns to 16 bytes: there is room for a pointer in front of the data.
  static void*& block_of(void* data) { return static_cast<void**>(data)[-1]; }
  static void release(void* data) {
    if (data != nullptr) std::free(block_of(data));
  }
};

#ifdef __GLIBC__

constexpr int kKeep = 1 << 30;  // larger than any activation worth keeping

// Addresses for half of the machine's memory, to be backed by huge pages once they are touched: the
// heap grows into them. Where the system doesn't give so many, or no huge pages, nothing is lost.
void reserve_heap() {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t wanted = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * page / 2;
  constexpr size_t kBlock = kKeep - (1 << 20);  // anything larger is not taken from the heap
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

}  // namespace

void tune_allocator() {
  static RoundingAllocator allocator;
  c10::SetCPUAllocator(&allocator);
#ifdef __GLIBC__
  // Above M_MMAP_THRESHOLD every allocation is a mapping of its own, fresh each time.
  constexpr int kOldLimit = 32 << 20;  // the most that glibc before 2.35 takes
  constexpr int kNever = -1;
  mallopt(M_TRIM_THRESHOLD, kNever);
  mallopt(M_TOP_PAD, 64 << 20);
  if (mallopt(M_MMAP_THRESHOLD, kKeep) == 0) {
    mallopt(M_MMAP_THRESHOLD, kOldLimit);
  } else {
    reserve_heap();
  }
#endif
}

int64_t peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("VmHWM:")) continue;
    std::istringstream words(line.substr(6));
    int64_t kibibytes = 0;
    words >> kibibytes;
    return kibibytes * 1024;
  }
  return 0;
}

}  // namespace previt
