#include "communicator.h"

#include <utility>

namespace previt {
namespace {

struct Done final : Pending {
  void wait() override {}
};

Communicator& alone() {
  static Communicator communicator;
  return communicator;
}

std::unique_ptr<Communicator>& joined() {
  static std::unique_ptr<Communicator> communicator;
  return communicator;
}

}  // namespace

std::unique_ptr<Pending> Communicator::start_sum(const at::Tensor&) {
  return std::make_unique<Done>();
}

Communicator& world() { return joined() ? *joined() : alone(); }

JoinedWorld::JoinedWorld(std::unique_ptr<Communicator> communicator) {
  joined() = std::move(communicator);
}

JoinedWorld::~JoinedWorld() { joined().reset(); }

OnItsOwn::OnItsOwn() : others_(std::move(joined())) {}

OnItsOwn::~OnItsOwn() { joined() = std::move(others_); }

}  // namespace previt
