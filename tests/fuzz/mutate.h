#pragma once

#include <algorithm>
#include <random>
#include <string>

#include "error.h"

namespace previt {

/// One to three random damages: cut short, flipped bits, overwritten with an extreme number, a
/// piece copied elsewhere, a piece removed. The same for the same generator on every machine.
inline std::string mutate(std::string bytes, std::mt19937& random) {
  const auto below = [&](size_t limit) { return limit == 0 ? 0 : random() % limit; };
  for (size_t n = 1 + below(3); n > 0 && !bytes.empty(); --n) {
    const size_t at = below(bytes.size());
    const size_t length = std::min(1 + below(32), bytes.size() - at);
    switch (below(6)) {
      case 0:
        bytes.resize(at);
        break;
      case 1:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        break;
      case 2:
        bytes[at] = static_cast<char>(random());
        break;
      case 3: {
        const char extreme[] = {'\0', '\x7f', '\xff', '\x80'};
        std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                    std::min<size_t>(length, 8),
                    extreme[below(4)]);
        break;
      }
      case 4:
        bytes.insert(below(bytes.size()), bytes.substr(at, length));
        break;
      default:
        bytes.erase(at, length);
    }
  }
  return bytes;
}

/// Gives `parse` so many damaged copies of valid bytes. It may succeed or throw Error; everything
/// else (another exception, a crash, a report of a sanitizer) fails the test. Returns how many were
/// refused.
template <class Parse>
int survive(const std::string& valid, int rounds, Parse parse) {
  std::mt19937 random(20240611);
  int refused = 0;
  for (int i = 0; i < rounds; ++i) {
    const std::string damaged = mutate(valid, random);
    try {
      parse(damaged);
    } catch (const Error&) {
      ++refused;
    }
  }
  return refused;
}

}  // namespace previt
