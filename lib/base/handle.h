// A C library's handle, owned: unique_ptr with a stateless deleter.
#pragma once

#include <memory>

namespace pgch {

template <auto Free>
struct FreeBy {
  template <class T>
  void operator()(T* p) const noexcept {
    Free(p);
  }
};
template <class T, auto Free>
using Handle = std::unique_ptr<T, FreeBy<Free>>;

}  // namespace pgch
