#pragma once

namespace previt::cli {

/// `bench machine`: what PreViT finds on this machine and what it makes of it, as JSON.
int bench_machine(int argc, char** argv);

}  // namespace previt::cli
