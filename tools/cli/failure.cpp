#include "cli/failure.h"

#include <c10/util/Exception.h>

#include <exception>

namespace previt::cli {

std::string failure_of(const std::function<void()>& work) {
  std::string why;
  try {
    work();
    return "";
  } catch (const c10::Error& error) {  // such as too little memory on the device
    why = error.what_without_backtrace();
  } catch (const std::exception& error) {
    why = error.what();
  }
  return why.substr(0, why.find('\n'));
}

}  // namespace previt::cli
