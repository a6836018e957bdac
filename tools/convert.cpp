// convert: writes a network as another code base loads it.
#include "commands/convert.h"

#include "cli/main.h"

int main(int argc, char** argv) {
  using namespace previt;
  return cli::run(argc,
                  argv,
                  "convert: writes a network as other libraries load it",
                  cli::convert_options(),
                  cli::convert);
}
