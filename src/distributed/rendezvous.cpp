#include "distributed/rendezvous.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "error.h"

namespace previt {
namespace {

using std::chrono::milliseconds;

constexpr const char* kGo = "go";

std::string meeting(const Place& place) {
  return fmt::format("MASTER_ADDR={} MASTER_PORT={}", place.address, place.port);
}

std::string first_line(const c10::Error& error) {
  const std::string text = error.what_without_backtrace();
  return text.substr(0, text.find('\n'));
}

c10::intrusive_ptr<c10d::Store> open(const Place& place, c10d::TCPStoreOptions options) {
  options.port = static_cast<uint16_t>(place.port);
  options.waitWorkers = false;
  try {
    auto store = c10::make_intrusive<c10d::TCPStore>(place.address, options);
    return c10::make_intrusive<c10d::PrefixStore>("previt" + place.attempt, std::move(store));
  } catch (const c10::Error& error) {
    const std::string why = first_line(error);
    if (why.find("EADDRINUSE") != std::string::npos) {
      fail("{}: the port is in use on this machine", meeting(place));
    }
    if (options.isServer) fail("{}: rank 0 can't listen there: {}", meeting(place), why);
    fail("{}: no answer from rank 0 for {} s",
         meeting(place),
         std::chrono::duration_cast<std::chrono::seconds>(options.timeout).count());
  }
}

std::string key_of(int64_t rank) { return fmt::format("rank/{}", rank); }

std::string card(const Place& place, const std::string& program) {
  return fmt::format("{} with {} processes", program, place.size);
}

struct FreeAddresses {
  void operator()(addrinfo* all) const { ::freeaddrinfo(all); }
};

// Rank 0 looks at all and says what is wrong, or nothing.
void compare_cards(c10d::Store& store, Watch& watch, const Place& place, const std::string& own) {
  for (int64_t rank = 1; rank < place.size; ++rank) {
    const std::string key = key_of(rank);
    watch.wait_for_key([&] { return store.check({key}); },
                       fmt::format("rank {} of {} has not come", rank, place.size));
    const std::string other = store.get_to_str(key);
    if (other == own) continue;
    watch.record(
        fmt::format("rank {} of {} runs {}, but rank 0 runs {}", rank, place.size, other, own),
        false);
    watch.require_well();
  }
  store.set(kGo, std::string("1"));
}

}  // namespace

Stores open_stores(const Place& place, const JoinOptions& options) {
  c10d::TCPStoreOptions store;
  store.timeout = options.timeout;
  store.isServer = place.rank == 0 && !place.store_is_there;
  if (store.isServer && options.listener) store.masterListenFd = *options.listener;
  Stores stores;
  stores.keeper = place.store_is_there ? -1 : 0;
  stores.for_groups = open(place, store);
  store.isServer = false;
  store.masterListenFd.reset();
  stores.for_watch = open(place, store);
  return stores;
}

void call_roll(c10d::Store& store, Watch& watch, const Place& place, const std::string& program) {
  const std::string own = card(place, program);
  if (store.add(key_of(place.rank) + "/times", 1) > 1) {
    fail("rank {} of {}: another process has this rank too", place.rank, place.size);
  }
  store.set(key_of(place.rank), own);
  if (place.rank == 0) return compare_cards(store, watch, place, own);
  watch.wait_for_key([&] { return store.check({kGo}); },
                     fmt::format("rank 0 of {} has not come", place.size));
}

std::string address_towards(const std::string& host) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_DGRAM;
  if (::getaddrinfo(host.c_str(), "9", &hints, &found) != 0) {
    fail("MASTER_ADDR={}: no such host", host);
  }
  const std::unique_ptr<addrinfo, FreeAddresses> all(found);
  // Connecting a datagram socket sends nothing; it asks the system for the way.
  const int probe = ::socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_storage own{};
  socklen_t length = sizeof own;
  const bool known = probe >= 0 && ::connect(probe, found->ai_addr, found->ai_addrlen) == 0 &&
                     ::getsockname(probe, reinterpret_cast<sockaddr*>(&own), &length) == 0;
  if (probe >= 0) ::close(probe);
  char name[NI_MAXHOST];
  if (!known || ::getnameinfo(reinterpret_cast<sockaddr*>(&own),
                              length,
                              name,
                              sizeof name,
                              nullptr,
                              0,
                              NI_NUMERICHOST) != 0) {
    fail("MASTER_ADDR={}: this machine knows no way there", host);
  }
  return name;
}

}  // namespace previt
