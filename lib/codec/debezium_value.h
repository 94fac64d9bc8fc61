// One value of a Debezium message → the value as pgch's own JSON has it (docs/WIRE.md), which the JSON codec reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codec/debezium_form.h"
#include "pgch/schema.h"

namespace pgch::codec {

/// Walks the elements of an array or the fields of an object that check_json() has seen.
class JsonPieces {
 public:
  explicit JsonPieces(std::string_view json);
  /// The next value as it stands there; in an object `name` becomes its name, with the quotes. False: there is none.
  bool next(std::string_view& name, std::string_view& value);

 private:
  std::string_view take();
  std::string_view rest_;
  bool object_ = false;
};

/// The other way: a value of pgch's own JSON as Debezium writes it. False: it has no such form. `json` has 8 readable
/// bytes behind it; may throw nothing but bad_alloc.
bool append_debezium(const Form& form, const ColumnSpec& column, const DebeziumModes& modes, std::string_view json,
                     std::string& out);

/// One thread. `raw` is one JSON value that is well-formed, with 8 readable bytes behind it.
class DebeziumValues {
 public:
  /// `bytes_max`: a longer value isn't made; `wide_years`: timestamps reach from year 0000 to 9999, not from 1900.
  DebeziumValues(std::size_t bytes_max, bool wide_years) : bytes_max_(bytes_max), wide_years_(wide_years) {}

  /// Appends it. False: problem() says why, and `out` may hold part of it.
  bool append(const Form& form, const ColumnSpec& column, std::string_view raw, std::string& out);
  /// The end of a sentence about the field: "is …".
  const std::string& problem() const noexcept { return problem_; }

  /// Is it what Debezium writes where PostgreSQL didn't say the value (an unchanged one, stored out of line)?
  static bool is_unavailable(std::string_view raw);

 private:
  bool fail(std::string_view problem);
  bool misfit(const ColumnSpec& column, std::string_view problem, std::string& out);
  bool wrong() { return fail("is not what Debezium writes for its type"); }
  bool unquote(std::string_view raw);
  bool decode_base64(std::string_view raw);

  bool append_value(const Form& form, const ColumnSpec& column, std::string_view raw, std::string& out);
  bool append_array(const Form& form, const ColumnSpec& column, std::string_view raw, std::string& out);
  bool append_day(const ColumnSpec& column, std::string_view raw, std::string& out);
  bool append_clock(const Form& form, const ColumnSpec& column, std::string_view raw, std::string& out);
  bool append_stamp(const Form& form, const ColumnSpec& column, std::string_view raw, std::string& out);
  bool put_stamp(const ColumnSpec& column, std::int64_t us, std::string& out);
  bool append_zoned_clock(const ColumnSpec& column, std::string_view raw, std::string& out);
  bool append_interval(const ColumnSpec& column, std::string_view raw, std::string& out);
  bool append_decimal(const Form& form, const ColumnSpec& column, std::string_view raw, std::string& out);
  bool append_scaled(const ColumnSpec& column, std::string_view raw, std::string& out);
  bool append_digits(const ColumnSpec& column, std::string_view base64, std::int64_t scale, std::string& out);
  bool append_numeral(const ColumnSpec& column, std::string_view text, std::string& out);
  bool append_bits(const Form& form, const ColumnSpec& column, std::string_view raw, std::string& out);
  bool append_binary(const Form& form, std::string_view raw, std::string& out);
  bool append_point(std::string_view raw, std::string& out);
  bool append_geometry(std::string_view raw, std::string& out);
  bool append_map(std::string_view raw, std::string& out);

  std::size_t bytes_max_;
  bool wide_years_;
  Misfit misfit_ = Misfit::fail;
  std::string problem_;
  std::string text_;              // what a string holds
  std::vector<std::byte> bytes_;  // what base64 holds
};

}  // namespace pgch::codec
