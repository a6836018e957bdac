#include "cli/main.h"

#include <c10/util/Exception.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <new>
#include <sstream>
#include <typeinfo>
#include <utility>
#include <vector>

#include "cli/help_pages.h"
#include "cli/join.h"
#include "cli/launch.h"
#include "cli/recipe_path.h"
#include "cpu_level.h"
#include "distributed/environment.h"
#include "distributed/process_group.h"
#include "error.h"
#include "log.h"
#include "memory.h"
#include "nearest_word.h"
#include "utf8.h"

namespace previt::cli {
namespace {

std::string one_line(std::string message) {
  const auto newline = message.find('\n');
  return newline == std::string::npos ? message : message.substr(0, newline);
}

int report(const std::string& message, int code) {
  // Not fmt::print, which throws where stderr can't be written.
  std::fputs((message + "\n").c_str(), stderr);
  return code;
}

std::vector<std::string> names(const po::options_description& options) {
  std::vector<std::string> all;
  for (const auto& option : options.options()) all.push_back(option->long_name());
  return all;
}

// What to do about too little memory, in terms of the tool's own options.
std::string memory_advice(const po::options_description& options) {
  const auto has = [&](const char* name) { return options.find_nothrow(name, false) != nullptr; };
  if (has("recipe") && !has("batch")) return "a smaller train.micro_batch or model needs less";
  std::vector<std::string> fitting;
  for (const char* name : {"batch", "image-size"}) {
    if (has(name)) fitting.push_back(fmt::format("--{}", name));
  }
  if (fitting.empty())
    return has("workers") ? "fewer --workers need less" : "smaller images need less";
  return fmt::format("a smaller {} needs less", fmt::join(fitting, " or "));
}

std::string out_of_memory(const std::string& message, const po::options_description& options) {
  return fmt::format("{}; {}", one_line(message), memory_advice(options));
}

// What is asked of the program rather than of its work; "" for nothing.
std::string answer(const po::variables_map& values) {
  if (values.count("list-recipes") != 0) return recipe_list();
  return values.count("version") != 0 ? fmt::format("PreViT {}\n", PREVIT_VERSION) : "";
}

// Whether a page for the installation was asked for and printed.
bool described_itself(int argc,
                      char** argv,
                      const std::string& summary,
                      const po::options_description& options) {
  const std::string page = argc == 2 ? help_page(argv[1], summary, options) : "";
  if (!page.empty()) print(page);
  return !page.empty();
}

// Where a standard stream is closed, the next file opened would get its number, and with it all
// that is meant for the terminal. So /dev/null takes its place, opened the wrong way round:
// reading or writing there fails, as it should.
void occupy_standard_streams() {
  for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; ++stream) {
    if (::fcntl(stream, F_GETFD) >= 0) continue;
    if (::open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0) return;
  }
}

// What values an option takes.
const char* kind_of_value(const po::options_description& options, const std::string& name) {
  const auto value = options.find(name, /*approx=*/false).semantic();
  const auto* typed = dynamic_cast<const po::typed_value_base*>(value.get());
  const auto takes = [&]<class Number>(Number) {
    return typed != nullptr && (typed->value_type() == typeid(Number) ||
                                typed->value_type() == typeid(std::vector<Number>));
  };
  if (takes(int64_t{})) return "a whole number";
  return takes(double{}) ? "a number" : "a valid value";
}

// `problem` behind the option's name; "%value%" in it stands for what was given.
std::string of_option(po::error_with_option_name error, const std::string& problem) {
  error.m_error_template = "%canonical_option%: " + problem;
  return error.what();
}

// What is wrong with the command line, in our words instead of Boost's.
std::string usage_text(const po::error& error, const po::options_description& options) {
  const auto* about_option = dynamic_cast<const po::error_with_option_name*>(&error);
  if (about_option == nullptr) return error.what();
  std::string option = about_option->get_option_name();
  option.erase(0, option.find_first_not_of('-'));
  if (dynamic_cast<const po::unknown_option*>(&error) != nullptr) {
    return fmt::format(
        "--{}: unknown option{}", option, did_you_mean(option, names(options), "--"));
  }
  if (dynamic_cast<const po::required_option*>(&error) != nullptr) {
    return fmt::format("--{}: must be given; --help says more", option);
  }
  if (const auto* syntax = dynamic_cast<const po::invalid_syntax*>(&error)) {
    const bool has_value = syntax->kind() == po::invalid_syntax::extra_parameter;
    return of_option(*syntax, has_value ? "takes no value" : "needs a value; --help says more");
  }
  if (dynamic_cast<const po::invalid_option_value*>(&error) != nullptr) {
    return of_option(*about_option,
                     fmt::format("%value% is not {}", kind_of_value(options, option)));
  }
  if (dynamic_cast<const po::multiple_occurrences*>(&error) != nullptr) {
    return of_option(*about_option, "given more than once");
  }
  return error.what();
}

// What `work` came to; what it throws becomes a line and an exit code.
Ending attempt(const std::function<int()>& work, const po::options_description& options) {
  try {
    return {.code = work()};
  } catch (const po::error& e) {
    return {2, on_one_line(usage_text(e, options))};
  } catch (const PeerError& e) {
    return {1, on_one_line(e.what()), true};
  } catch (const UsageError& e) {
    return {2, on_one_line(e.what())};
  } catch (const Error& e) {
    return {1, on_one_line(e.what())};
  } catch (const c10::OutOfMemoryError& e) {
    if (debugging()) return {1, e.what()};
    return {1, out_of_memory(e.what_without_backtrace(), options)};
  } catch (const std::bad_alloc&) {
    return {1, out_of_memory("memory: the system gives no more", options)};
  } catch (const c10::Error& e) {
    return {1, debugging() ? e.what() : one_line(e.what_without_backtrace())};
  } catch (const std::filesystem::filesystem_error& e) {  // a path that can't be asked about
    return {1, on_one_line(e.path1().string() + ": " + e.code().message())};
  } catch (const std::exception& e) {
    return {1, one_line(e.what())};
  }
}

// Of the words that belong to no option, only the first `taken` have a meaning.
void require_options(const po::parsed_options& parsed,
                     size_t taken,
                     const po::options_description& options) {
  for (const po::option& part : parsed.options) {
    if (part.position_key < 0 || static_cast<size_t>(part.position_key) < taken) continue;
    const std::string& word = part.original_tokens.front();
    const bool recipe = word.ends_with(".yaml") && options.find_nothrow("recipe", false) != nullptr;
    fail_usage("{}: a word without an option; {}",
               word,
               recipe ? fmt::format("did you mean --recipe {}?", word) : "--help says more");
  }
}

po::variables_map parse(int argc,
                        char** argv,
                        const po::options_description& options,
                        const po::positional_options_description& words) {
  const auto parser = [&] {
    return po::command_line_parser(argc, argv)
        .options(options)
        .style(po::command_line_style::default_style & ~po::command_line_style::allow_guessing);
  };
  require_options(parser().run(), words.max_total_count(), options);
  po::variables_map values;
  po::store(parser().positional(words).run(), values);
  return values;
}

// Does the work in this process, in one of several, or in several that this one starts.
int work(const std::string& command,
         const po::variables_map& values,
         const po::options_description& options,
         bool takes_several,
         const std::function<int(const po::variables_map&)>& body) {
  const int64_t processes = takes_several ? asked_processes(values) : 1;
  if (processes > 1) {
    if (place_from(environment_variables()).size > 1) {
      fail_usage("--nproc: the processes have been started already");
    }
    return launch(processes);
  }
  limit_cpu_level_by_environment();
  const Ending ending = in_world(command, takes_several, [&] {
    Ending own = attempt([&] { return body(values); }, options);
    if (!own.line.empty()) log_error(own.line);
    return own;
  });
  return ending.line.empty() ? ending.code : report(ending.line, ending.code);
}

}  // namespace

void print(const std::string& text) {
  const bool written = std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
  require_system(written, "stdout");
}

int run(int argc,
        char** argv,
        const std::string& summary,
        po::options_description options,
        const std::function<int(const po::variables_map&)>& body,
        Nproc nproc,
        const po::positional_options_description& words) {
  occupy_standard_streams();
  tune_allocator();
  options.add_options()("help,h", "this text")("version", "the version");
  const auto whole = [&] {
    if (described_itself(argc, argv, summary, options)) return 0;
    po::variables_map values = parse(argc, argv, options, words);
    if (values.count("help") != 0) {
      std::ostringstream text;
      text << options;
      print(fmt::format("{}\n\n{}", summary, text.str()));
      return 0;
    }
    if (const std::string text = answer(values); !text.empty()) {
      print(text);
      return 0;
    }
    po::notify(values);
    const bool takes_several =
        nproc == Nproc::starts && options.find_nothrow("nproc", false) != nullptr;
    const std::string command = std::filesystem::path(argv[0]).filename();
    return work(command, values, options, takes_several, body);
  };
  const Ending ending = attempt(whole, options);
  return ending.line.empty() ? ending.code : report(ending.line, ending.code);
}

}  // namespace previt::cli
