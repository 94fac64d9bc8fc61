// Early return on error. The only two macros of the library.
#pragma once

#include <utility>

#include "pgch/error.h"

#define PGCH_CONCAT_(a, b) a##b
#define PGCH_CONCAT(a, b) PGCH_CONCAT_(a, b)

/// PGCH_TRY(expression): returns the Error from the enclosing function if the Result<void> failed.
#define PGCH_TRY(expression)                                                   \
  do {                                                                         \
    if (auto pgch_r = (expression); !pgch_r) return std::move(pgch_r).error(); \
  } while (false)

/// PGCH_ASSIGN(auto x, expression): declares x from the Result<T>'s value, or returns its Error.
#define PGCH_ASSIGN(declaration, expression)                                                     \
  auto PGCH_CONCAT(pgch_r_, __LINE__) = (expression);                                            \
  if (!PGCH_CONCAT(pgch_r_, __LINE__)) return std::move(PGCH_CONCAT(pgch_r_, __LINE__)).error(); \
  declaration = std::move(PGCH_CONCAT(pgch_r_, __LINE__)).value()
