#include <algorithm>
#include <cstring>

#include "augment/io/folder_data.h"
#include "communicator.h"
#include "error.h"

// What other ranks need of a folder's listing: the samples' paths and classes.

namespace previt {
namespace {

constexpr uint64_t kPiece = uint64_t{16} << 20;  // bytes sent at once

void send(const void* data, uint64_t bytes) {
  const char* at = static_cast<const char*>(data);
  for (uint64_t done = 0; done < bytes; done += kPiece) {
    world().broadcast(std::string(at + done, std::min(kPiece, bytes - done)));
  }
}

bool receive(void* data, uint64_t bytes) {
  char* at = static_cast<char*>(data);
  for (uint64_t done = 0; done < bytes;) {
    const std::string piece = world().broadcast(std::string());
    if (piece.empty() || piece.size() > bytes - done) return false;
    std::memcpy(at + done, piece.data(), piece.size());
    done += piece.size();
  }
  return true;
}

void add_word(std::string& text, const std::string& word) { text.append(word).push_back('\0'); }

/// The texts that a word ended each.
std::vector<std::string> zero_ended(const std::string& text) {
  std::vector<std::string> words;
  for (size_t at = 0; at < text.size(); at += words.back().size() + 1) {
    words.emplace_back(text.c_str() + at);
  }
  return words;
}

/// Two words for each part, then the classes. A part's folder is sent relative to the data's root,
/// which may lie elsewhere on another rank.
std::string names_in(const FolderData& data, const std::string& root) {
  std::string text;
  add_word(text, std::to_string(data.parts.size()));
  for (const auto& part : data.parts) {
    add_word(text, part.root.substr(root.size()));
    add_word(text, part.prefix);
  }
  for (const auto& name : data.classes) add_word(text, name);
  return text;
}

FolderData with_names(const std::string& text, const std::string& root) {
  const auto words = zero_ended(text);
  FolderData data;
  const size_t parts = words.empty() ? 0 : words[0] == "2" ? 2 : 1;
  if (words.size() < 1 + 2 * parts) return data;
  for (size_t i = 0; i < parts; ++i) {
    auto& part = data.parts.emplace_back();
    part.root = root + words[1 + 2 * i];
    part.prefix = words[2 + 2 * i];
  }
  data.classes.assign(words.begin() + 1 + 2 * static_cast<int64_t>(parts), words.end());
  return data;
}

}  // namespace

void share(FolderData& data, const std::string& root) {
  if (world().alone()) return;
  const bool leads = world().leads();
  const std::string names = world().broadcast(leads ? names_in(data, root) : "");
  if (!leads) data = with_names(names, root);
  require(!data.parts.empty(), "{}: rank 0 sent no listing of it", root);
  for (auto& part : data.parts) {
    if (leads) {
      part.listing.forget_keys();
      part.listing.write(send);
      send(part.labels.data(), part.labels.size() * sizeof(int64_t));
      continue;
    }
    const bool good = part.listing.read(receive, UINT64_MAX);
    part.labels.resize(part.listing.folders().size());
    require(good && receive(part.labels.data(), part.labels.size() * sizeof(int64_t)),
            "{}: rank 0 sent no listing of it",
            root);
  }
}

}  // namespace previt
