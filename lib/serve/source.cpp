#include "serve/source.h"

#include "base/try.h"

namespace pgch::serve {

Source::Source(Body& body, Coding content_encoding, bool frames) : body_(body) {
  for (const Coding coding : {content_encoding, frames ? Coding::frames : Coding::none}) {
    if (auto decoder = make_decoder(coding)) stages_.push_back(Stage{std::move(decoder), {}, {}, false});
  }
}

Result<std::string_view> Source::pull(std::size_t stages) {
  if (stages == 0) return body_.next();
  Stage& stage = stages_[stages - 1];
  stage.out.clear();
  while (stage.out.empty() && !stage.ended) {
    if (stage.in.empty() && !stage.decoder->holds_more()) {
      PGCH_ASSIGN(stage.in, pull(stages - 1));
      if (stage.in.empty()) {
        PGCH_TRY(stage.decoder->finish());
        stage.ended = true;
        break;
      }
    }
    PGCH_TRY(stage.decoder->decode(stage.in, stage.out));
  }
  return std::string_view(stage.out);
}

Result<std::string_view> Source::next() {
  if (unread_.empty()) return pull(stages_.size());
  current_ = std::move(unread_);
  unread_.clear();
  return std::string_view(current_);
}

void Source::unread(std::string bytes) { unread_ = std::move(bytes) + unread_; }

}  // namespace pgch::serve
