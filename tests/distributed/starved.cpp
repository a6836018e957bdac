#include "distributed/starved.h"

#include <c10/core/CPUAllocator.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "cli/main.h"
#include "commands/pretrain.h"
#include "communicator.h"

namespace previt::test {
namespace {

constexpr size_t kTooMuch = 150'000;

class Starved final : public c10::Allocator {
 public:
  explicit Starved(std::string when) : when_(std::move(when)), plenty_(*c10::GetCPUAllocator()) {}

  c10::DataPtr allocate(size_t bytes) override {
    TORCH_CHECK_WITH(OutOfMemoryError, bytes < kTooMuch || !lacks(), "memory: no more");
    return plenty_.allocate(bytes);
  }
  c10::DeleterFnPtr raw_deleter() const override { return plenty_.raw_deleter(); }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    plenty_.copy_data(to, from, bytes);
  }

 private:
  bool lacks() const {
    if (world().alone() || when_ == "trial") return world().alone() && when_ == "trial";
    return std::filesystem::exists(when_);
  }

  const std::string when_;
  c10::Allocator& plenty_;
};

}  // namespace

int starved_pretrain(int argc, char** argv) {
  return cli::run(argc, argv, "pretrain, for tests", cli::pretrain_options(), [](const auto& args) {
    const char* when = std::getenv("STARVED");
    if (when != nullptr && world().rank() == 1) c10::SetCPUAllocator(new Starved(when));
    return cli::pretrain(args, "pretrain", cli::Product::backbone);
  });
}

}  // namespace previt::test
