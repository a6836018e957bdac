#pragma once

// c10's logging defines CHECK and friends; whichever header comes last wins. Tests include this
// file and never Catch2 itself, so that CHECK is always Catch2's.
#include <torch/types.h>

#undef CHECK
#undef REQUIRE
#include "support/catch2.h"
