#include <fmt/format.h>

#include "pgch/loader.h"

namespace pgch {

std::string token_of(const Attempt& a) {
  return fmt::format("{}:{}:{}:{}:{}", a.pipeline, a.stream, a.generation, a.sequence, a.number);
}

}  // namespace pgch
