// Catch2 v2 (Debian 12) or v3 (later systems), whichever is there.
#pragma once

#if __has_include(<catch2/catch.hpp>)
#include <catch2/catch.hpp>
#else
#include <catch2/catch_all.hpp>
using Catch::Matchers::ContainsSubstring;
#endif
