// docs/glossary.md names recipe keys and objectives: they must exist, and its terms stand in order.
#include <algorithm>
#include <cctype>
#include <regex>
#include <set>
#include <sstream>

#include "files.h"
#include "finetune/finetune_options.h"
#include "pretrain/pretrain_run.h"
#include "support/catch.h"

using namespace previt;

namespace {

std::set<std::string> keys_and_objectives() {
  ObjectiveRegistry registry;
  register_all_objectives(registry);
  std::set<std::string> all;
  for (const auto& name : registry.names()) {
    all.insert("objective: " + name);
    auto recipe = Recipe::parse("objective: " + name);
    for (const auto& setting : PretrainRun::read(recipe).settings()) all.insert(setting.first);
  }
  for (const auto& setting : finetune_defaults({}, /*pretrained=*/false).settings()) {
    all.insert(setting.first);
  }
  return all;
}

std::vector<std::string> matches(const std::string& text, const std::regex& pattern) {
  std::vector<std::string> found;
  for (std::sregex_iterator at(text.begin(), text.end(), pattern), end; at != end; ++at) {
    found.push_back((*at)[1]);
  }
  return found;
}

std::string glossary() { return read_whole_file(PREVIT_SOURCE_DIR "/docs/glossary.md"); }

}  // namespace

TEST_CASE("the glossary's recipe keys and objectives exist") {
  const auto known = keys_and_objectives();
  const auto named =
      matches(glossary(), std::regex("`([a-z0-9_]+(?:\\.[a-z0-9_]+)+|objective: \\w+)`"));
  REQUIRE(named.size() > 50);
  for (const auto& key : named) {
    INFO(key);
    CHECK(known.contains(key));
  }
}

TEST_CASE("the glossary's terms stand in the order of the alphabet, each once") {
  std::vector<std::string> terms;
  std::istringstream text(glossary());
  for (std::string line; std::getline(text, line);) {
    for (std::string term : matches(line, std::regex("^\\*\\*([^*]+)\\*\\*"))) {
      std::transform(term.begin(), term.end(), term.begin(), [](unsigned char c) {
        return static_cast<char>(std::tolower(c));
      });
      terms.push_back(std::move(term));
    }
  }
  REQUIRE(terms.size() > 50);
  for (size_t i = 1; i < terms.size(); ++i) {
    INFO(terms[i]);
    CHECK(terms[i - 1] < terms[i]);
  }
}
