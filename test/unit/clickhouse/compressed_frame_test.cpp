#include "clickhouse/compressed_frame.h"

#include "base/bytes.h"
#include "test/support/catch.h"

using namespace pgch;
using namespace pgch::ch;

namespace {

std::string from_hex(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    out.push_back(static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1])));
  return out;
}

// Column files as real servers wrote them: two frames of 26.7, then single frames of 18.16 that make the checksum take
// its short way (under 144 bytes) and its long way.
const std::string two_frames = from_hex(
    "8cfed952c6cbca05186388b60dd1473c821200000008000000800100000002000000"
    "c30d6aee2215a2d801a2f3e781c11e738219000000120000002201000100a0010000000000000078"
    "79");
const std::string short_frame = from_hex(
    "1f4956dd9a40e5b52fb0b1b208409785823e00000033000000f024104538343945384242364646453235363710383030344335413639"
    "343130354635451042444546454346464343453234413031");
const std::string middle_frame = from_hex(
    "08bacedb87b83bdfad36d6d86f6158e382a400000099000000f08a104538343945384242364646453235363710383030344335413639"
    "343130354635451042444546454346464343453234413031104335423835383035324536373943374110423745374445343230313244"
    "363631301043383938453846313737394232323034104345304543333133413142453846413510423645413531334137454636324246"
    "301037454438453044374445354342464631");
const std::string long_frame = from_hex(
    "4710b2d9b174a2a9c486d46deafacf52822d01000021010000f0ff131045383439453842423646464532353637103830303443354136"
    "393431303546354510424445464543464643434532344130311043354238353830353245363739433741104237453744453432303132"
    "443636313010433839384538463137373942323230341043453045433331334131424538464135104236454135313341374546363242"
    "463010374544384530443744453543424646311037464139423445384343463739303836103739423242344343313343373530413010"
    "383042433632323645463535343142391042363037383333383745463239314245103843313837433732333332373741414410343436"
    "3031323844423345324444303410303133463737443745324144313842331032324132363731303543343637333937");

Result<std::string> decode(std::string_view frames, std::size_t cut) {
  std::string out;
  FrameReader reader;
  for (std::size_t at = 0; at < frames.size(); at += cut) {
    auto fed = reader.feed(as_bytes(frames.substr(at, cut)), [&](std::span<const std::byte> raw) -> Result<void> {
      out += as_text(raw);
      return {};
    });
    if (!fed) return std::move(fed).error();
  }
  if (auto end = reader.finish(); !end) return std::move(end).error();
  return out;
}

}  // namespace

TEST_CASE("frames that real servers wrote are read, cut anywhere") {
  for (std::size_t cut = 1; cut < 90; ++cut) {
    CHECK(decode(two_frames, cut).value().size() == 8 + 18);
    CHECK(decode(short_frame, cut).value().substr(0, 17) ==
          "\x10"
          "E849E8BB6FFE2567");
    CHECK(decode(middle_frame, cut).value().size() == 9 * 17);
    CHECK(decode(long_frame, cut).value().size() == 17 * 17);
  }
}

TEST_CASE("a frame cut short or changed in any byte is refused") {
  for (std::size_t n = 1; n < short_frame.size(); ++n)
    CHECK_FALSE(decode(std::string_view(short_frame).substr(0, n), 1000));
  for (std::size_t i = 0; i < short_frame.size(); ++i) {
    std::string bad = short_frame;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    CHECK_FALSE(decode(bad, 1000));
  }
}

TEST_CASE("what is written as frames is read back, for every method and size") {
  const auto method = GENERATE(FrameMethod::none, FrameMethod::lz4, FrameMethod::zstd);
  std::string raw;
  for (std::size_t n = 0; n < 600; ++n) {
    std::string frames;
    append_frames(frames, as_bytes(raw), method, 100);
    CHECK(decode(frames, 33).value() == raw);
    raw += static_cast<char>(n * 7 % 251);
  }
}

TEST_CASE("a frame that claims gigabytes is refused before memory is taken") {
  std::string bomb(16, 'x');
  bomb += '\x82';
  put_little(bomb, std::uint32_t{20});
  put_little(bomb, std::uint32_t{0xFFFFFFFF});
  bomb += "0123456789ab";
  CHECK_FALSE(decode(bomb, 1000));
}
