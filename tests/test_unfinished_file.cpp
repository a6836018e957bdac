#include <filesystem>

#include "error.h"
#include "files.h"
#include "support/catch.h"
#include "support/full_disk.h"
#include "support/temp_folder.h"
#include "unfinished_file.h"

namespace previt {

namespace fs = std::filesystem;

TEST_CASE("a file has one writer at a time, who alone removes what isn't finished") {
  const TempFolder temp;
  const std::string path = temp.path() + "/out.csv";
  {
    UnfinishedFile first(path);
    CHECK_THROWS_WITH(UnfinishedFile(path),
                      ContainsSubstring(path + ": another process is writing it"));
    CHECK_THROWS_AS(write_whole_file(path, "second"), Error);
    REQUIRE(fs::exists(first.path()));
    first.finish();
    CHECK_NOTHROW(UnfinishedFile(path));
  }
  CHECK(fs::exists(path));
  { UnfinishedFile given_up(path); }
  CHECK_FALSE(fs::exists(path + ".partial"));
}

TEST_CASE("what an interrupted process left is seen, and stays where it is to be kept") {
  const TempFolder temp;
  const std::string path = temp.path() + "/out.h5";
  CHECK_FALSE(UnfinishedFile(path).begun());
  write_whole_file(path + ".partial", "left");
  {
    UnfinishedFile next(path);
    CHECK(next.begun());
    next.if_unfinished(UnfinishedFile::IfUnfinished::kept);
  }
  CHECK(read_whole_file(path + ".partial") == "left");
}

TEST_CASE("a failure of the system is told by its place and reason") {
  const TempFolder temp;
  const std::string none = temp.path() + "/none/a", long_name = temp.path() + std::string(300, 'x');
  CHECK_THROWS_WITH(write_whole_file(none, "a"), none + ": No such file or directory");
  CHECK_THROWS_WITH(read_whole_file(long_name), long_name + ": File name too long");
  const test::FullDisk disk(2);
  CHECK_THROWS_WITH(write_whole_file(temp.path() + "/b", "text"),
                    temp.path() + "/b: File too large");
}

}  // namespace previt
