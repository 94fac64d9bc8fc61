// zlib, zstd and lz4 behind the two interfaces of coding.h.
#include <lz4frame.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>

#include "base/handle.h"
#include "serve/coding_libraries.h"

namespace pgch::serve {

namespace {

constexpr std::size_t grow_bytes = 64U << 10;
constexpr std::size_t out_bytes_max = 1U << 20;
constexpr std::size_t in_bytes_max = 64U << 10;  // zlib counts in 32 bits

Error broken(std::string_view library) {
  return halt(Errc::corrupt, "The compressed body is broken (" + std::string(library) + ")", "400");
}
Error cut() { return halt(Errc::corrupt, "The compressed body ends in the middle", "400"); }

class ZlibDecoder final : public Decoder {
 public:
  explicit ZlibDecoder(bool gzip) { usable_ = inflateInit2(&stream_, gzip ? 15 + 16 : 15) == Z_OK; }
  ZlibDecoder(const ZlibDecoder&) = delete;
  ZlibDecoder& operator=(const ZlibDecoder&) = delete;
  ~ZlibDecoder() override { inflateEnd(&stream_); }

  Result<void> decode(std::string_view& in, std::string& out) override {
    const std::size_t before = out.size();
    while (usable_ && (!in.empty() || full_) && out.size() - before < out_bytes_max) {
      if (ended_) inflateReset(&stream_);
      ended_ = false;
      const std::string_view slice = in.substr(0, in_bytes_max);
      const std::size_t size = out.size();
      out.resize(size + grow_bytes);
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(slice.data()));  // zlib only reads it
      stream_.avail_in = static_cast<uInt>(slice.size());
      stream_.next_out = reinterpret_cast<Bytef*>(out.data() + size);
      stream_.avail_out = static_cast<uInt>(grow_bytes);
      const int rc = inflate(&stream_, Z_NO_FLUSH);
      in.remove_prefix(slice.size() - stream_.avail_in);
      out.resize(size + grow_bytes - stream_.avail_out);
      ended_ = rc == Z_STREAM_END;
      full_ = !ended_ && stream_.avail_out == 0;
      fresh_ = false;
      if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR) usable_ = false;
    }
    if (!usable_) return broken("zlib");
    return {};
  }
  bool holds_more() const noexcept override { return full_; }
  Result<void> finish() override {
    if (!usable_ || !(ended_ || fresh_)) return cut();
    return {};
  }

 private:
  z_stream stream_{};
  bool usable_ = false, ended_ = false, fresh_ = true, full_ = false;
};

class ZstdDecoder final : public Decoder {
 public:
  Result<void> decode(std::string_view& in, std::string& out) override {
    const std::size_t before = out.size();
    while ((!in.empty() || full_) && out.size() - before < out_bytes_max) {
      const std::size_t size = out.size();
      out.resize(size + ZSTD_DStreamOutSize());
      ZSTD_inBuffer source{in.data(), in.size(), 0};
      ZSTD_outBuffer sink{out.data() + size, out.size() - size, 0};
      left_ = ZSTD_decompressStream(stream_.get(), &sink, &source);
      in.remove_prefix(source.pos);
      full_ = sink.pos == sink.size && left_ != 0;
      out.resize(size + sink.pos);
      if (ZSTD_isError(left_) != 0) return broken("zstd");
    }
    return {};
  }
  bool holds_more() const noexcept override { return full_; }
  Result<void> finish() override {
    if (left_ != 0) return cut();
    return {};
  }

 private:
  Handle<ZSTD_DStream, &ZSTD_freeDStream> stream_{ZSTD_createDStream()};
  std::size_t left_ = 0;
  bool full_ = false;  // the last call filled its output: there may be more inside
};

class Lz4Decoder final : public Decoder {
 public:
  Lz4Decoder() {
    LZ4F_dctx* made = nullptr;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&made, LZ4F_VERSION)) == 0) context_.reset(made);
  }
  Result<void> decode(std::string_view& in, std::string& out) override {
    const std::size_t before = out.size();
    while ((!in.empty() || full_) && out.size() - before < out_bytes_max) {
      const std::size_t size = out.size();
      out.resize(size + grow_bytes);
      std::size_t produced = grow_bytes, consumed = in.size();
      left_ =
          context_ ? LZ4F_decompress(context_.get(), out.data() + size, &produced, in.data(), &consumed, nullptr) : 1;
      if (!context_ || LZ4F_isError(left_) != 0) {
        out.resize(size);
        left_ = 1;
        return broken("lz4");
      }
      in.remove_prefix(consumed);
      out.resize(size + produced);
      full_ = produced == grow_bytes && left_ != 0;
    }
    return {};
  }
  bool holds_more() const noexcept override { return full_; }
  Result<void> finish() override {
    if (left_ != 0) return cut();
    return {};
  }

 private:
  Handle<LZ4F_dctx, &LZ4F_freeDecompressionContext> context_;
  std::size_t left_ = 0;
  bool full_ = false;  // the last call filled its output: there may be more inside
};

