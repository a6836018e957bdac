#include "distributed/gloo_backend.h"

#include <cstdlib>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include "distributed/rendezvous.h"
#include "distributed/watch.h"

namespace previt {
namespace {

using Gloo = c10d::ProcessGroupGloo;

}  // namespace

c10::intrusive_ptr<c10d::Backend> open_gloo(const c10::intrusive_ptr<c10d::Store>& store,
                                            const Place& place) {
  auto options = Gloo::Options::create(kNever);
  const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
  options->devices = {interface != nullptr && *interface != '\0'
                          ? Gloo::createDeviceForInterface(interface)
                          : Gloo::createDeviceForHostname(address_towards(place.address))};
  return c10::make_intrusive<Gloo>(
      store, static_cast<int>(place.rank), static_cast<int>(place.size), options);
}

}  // namespace previt
