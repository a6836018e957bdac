// knn_probe: how well the nearest neighbours of an image tell its class.
#include "commands/knn_probe.h"

#include "cli/main.h"

int main(int argc, char** argv) {
  using namespace previt;
  return cli::run(argc,
                  argv,
                  "knn_probe: classifies images by their nearest neighbours among a frozen "
                  "network's features",
                  cli::knn_probe_options(),
                  cli::knn_probe);
}
