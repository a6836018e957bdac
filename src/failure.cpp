#include "failure.h"

#include <c10/util/Exception.h>

#include <exception>

#include "across_ranks.h"
#include "error.h"

namespace previt {
namespace {

// Keeps what the work throws, too.
void work_and_keep(const std::function<void()>& work, std::exception_ptr& thrown) {
  try {
    work();
  } catch (...) {
    thrown = std::current_exception();
    throw;
  }
}

}  // namespace

std::string failure_of(const std::function<void()>& work) {
  std::string why;
  try {
    work();
    return "";
  } catch (const PeerError&) {
    throw;
  } catch (const c10::Error& error) {  // such as too little memory on the device
    why = error.what_without_backtrace();
  } catch (const std::exception& error) {
    why = error.what();
  }
  return why.substr(0, why.find('\n'));
}

void do_on_first_rank(const std::function<void()>& work, Communicator& all) {
  if (all.alone()) return work();
  std::exception_ptr own;
  std::string why;
  if (all.leads()) why = failure_of([&] { work_and_keep(work, own); });
  why = all.broadcast(why);
  if (own) std::rethrow_exception(own);
  require(why.empty(), "{}", why);
}

void do_on_all_ranks(const std::function<void()>& work, Communicator& all) {
  if (all.alone()) return work();
  std::exception_ptr own;
  std::string why = failure_of([&] { work_and_keep(work, own); });
  if (own) why += '\n';  // several ranks may give reasons
  const std::string reasons = texts_of_all(why, all);
  if (own) std::rethrow_exception(own);
  require(reasons.empty(), "{}", reasons.substr(0, reasons.find('\n')));
}

}  // namespace previt
