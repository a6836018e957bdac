#include <filesystem>

#include "error.h"
#include "files.h"
#include "support/catch.h"
#include "support/temp_folder.h"
#include "unfinished_folder.h"

namespace previt {

namespace fs = std::filesystem;
using IfThere = UnfinishedFolder::IfThere;

TEST_CASE("a folder that replaces another does so when it is whole") {
  const TempFolder temp;
  const std::string path = temp.path() + "/out", partial = path + ".partial";
  for (const std::string text : {"old", "new"}) {
    fs::create_directories(partial + "/left");  // by an interrupted run
    UnfinishedFolder folder(path, IfThere::replace);
    CHECK_FALSE(fs::exists(folder.path() + "/left"));
    write_whole_file(folder.path() + "/" + text, text);
    CHECK_FALSE(fs::exists(path + "/" + text));
    CHECK(fs::exists(path + "/old") == (text == "new"));
    folder.finish();
    CHECK(read_whole_file(path + "/" + text) == text);
    CHECK_FALSE(fs::exists(partial));
  }
  CHECK_FALSE(fs::exists(path + "/old"));
  { UnfinishedFolder given_up(path, IfThere::replace); }
  CHECK(fs::exists(path + "/new"));
  CHECK_FALSE(fs::exists(partial));
  CHECK_THROWS_AS(UnfinishedFolder(path), UsageError);
}

}  // namespace previt
