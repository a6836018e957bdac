// report: a run's report.html anew, or several runs side by side on one page.
#include "commands/report.h"

#include "cli/main.h"

int main(int argc, char** argv) {
  using namespace previt;
  return cli::run(argc,
                  argv,
                  "report: writes the report of a run anew, or a page that compares several runs",
                  cli::report_options(),
                  cli::report,
                  cli::Nproc::starts,
                  cli::report_words());
}
