#include "clickhouse/version.h"

#include <charconv>
#include <string>

namespace pgch::ch {

Result<Version> parse_version(std::string_view text) {
  Version v;
  const char* end = text.data() + text.size();
  auto [after, ec] = std::from_chars(text.data(), end, v.major);
  if (ec == std::errc() && after != end && *after == '.') {
    auto [last, ec2] = std::from_chars(after + 1, end, v.minor);
    if (ec2 == std::errc() && last != after + 1) return v;
  }
  return halt(Errc::unsupported, "the server's version \"" + std::string(text.substr(0, 40)) +
                                     "\" is not one pgch can read (expected such as 25.8.1.1)");
}

}  // namespace pgch::ch
