// cache_tokens: makes the tokens of all images once, for BEiT with views that are always the same.
#include "commands/cache_tokens.h"

#include "cli/main.h"

int main(int argc, char** argv) {
  using namespace previt;
  return cli::run(argc,
                  argv,
                  "cache_tokens: makes the tokens of all images of a BEiT recipe, whose views must "
                  "draw nothing (augment.crop: resize, flip: 0, jitter: 0), for its beit.tokens",
                  cli::cache_tokens_options(),
                  cli::cache_tokens);
}
