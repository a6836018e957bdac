#include <filesystem>

#include "augment/open_dataset.h"
#include "support/previt_program.h"
#include "support/temp_folder.h"

using namespace previt;
namespace fs = std::filesystem;

TEST_CASE("pack_dataset makes a pack in several files, and says which sizes it takes") {
  const TempFolder temp;
  const auto out = temp.path() + "/p.h5";
  const auto pack = [&](const std::string& size, const std::string& to) {
    return test::run_program(test::program("pack_dataset"),
                             {"--data",
                              "synthetic:shapes,size=256,count=50,val=0",
                              "--store",
                              "raw",
                              "--out",
                              to,
                              "--shard-size",
                              size});
  };
  const auto made = pack("4M", out);  // 50 scenes are 9.8 MB
  CHECK(made.code == 0);
  CHECK(made.output == out + ": 50 images, 0 skipped, 9.8 MB\n");
  CHECK(open_dataset(out)->size() == 50);
  CHECK(fs::exists(temp.path() + "/p-00002-of-00003.h5"));

  for (const char* size : {"2X", "G", "1.5G", "4M ", "99999999999T"}) {
    INFO(size);
    const auto refused = pack(size, temp.path() + "/q.h5");
    CHECK(refused.code == 2);
    CHECK_THAT(refused.errors, ContainsSubstring("--shard-size: "));
  }
  const auto small = pack("4095K", temp.path() + "/q.h5");
  CHECK(small.code == 2);
  CHECK_THAT(small.errors, ContainsSubstring("--shard-size: 4095K is not in [4M, ∞)"));
  CHECK(!fs::exists(temp.path() + "/q.h5"));
}
