#pragma once

// c10's logging defines CHECK and friends; whichever header comes last wins. Tests include this
// file and never Catch2 itself, so that CHECK is always Catch2's.
#include <torch/types.h>

#undef CHECK
#undef REQUIRE
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;
#else
#include <catch2/catch.hpp>
inline auto ContainsSubstring(const std::string& text) { return Catch::Matchers::Contains(text); }
#endif
