// One statement over HTTP: who asks, in which session, with which settings; then the statement, and its answer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serve/service.h"
#include "serve/source.h"
#include "serve/statement.h"

namespace pgch::serve {

class Query {
 public:
  Query(Service& service, Request& request, Body& body, Connection& connection, Reply& reply)
      : service_(service), request_(request), body_(body), connection_(connection), reply_(reply) {}
  void run();

 private:
  // Each gives false after it has said on reply_ what is wrong.
  bool admit();
  bool open_source();
  bool read_statement();
  bool read_default_format_insert();
  bool allowed();
  bool open_session();
  bool apply_settings();
  bool remember(const std::vector<std::pair<std::string, std::string>>& settings, bool database);
  void restore();
  void execute();
  void kill(const Kill& what);
  void insert();
  void select_in_pieces(std::string_view format, bool headed);
  void whole(std::string_view format);

  std::string output_format() const;
  std::string default_format() const;
  void summary(std::uint64_t rows_read, std::uint64_t bytes_read, std::uint64_t rows_written,
               std::uint64_t bytes_written);
  bool fail(const Exception& exception);
  bool fail_body(const Error& error);
  bool fail_engine(const std::string& text, const Error& error);

  Service& service_;
  Request& request_;
  Body& body_;
  Connection& connection_;
  Reply& reply_;
  std::string user_, query_id_;
  std::optional<Source> source_;
  Statement statement_;
  std::string first_data_;  // of an INSERT: what came with the statement's text
  Running::Ticket ticket_;
  std::unique_ptr<ch::Session> own_session_;
  KeptSessions::Lease kept_session_;
  ch::Session* session_ = nullptr;
  std::vector<std::pair<std::string, std::string>> undo_;  // of a kept session: settings, and what they were
  std::string undo_database_;
  Clock::TimePoint begun_;
};

}  // namespace pgch::serve
