// What check finds, one line each.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "program.h"

namespace pgch::cli {

struct Findings {
  bool json = false;
  std::vector<std::string> problems, advice;
  int status = exit_done;
  void good(const std::string& line) const {
    if (!json) print("ok       " + line + "\n");
  }
  // What has to be changed by hand outweighs what may be well again in a minute.
  void problem(std::string line, Errc code) {
    if (!json) print("MISSING  " + line + "\n");
    problems.push_back(std::move(line));
    status = std::max(status, exit_of(halt(code, {})) == exit_usage ? int{exit_usage} : int{exit_failed});
  }
  void problem(const Error& error) { problem(error.message, error.code); }
  void advise(std::string line) {
    if (!json) print("advice   " + line + "\n");
    advice.push_back(std::move(line));
  }
};

}  // namespace pgch::cli
