#include <filesystem>
#include <fstream>
#include <sstream>

#include "commands/predict.h"
#include "error.h"
#include "support/catch.h"
#include "support/finetune_command.h"
#include "support/noise_png.h"

using namespace previt;
using namespace previt::test;

namespace {

using Table = std::vector<Words>;

// The lines below the header of CSV without quoted fields.
Table table_of(const std::string& text) {
  Table table;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    Words fields(1);
    for (const char c : line) {
      if (c == ',') {
        fields.emplace_back();
      } else {
        fields.back() += c;
      }
    }
    table.push_back(fields);
  }
  REQUIRE_FALSE(table.empty());
  CHECK(table.front() == Words{"path", "class", "probability", "error"});
  table.erase(table.begin());
  return table;
}

// What the command writes to stdout.
std::string output_of(const Words& words) {
  std::ostringstream out;
  const auto args = parse(cli::predict_options(), words + Words{"--device", "cpu"});
  const int code = cli::predict(args, out);
  REQUIRE(code == 0);
  return out.str();
}

Table predict(const Words& words) { return table_of(output_of(words)); }

}  // namespace

TEST_CASE("the command line of predict is frozen") {
  Words names;
  const auto options = cli::predict_options();
  for (const auto& option : options.options()) names.push_back(option->long_name());
  CHECK(names == Words{"from", "weights", "set", "images", "out", "top", "device"});
}

TEST_CASE("predict writes the likeliest classes of each image") {
  const TempFolder temp;
  const std::string run = trained(temp.path() + "/run", {"--set", "train.epochs=1"});
  const Words words = {"--from", run, "--images", "synthetic:shapes,size=16,count=35,val=0"};
  const Table one = predict(words), three = predict(words + Words{"--top", "3"});
  REQUIRE(one.size() == 35);  // more than a batch
  REQUIRE(three.size() == 3 * 35);
  for (size_t i = 0; i < one.size(); ++i) {
    CHECK(one[i] == three[3 * i]);
    CHECK(std::stod(three[3 * i][2]) >= std::stod(three[3 * i + 1][2]));
    CHECK(three[3 * i][1] != three[3 * i + 1][1]);
    CHECK(one[i][3].empty());
  }
  double all = 0;
  for (const auto& line : predict(
           {"--from", run, "--top", "99", "--images", "synthetic:shapes,size=16,count=1,val=0"})) {
    all += std::stod(line[2]);
  }
  CHECK(all == Approx(1).margin(1e-4));

  const std::string file = temp.path() + "/classes.csv";
  CHECK(output_of(words + Words{"--out", file}).empty());
  CHECK(table_of(read_whole_file(file)) == one);
  const auto refuse = [&](const Words& more) { output_of(words + more); };
  CHECK_THROWS_AS(refuse({"--top", "0"}), UsageError);
  CHECK_THROWS_WITH(refuse({"--out", "/dev/full"}), "/dev/full: No space left on device");
}

TEST_CASE("predict needs a classifier") {
  const TempFolder temp;
  const std::string from =
      std::string(PREVIT_SOURCE_DIR) + "/tests/fixtures/mae_pretrain_encoder_a.pth";
  std::ostringstream out;
  const auto args = parse(cli::predict_options(),
                          {"--from", from, "--images", "synthetic:shapes", "--device", "cpu"});
  CHECK_THROWS_WITH(cli::predict(args, out), from + ": has no classes; fine-tune it first");
}

#ifdef PREVIT_WITH_IMAGE_IO
TEST_CASE("predict takes one image, and names those that it can't read") {
  const TempFolder temp;
  const std::string run = trained(temp.path() + "/run", {"--set", "train.epochs=1"});
  const std::string photos = temp.path() + "/photos";
  std::filesystem::create_directories(photos);
  write_noise_png(photos + "/a.png", 20, 24);
  write_noise_png(photos + "/c.png", 20, 24);
  std::ofstream(photos + "/b.jpg") << "not an image";

  const Table folder = predict({"--from", run, "--images", photos});
  REQUIRE(folder.size() == 3);
  CHECK(folder[0][0] == "a.png");
  CHECK(folder[1][0] == "b.jpg");
  CHECK(folder[1][1].empty());
  CHECK_FALSE(folder[1][3].empty());
  CHECK(predict({"--from", run, "--images", photos + "/c.png"}) == Table{folder[2]});
  const auto alone = [&] { predict({"--from", run, "--images", photos + "/b.jpg"}); };
  CHECK_THROWS_WITH(alone(), photos + "/b.jpg: none of 1 images can be read");
}
#endif
