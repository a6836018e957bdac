// linear_probe: how well a linear classifier on a frozen network's features tells the classes.
#include "commands/linear_probe.h"

#include "cli/main.h"

int main(int argc, char** argv) {
  using namespace previt;
  return cli::run(argc,
                  argv,
                  "linear_probe: trains linear classifiers on a frozen network's features",
                  cli::linear_probe_options(),
                  cli::linear_probe);
}
