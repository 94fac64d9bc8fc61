#include "service.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>

namespace pgch::cli {
namespace {

// A moment, so that a stop and the beginning are told of at once.
constexpr std::chrono::milliseconds turn{50};
constexpr std::chrono::seconds status_every{5};

std::optional<std::uint64_t> number_of(const std::map<std::string, std::string>& environment, const char* name) {
  const auto found = environment.find(name);
  if (found == environment.end()) return std::nullopt;
  std::uint64_t out = 0;
  const char* const end = found->second.data() + found->second.size();
  const auto [stop, error] = std::from_chars(found->second.data(), end, out);
  return error == std::errc{} && stop == end ? std::optional(out) : std::nullopt;
}

}  // namespace

Supervisor supervisor_of(const std::map<std::string, std::string>& environment) {
  Supervisor out;
  const auto socket = environment.find("NOTIFY_SOCKET");
  if (socket == environment.end() || socket->second.size() < 2) return out;
  if (socket->second.front() != '/' && socket->second.front() != '@') return out;
  out.socket = socket->second;
  const auto usec = number_of(environment, "WATCHDOG_USEC");
  const auto pid = number_of(environment, "WATCHDOG_PID");  // without it, it is meant for whoever reads it
  if (usec && *usec > 0 && (!pid || *pid == static_cast<std::uint64_t>(::getpid())))
    out.watchdog = std::chrono::microseconds(*usec);
  return out;
}

ServiceNotices::ServiceNotices(const Session& session, std::function<ServiceState()> state)
    : supervisor_(supervisor_of(session.environment)), state_(std::move(state)), log_(session.log) {
  if (supervisor_.socket.empty()) return;
  thread_ = std::jthread([this, stop = session.stop.get_token()](const std::stop_token& over) { loop(over, stop); });
}

ServiceNotices::~ServiceNotices() = default;

void ServiceNotices::loop(const std::stop_token& over, const std::stop_token& stop) {
  using Clock = std::chrono::steady_clock;
  bool ready = false, stopping = false, late = false;
  std::string status;
  Clock::time_point beat{}, told{};
  while (!over.stop_requested()) {
    const ServiceState now = state_();
    const auto at = Clock::now();
    std::string text;
    if (now.ready && !ready) text += "READY=1\n";
    ready = ready || now.ready;
    if (stop.stop_requested() && !stopping) {
      text += "STOPPING=1\nSTATUS=Stopping: what is under way is brought to its end\n";
      stopping = true;
    } else if (!stopping && now.status != status && at - told >= status_every) {
      text += "STATUS=" + now.status + "\n";
      status = now.status;
      told = at;
    }
    if (supervisor_.watchdog) {
      // Whoever is late by half of the time gets no beat, and is ended when the whole of it is over.
      const bool was_late = late;
      late = now.overdue > *supervisor_.watchdog / 2;
      if (late && !was_late)
        log_.write(LogLevel::warning, "A thread has not come round for " +
                                          human_seconds(std::chrono::duration<double>(now.overdue).count()) +
                                          ": the watchdog is not told that all is well");
      if (!late && at - beat >= *supervisor_.watchdog / 4) {
        text += "WATCHDOG=1\n";
        beat = at;
      }
    }
    if (!text.empty() && !tell(text)) return;
    std::this_thread::sleep_for(turn);
  }
  if (!stopping) tell("STOPPING=1\n");
}

bool ServiceNotices::tell(std::string_view text) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (supervisor_.socket.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, supervisor_.socket.data(), supervisor_.socket.size());
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + supervisor_.socket.size());
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  // systemd always reads; somebody else must not hold us up for ever.
  const timeval patience{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  const ssize_t sent =
      ::sendto(fd, text.data(), text.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), size);
  const int problem = errno;
  ::close(fd);
  if (sent >= 0 || problem == EAGAIN || problem == EINTR) return true;
  log_.write(LogLevel::warning, "NOTIFY_SOCKET can't be written to, so nobody is told how this goes: " +
                                    std::string(std::strerror(problem)));
  return false;
}

}  // namespace pgch::cli
