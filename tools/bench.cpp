// bench: how fast steps, loading and neighbour search are, one JSON line each, and what the machine is.
#include <cstdio>
#include <string>

#include "commands/bench_knn.h"
#include "commands/bench_loader.h"
#include "commands/bench_machine.h"
#include "commands/bench_step.h"

int main(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "";
  if (command == "step") return previt::cli::bench_step(argc - 1, argv + 1);
  if (command == "loader") return previt::cli::bench_loader(argc - 1, argv + 1);
  if (command == "knn") return previt::cli::bench_knn(argc - 1, argv + 1);
  if (command == "machine") return previt::cli::bench_machine(argc - 1, argv + 1);
  const bool help = command == "--help" || command == "-h";
  std::fputs(
      "usage: bench step --recipe FILE [--batch N] [--steps N] [--set key.path=value]...\n"
      "       bench loader --recipe FILE --data PATH [--workers N] [--batch N] [--batches N]\n"
      "       bench knn [--train N] [--queries N] [--width N] [--k N]\n"
      "       bench machine\n",
      help ? stdout : stderr);
  return help ? 0 : 2;
}
