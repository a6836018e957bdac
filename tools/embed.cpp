// embed: writes features of images to an HDF5 file, and pictures of them.
#include "commands/embed.h"

#include "cli/main.h"

int main(int argc, char** argv) {
  using namespace previt;
  return cli::run(argc,
                  argv,
                  "embed: writes the features that a network gives to images",
                  cli::embed_options(),
                  cli::embed);
}
