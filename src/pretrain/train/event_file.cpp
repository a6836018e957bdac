#include "pretrain/train/event_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "files.h"

namespace previt {
namespace {

// --- protobuf's wire format: a tag (field << 3 | type), then the value ---------------------------

enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}

/// Numbers as they lie in memory: protobuf and TFRecord are little-endian, like all our targets.
template <class T>
std::string raw(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

std::string tag(uint32_t field, WireType type) { return varint(field << 3 | type); }

std::string bytes_field(uint32_t field, const std::string& bytes) {
  return tag(field, kBytes) + varint(bytes.size()) + bytes;
}

constexpr int64_t kLatest = 9'999'999'999;  // seconds; with ten digits, names sort as numbers

double now() {
  const auto time = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(time).count();
}

// --- tensorflow.Event ----------------------------------------------------------------------------

// Fields: 1 time, 2 step, 3 version of the file, 5 summary, 7 log of the session.
std::string event(double time, int64_t step, const std::string& content) {
  return tag(1, kFixed64) + raw(time) + tag(2, kVarint) + varint(static_cast<uint64_t>(step)) +
         content;
}

std::string file_version() { return bytes_field(3, "brain.Event:2"); }

std::string session_start() {
  constexpr uint64_t kStart = 1;
  return bytes_field(7, tag(1, kVarint) + varint(kStart));
}

std::string summary(const Scalars& scalars) {
  std::string values;
  for (const auto& [name, value] : scalars) {
    const std::string number = tag(2, kFixed32) + raw(static_cast<float>(value));
    values += bytes_field(1, bytes_field(1, name) + number);
  }
  return bytes_field(5, values);
}

std::array<uint32_t, 256> crc_table() {
  constexpr uint32_t kReversedPolynomial = 0x82F63B78;
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < table.size(); ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) {
      value = (value & 1) != 0 ? (value >> 1) ^ kReversedPolynomial : value >> 1;
    }
    table[i] = value;
  }
  return table;
}

std::string host_name() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "localhost";
}

const std::string kPrefix = "events.out.tfevents.";

/// The second that a new file is named after. TensorBoard reads a run's files in the order of their
/// names, so it comes after those of all earlier parts, whatever the clock says.
int64_t new_second(const std::string& folder) {
  auto second = static_cast<int64_t>(now());
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix)) continue;
    int64_t earlier = 0;
    std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), earlier);
    if (earlier < kLatest) second = std::max(second, earlier + 1);
  }
  return second;
}

}  // namespace

uint32_t crc32c(const std::string& bytes) {
  static const auto table = crc_table();
  uint32_t crc = ~0U;
  for (const char byte : bytes) {
    crc = table[(crc ^ static_cast<unsigned char>(byte)) & 0xFF] ^ (crc >> 8);
  }
  return ~crc;
}

uint32_t masked_crc32c(const std::string& bytes) {
  constexpr uint32_t kMaskDelta = 0xA282EAD8;
  const uint32_t crc = crc32c(bytes);
  return ((crc >> 15) | (crc << 17)) + kMaskDelta;
}

EventFile::EventFile(const std::string& folder, int64_t first_step) {
  const int64_t second = new_second(folder);
  path_ = fmt::format("{}/{}{:010}.{}", folder, kPrefix, second, host_name());
  time_ = static_cast<double>(second);
  append(event(time(), 0, file_version()));
  // TensorBoard forgets what earlier files have from this step on.
  append(event(time(), first_step + 1, session_start()));
}

double EventFile::time() { return time_ = std::max(time_, now()); }

void EventFile::write(int64_t step, const Scalars& scalars) {
  append(event(time(), step, summary(scalars)));
}

void EventFile::append(const std::string& record) {
  const std::string length = raw(static_cast<uint64_t>(record.size()));
  append_to_file(path_, length + raw(masked_crc32c(length)) + record + raw(masked_crc32c(record)));
}

}  // namespace previt
