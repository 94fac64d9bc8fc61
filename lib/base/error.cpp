#include "pgch/error.h"

namespace pgch {

std::string_view name_of(Errc code) noexcept {
  switch (code) {
    case Errc::config:
      return "config";
    case Errc::connection:
      return "connection";
    case Errc::authentication:
      return "authentication";
    case Errc::permission:
      return "permission";
    case Errc::not_found:
      return "not_found";
    case Errc::schema:
      return "schema";
    case Errc::data:
      return "data";
    case Errc::conflict:
      return "conflict";
    case Errc::limit:
      return "limit";
    case Errc::timeout:
      return "timeout";
    case Errc::stopped:
      return "stopped";
    case Errc::unsupported:
      return "unsupported";
    case Errc::corrupt:
      return "corrupt";
    case Errc::io:
      return "io";
    case Errc::internal:
      return "internal";
  }
  return "internal";
}

}  // namespace pgch
