#include "pretrain/train/event_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "error.h"

namespace previt {
namespace {

// --- protobuf's wire format: a tag (field << 3 | type), then the value ---------------------------

enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}

/// Numbers as they lie in memory: protobuf and TFRecord are little-endian, as all our targets.
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

double now() {
  const auto time = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(time).count();
}

// --- tensorflow.Event ----------------------------------------------------------------------------

std::string event(int64_t step, const std::string& content) {
  return tag(1, kFixed64) + raw(now()) + tag(2, kVarint) + varint(static_cast<uint64_t>(step)) +
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

/// A name that no earlier part of the run has, even one of the same second.
std::string new_path(const std::string& folder) {
  for (auto second = static_cast<int64_t>(now());; ++second) {
    const std::string path =
        fmt::format("{}/events.out.tfevents.{:010}.{}", folder, second, host_name());
    if (!std::filesystem::exists(path)) return path;
  }
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

EventFile::EventFile(const std::string& folder, int64_t first_step) : path_(new_path(folder)) {
  append(event(0, file_version()));
  if (first_step > 0) append(event(first_step, session_start()));
}

void EventFile::write(int64_t step, const Scalars& scalars) {
  append(event(step, summary(scalars)));
}

void EventFile::append(const std::string& record) {
  const std::string length = raw(static_cast<uint64_t>(record.size()));
  std::ofstream file(path_, std::ios::app | std::ios::binary);
  file << length << raw(masked_crc32c(length)) << record << raw(masked_crc32c(record));
  file.close();
  require(file.good(), "{}: can't be written", path_);
}

}  // namespace previt
