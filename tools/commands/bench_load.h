#pragma once

namespace previt::cli {

/// `bench load`: reading weights into a network beside reading the bytes of their files.
int bench_load(int argc, char** argv);

}  // namespace previt::cli
