#include <algorithm>
#include <cstring>
#include <filesystem>

#include "files.h"
#include "pretrain/train/event_file.h"
#include "support/catch.h"
#include "support/temp_folder.h"

using namespace previt;

namespace {

template <class T>
T number(const std::string& bytes, size_t at) {
  T value;
  REQUIRE(at + sizeof(T) <= bytes.size());
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

/// The records of a TFRecord file, their checksums verified.
std::vector<std::string> records(const std::string& file) {
  std::vector<std::string> all;
  for (size_t at = 0; at < file.size();) {
    const auto length = number<uint64_t>(file, at);
    CHECK(number<uint32_t>(file, at + 8) == masked_crc32c(file.substr(at, 8)));
    all.push_back(file.substr(at + 12, length));
    CHECK(number<uint32_t>(file, at + 12 + length) == masked_crc32c(all.back()));
    at += 16 + length;
  }
  return all;
}

}  // namespace

TEST_CASE("a clock that was set back changes neither the order of files nor of events") {
  const TempFolder folder;
  const std::string future = folder.path() + "/events.out.tfevents.4000000000.host";
  write_whole_file(future, "");
  write_whole_file(folder.path() + "/events.out.tfevents.99999999999999999999.odd", "");
  EventFile events(folder.path(), 40);
  events.write(50, {{"loss", 0.5}});
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    if (!entry.path().string().ends_with(".odd")) files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  REQUIRE(files.size() == 2);
  CHECK(files[0] == future);
  double last = 4'000'000'000;
  for (const auto& record : records(read_whole_file(files[1]))) {
    CHECK(number<double>(record, 1) >= last);
    last = number<double>(record, 1);
  }
}

TEST_CASE("CRC-32C of the standard's check string") {
  CHECK(crc32c("123456789") == 0xE3069283);
  CHECK(crc32c("") == 0);
}

TEST_CASE("TensorBoard events hold the scalars, and a resumed run says from where") {
  const TempFolder folder;
  EventFile events(folder.path(), 40);
  events.write(300, {{"loss", 0.5}, {"lr", 1e-3}});
  const auto path = std::filesystem::directory_iterator(folder.path())->path();
  CHECK_THAT(path.filename().string(), ContainsSubstring("tfevents"));
  const auto all = records(read_whole_file(path.string()));
  REQUIRE(all.size() == 3);
  CHECK_THAT(all[0], ContainsSubstring("brain.Event:2"));
  // The start of a session: earlier events of step 41 and later are void, not those of step 40.
  CHECK(all[1].substr(9) == std::string("\x10\x29\x3a\x02\x08\x01", 6));
  // step 300 = varint AC 02; summary { value { tag: "loss", simple_value: 0.5 } … }
  CHECK(all[2].substr(9, 3) == "\x10\xac\x02");
  CHECK_THAT(all[2],
             ContainsSubstring(std::string("\x0a\x0b\x0a\x04loss\x15\x00\x00\x00\x3f", 13)));
}
