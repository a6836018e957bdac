#include <c10/core/Device.h>

#include "cli/device.h"
#include "cli/pretrain.h"
#include "error.h"
#include "support/catch.h"

using namespace previt;

TEST_CASE("the command line of pretrain is frozen") {
  std::vector<std::string> names;
  const auto options = cli::pretrain_options();
  for (const auto& option : options.options()) names.push_back(option->long_name());
  CHECK(names == std::vector<std::string>{
                     "recipe", "data", "out", "set", "device", "resume", "print-recipe"});
}

TEST_CASE("a command is written as one would type it again") {
  const char* words[] = {"pretrain", "--data", "my photos", "--set", "a.b=it's"};
  CHECK(cli::command_line(5, const_cast<char**>(words)) ==
        R"(pretrain --data 'my photos' --set 'a.b=it'\''s')");
}

TEST_CASE("devices are named or refused") {
  CHECK(cli::choose_device("cpu") == at::Device(at::kCPU));
  CHECK_THROWS_AS(cli::choose_device("gpu"), UsageError);
  CHECK_THROWS_AS(cli::choose_device("cuda:x"), UsageError);
  CHECK_THROWS_WITH(cli::choose_device("cuda:99"), ContainsSubstring("cuda:99 is not there"));
}
