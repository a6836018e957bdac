#include "cli/new_start.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "error.h"

namespace previt::cli {
namespace {

constexpr const char* kWriter = "PREVIT_NEW_START";        // number of an open pipe
constexpr const char* kImages = "PREVIT_IMAGES_TOO_MANY";  // of the start before

int64_t number_in(const char* variable, int64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::atoll(text);
}

}  // namespace

bool ask_for_new_start(int64_t images) {
  const auto writer = static_cast<int>(number_in(kWriter, -1));
  return writer >= 0 && ::write(writer, &images, sizeof images) == sizeof images;
}

int64_t images_before_new_start() { return number_in(kImages, 0); }

NewStarts::NewStarts() {
  int ends[2];
  require_system(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0, "--nproc");
  reader_ = ends[0];
  writer_ = ends[1];
}

NewStarts::~NewStarts() {
  ::close(reader_);
  ::close(writer_);
}

std::vector<std::pair<std::string, std::string>> NewStarts::variables() const {
  return {{kWriter, std::to_string(writer_)}, {kImages, std::to_string(images_)}};
}

void NewStarts::hand_over() const { ::fcntl(writer_, F_SETFD, 0); }

bool NewStarts::asked() {
  const int64_t before = images_;
  for (int64_t images = 0; ::read(reader_, &images, sizeof images) == sizeof images;) {
    images_ = images;
  }
  return images_ != before && (before == 0 || images_ < before);
}

}  // namespace previt::cli
