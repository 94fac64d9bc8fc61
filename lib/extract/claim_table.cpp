#include "extract/claim_table.h"

namespace pgch {

void ClaimTable::place_stamps() {
  stamp_field = fields.size();
  fields.push_back({"xmin", "xid", pg::Decoder::swap4, Layout::fixed4, false, 0, 0});
  ctid_field = fields.size();
  fields.push_back({"ctid", "tid", pg::Decoder::raw, Layout::varlen, false, 0, 0});
  catalog.selects.push_back("t.xmin");
  catalog.selects.push_back("t.ctid");
}

std::string ClaimTable::share_condition(const std::vector<std::string>& columns) const {
  if (shares == 1) return {};
  std::string text;
  for (const std::string& c : columns)
    text += (text.empty() ? "" : " || pg_catalog.chr(31) || ") + ("t." + c + "::pg_catalog.text");
  const std::string n = std::to_string(shares);
  return " AND ((pg_catalog.hashtextextended(" + text + ", 0) % " + n + ") + " + n + ") % " + n + " = " +
         std::to_string(share - 1);
}

}  // namespace pgch
