// bench: how fast steps, images, weights, neighbour search and several processes are and what memory
// steps need, one JSON line each, and what the machine is.
#include "cli/help_pages.h"
#include "commands/bench_knn.h"
#include "commands/bench_load.h"
#include "commands/bench_loader.h"
#include "commands/bench_machine.h"
#include "commands/bench_memory.h"
#include "commands/bench_scaling.h"
#include "commands/bench_step.h"

int main(int argc, char** argv) {
  using namespace previt;
  return cli::run_command(
      argc,
      argv,
      "bench: times training steps, images, weights, neighbour search and several processes, "
      "estimates memory, and says what the machine is",
      "usage: bench step --recipe FILE [--batch N] [--steps N] [--nproc N] [--set "
      "key.path=value]...\n"
      "       bench loader --recipe FILE --data PATH [--workers N] [--batch N] [--batches N]\n"
      "       bench load --from CKPT [--repeats N]\n"
      "       bench knn [--train N] [--queries N] [--width N] [--k N]\n"
      "       bench memory --recipe FILE [--batch N] [--nproc N] [--measure] [--set ...]...\n"
      "       bench scaling --recipe FILE [--batch N] [--nproc N] [--simulate --step-ms MS]\n"
      "       bench machine\n",
      {{"step", cli::bench_step},
       {"loader", cli::bench_loader},
       {"load", cli::bench_load},
       {"knn", cli::bench_knn},
       {"memory", cli::bench_memory},
       {"scaling", cli::bench_scaling},
       {"machine", cli::bench_machine}});
}
