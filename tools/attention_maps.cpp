// attention_maps: where a network looks, as pictures, numbers and scores against object masks.
#include "commands/attention_maps.h"

#include "cli/main.h"

int main(int argc, char** argv) {
  using namespace previt;
  return cli::run(argc,
                  argv,
                  "attention_maps: the class token's attention to the patches of images, head by "
                  "head",
                  cli::attention_maps_options(),
                  cli::attention_maps);
}
