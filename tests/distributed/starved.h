#pragma once

namespace previt::test {

/// `pretrain` of which rank 1 has no memory for tensors of 150 kB or more: with STARVED=trial when it
/// tries by itself what fits, else when it works with the others and the file STARVED exists.
int starved_pretrain(int argc, char** argv);

}  // namespace previt::test