class ZlibEncoder final : public Encoder {
 public:
  explicit ZlibEncoder(bool gzip) { deflateInit2(&stream_, 3, Z_DEFLATED, gzip ? 15 + 16 : 15, 8, Z_DEFAULT_STRATEGY); }
  ZlibEncoder(const ZlibEncoder&) = delete;
  ZlibEncoder& operator=(const ZlibEncoder&) = delete;
  ~ZlibEncoder() override { deflateEnd(&stream_); }
  void encode(std::string_view in, std::string& out) override {
    for (; !in.empty(); in.remove_prefix(std::min(in.size(), in_bytes_max)))
      step(in.substr(0, in_bytes_max), Z_NO_FLUSH, out);
  }
  void finish(std::string& out) override { step({}, Z_FINISH, out); }

 private:
  void step(std::string_view in, int flush, std::string& out) {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));  // zlib only reads it
    stream_.avail_in = static_cast<uInt>(in.size());
    do {
      const std::size_t size = out.size();
      out.resize(size + grow_bytes);
      stream_.next_out = reinterpret_cast<Bytef*>(out.data() + size);
      stream_.avail_out = static_cast<uInt>(grow_bytes);
      deflate(&stream_, flush);
      out.resize(size + grow_bytes - stream_.avail_out);
    } while (stream_.avail_out == 0);
  }
  z_stream stream_{};
};

class ZstdEncoder final : public Encoder {
 public:
  void encode(std::string_view in, std::string& out) override { step(in, ZSTD_e_continue, out); }
  void finish(std::string& out) override { step({}, ZSTD_e_end, out); }

 private:
  void step(std::string_view in, ZSTD_EndDirective how, std::string& out) {
    ZSTD_inBuffer source{in.data(), in.size(), 0};
    for (std::size_t left = 1; left != 0;) {
      const std::size_t size = out.size();
      out.resize(size + ZSTD_CStreamOutSize());
      ZSTD_outBuffer sink{out.data() + size, out.size() - size, 0};
      left = ZSTD_compressStream2(context_.get(), &sink, &source, how);
      out.resize(size + sink.pos);
      if (ZSTD_isError(left) != 0) return;  // only for a defect of ours: the client sees a stream without its end
      if (how == ZSTD_e_continue) left = source.size - source.pos;
    }
  }
  Handle<ZSTD_CCtx, &ZSTD_freeCCtx> context_{ZSTD_createCCtx()};
};

class Lz4Encoder final : public Encoder {
 public:
  Lz4Encoder() {
    LZ4F_cctx* made = nullptr;
    if (LZ4F_isError(LZ4F_createCompressionContext(&made, LZ4F_VERSION)) == 0) context_.reset(made);
  }
  void encode(std::string_view in, std::string& out) override {
    for (; !in.empty(); in.remove_prefix(std::min(in.size(), in_bytes_max))) {
      const std::string_view slice = in.substr(0, in_bytes_max);
      grow(out, LZ4F_compressBound(slice.size(), nullptr), [&](char* at, std::size_t room) {
        return LZ4F_compressUpdate(context_.get(), at, room, slice.data(), slice.size(), nullptr);
      });
    }
  }
  void finish(std::string& out) override {
    grow(out, LZ4F_compressBound(0, nullptr),
         [&](char* at, std::size_t room) { return LZ4F_compressEnd(context_.get(), at, room, nullptr); });
  }

 private:
  void begin(std::string& out) {
    if (begun_) return;
    begun_ = true;
    append(out, LZ4F_HEADER_SIZE_MAX,
           [&](char* at, std::size_t size) { return LZ4F_compressBegin(context_.get(), at, size, nullptr); });
  }
  template <class F>
  void grow(std::string& out, std::size_t room, const F& put) {
    begin(out);
    append(out, room, put);
  }
  template <class F>
  static void append(std::string& out, std::size_t room, const F& put) {
    const std::size_t size = out.size();
    out.resize(size + room);
    const std::size_t put_bytes = put(out.data() + size, room);
    out.resize(size + (LZ4F_isError(put_bytes) != 0 ? 0 : put_bytes));
  }
  Handle<LZ4F_cctx, &LZ4F_freeCompressionContext> context_;
  bool begun_ = false;
};

}  // namespace

std::unique_ptr<Decoder> make_zlib_decoder(bool gzip) { return std::make_unique<ZlibDecoder>(gzip); }
std::unique_ptr<Decoder> make_zstd_decoder() { return std::make_unique<ZstdDecoder>(); }
std::unique_ptr<Decoder> make_lz4_decoder() { return std::make_unique<Lz4Decoder>(); }
std::unique_ptr<Encoder> make_zlib_encoder(bool gzip) { return std::make_unique<ZlibEncoder>(gzip); }
std::unique_ptr<Encoder> make_zstd_encoder() { return std::make_unique<ZstdEncoder>(); }
std::unique_ptr<Encoder> make_lz4_encoder() { return std::make_unique<Lz4Encoder>(); }

}  // namespace pgch::serve
