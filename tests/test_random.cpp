#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "random.h"
#include "support/catch.h"

using namespace previt;

namespace {

constexpr uint64_t kSeed = 3;
constexpr uint64_t kIndices = 40;

struct Named {
  const char* name;
  Stream stream;
  int indices;
};

// Those that draw by themselves, but for older_choice, which new runs don't draw from. What seeds
// torch's generators is compared among its kind.
const std::vector<Named> kDrawing = {{"sample_order", Stream::sample_order, 1},
                                     {"views", Stream::views, 2},
                                     {"device_views", Stream::device_views, 2},
                                     {"masks", Stream::masks, 2},
                                     {"codes", Stream::codes, 1},
                                     {"held_out", Stream::held_out, 1},
                                     {"few_shot", Stream::few_shot, 1},
                                     {"probe_order", Stream::probe_order, 1},
                                     {"probe_choice", Stream::probe_choice, 1},
                                     {"synthetic", Stream::synthetic, 1}};
const std::vector<Named> kSeeding = {{"step", Stream::step, 2}, {"previews", Stream::previews, 0}};

std::vector<uint64_t> keys_of(const Named& of) {
  if (of.indices == 0) return {stream_key(kSeed, of.stream, {})};
  std::vector<uint64_t> keys;
  for (uint64_t i = 0; i < kIndices; ++i) {
    if (of.indices == 1) keys.push_back(stream_key(kSeed, of.stream, {i}));
    for (uint64_t j = 0; of.indices == 2 && j < kIndices; ++j) {
      keys.push_back(stream_key(kSeed, of.stream, {i, j}));
    }
  }
  return keys;
}

using Pairs = std::set<std::pair<std::string, std::string>>;

Pairs equal_pairs(const std::vector<Named>& all) {
  std::map<uint64_t, std::vector<std::string>> by_key;
  Pairs pairs;
  for (const Named& of : all) {
    for (const uint64_t key : keys_of(of)) {
      auto& there = by_key[key];
      for (const auto& name : there) pairs.emplace(name, of.name);
      there.emplace_back(of.name);
    }
  }
  return pairs;
}

}  // namespace

TEST_CASE("no two random streams of a seed are equal") {
  CHECK(equal_pairs(kDrawing) == Pairs{});
  CHECK(equal_pairs(kSeeding) == Pairs{});
  // torch is first seeded by the run's seed itself, for the weights.
  for (const Named& of : kSeeding) {
    for (const uint64_t key : keys_of(of)) CHECK(key != kSeed);
  }
}

TEST_CASE("a stream's numbers are its key's, and every index makes another") {
  Random one(kSeed, Stream::views, {0, 7}), again(kSeed, Stream::views, {0, 7});
  Random other(kSeed, Stream::views, {7, 0});
  const uint64_t first = one.bits();
  CHECK(first == again.bits());
  CHECK(first != other.bits());
}

TEST_CASE("the keys of a seed stay: old runs go on with the same numbers") {
  CHECK(stream_key(3, Stream::sample_order, {5}) == 0x6fad88072a883cf4ull);
  CHECK(stream_key(3, Stream::views, {1, 2}) == 0xd09a0da34a2eaf94ull);
  CHECK(stream_key(3, Stream::masks, {1, 2}) == 0xd59be4b31afecbd7ull);
  CHECK(stream_key(3, Stream::codes, {9}) == 0x3a9abea492b3ca1bull);
  CHECK(stream_key(3, Stream::step, {5, 0}) == 0x4c527f1af9acd66dull);
  CHECK(stream_key(3, Stream::held_out, {5}) == 0x8f33b3bc7c105103ull);
  CHECK(stream_key(3, Stream::few_shot, {5}) == 0x7a7be6e2684dcb7dull);
  CHECK(stream_key(3, Stream::synthetic, {5}) == 0x76d33c3cf59b7c93ull);
  CHECK(stream_key(3, Stream::older_choice, {5}) == 0x76d33c3cf59b7c93ull);
  CHECK(stream_key(3, Stream::previews, {}) == 0x1d0b14e4db018fedull);
}
