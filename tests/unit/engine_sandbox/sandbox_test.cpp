// What an engine cannot do any more, tried in a child process, because a sandbox cannot be left.
// A kernel may lack Landlock; then the tests of files expect what is true without it.
#include "sandbox/sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>

#include "base/json.h"
#include "sandbox/file_rules.h"
#include "sandbox/self_check.h"
#include "support/temp_dir.h"

namespace homelab::engine_process {
namespace {

/// What `work` gives in a child that has entered the sandbox, as text.
std::string inside(SandboxNeeds const& needs,
                   std::function<std::string(SandboxState const&)> const& work) {
  int ends[2];
  if (::pipe(ends) != 0) return "no pipe";
  pid_t const child = ::fork();
  if (child == 0) {
    std::string const text = work(enter_sandbox(needs));
    bool const written =
        ::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
    ::_exit(written ? 0 : 1);
  }
  ::close(ends[1]);
  std::string text;
  char piece[4096];
  for (ssize_t got = 0; (got = ::read(ends[0], piece, sizeof piece)) > 0;)
    text.append(piece, static_cast<std::size_t>(got));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
  return text;
}

/// "0", or the number of the error with which opening fails.
std::string open_result(Path const& path, int flags) {
  int const fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  std::string const result = std::to_string(fd < 0 ? errno : 0);
  if (fd >= 0) ::close(fd);
  return result;
}

std::string refused_by_landlock() { return std::to_string(landlock_version() > 0 ? EACCES : 0); }

class Sandbox : public testing::Test {
 protected:
  test::TempDir folder_;
};

TEST_F(Sandbox, ReportsWhatHolds) {
  auto const text = inside({}, [](auto const& state) { return json::serialize(to_json(state)); });
  auto const state = parse_json(text);
  ASSERT_TRUE(state) << text;
  json::object const expected = {{"no_new_privileges", true},
                                 {"no_tracing", true},
                                 {"few_capabilities", true},
                                 {"seccomp", true},
                                 {"landlock", landlock_version()}};
  EXPECT_EQ(state->as_object(), expected);
}

TEST_F(Sandbox, RefusesTheNetworkOtherProgramsAndOtherProcesses) {
  auto const text = inside({}, [](auto const&) { return json::serialize(try_forbidden()); });
  auto const tried = parse_json(text);
  ASSERT_TRUE(tried) << text;
  bool const files = landlock_version() > 0;
  for (auto const& [what, refused] : tried->as_object()) {
    bool const needs_landlock = what == "write" || what == "read";
    EXPECT_EQ(refused.as_bool(), !needs_landlock || files) << what;
  }
}

TEST_F(Sandbox, NothingOfThisIsRefusedOutside) {
  auto const tried = try_forbidden();
  for (auto const* what : {"connect", "execute", "fork", "create", "write", "read"})
    EXPECT_FALSE(tried.at(what).as_bool()) << what;
}

TEST_F(Sandbox, ReadsOnlyWhatItNeeds) {
  auto const model = folder_.write("models/m.gguf", "weights");
  auto const secret = folder_.write("secret.txt", "keys");
  auto const text = inside({{model}, {}}, [&](auto const&) {
    return open_result(model, O_RDONLY) + " " + open_result(secret, O_RDONLY);
  });
  EXPECT_EQ(text, "0 " + refused_by_landlock());
}

TEST_F(Sandbox, ReadsASnapshotsFilesThroughTheirLinksAndNoOtherBlobs) {
  auto const blob = folder_.write("blobs/aaa", "weights");
  auto const other = folder_.write("blobs/bbb", "of another model");
  std::filesystem::create_directories(folder_ / "snapshots/c/sub");
  std::filesystem::create_symlink(blob, folder_ / "snapshots/c/sub/model.safetensors");
  auto const text = inside({{folder_ / "snapshots/c"}, {}}, [&](auto const&) {
    return open_result(folder_ / "snapshots/c/sub/model.safetensors", O_RDONLY) + " " +
           open_result(other, O_RDONLY);
  });
  EXPECT_EQ(text, "0 " + refused_by_landlock());
}

TEST_F(Sandbox, ReadsTheOtherShardsOfAGguf) {
  auto const first = folder_.write("blobs/1", "x");
  auto const second = folder_.write("blobs/2", "y");
  std::filesystem::create_directories(folder_ / "snapshots/c");
  std::filesystem::create_symlink(first, folder_ / "snapshots/c/m-00001-of-00002.gguf");
  std::filesystem::create_symlink(second, folder_ / "snapshots/c/m-00002-of-00002.gguf");
  auto const text = inside({{folder_ / "snapshots/c/m-00001-of-00002.gguf"}, {}}, [&](auto const&) {
    return open_result(folder_ / "snapshots/c/m-00002-of-00002.gguf", O_RDONLY);
  });
  EXPECT_EQ(text, "0");
}

TEST_F(Sandbox, WritesNoFileNotEvenTheModelsOwn) {
  auto const model = folder_.write("models/m.gguf", "weights");
  auto const text = inside({{folder_ / "models"}, {}}, [&](auto const&) {
    return open_result(model, O_WRONLY) + " " +
           open_result(folder_ / "models/new", O_WRONLY | O_CREAT) + " " +
           std::to_string(::chmod(model.c_str(), 0) == 0 ? 0 : errno) + " " +
           std::to_string(::rename(model.c_str(), (folder_ / "x").c_str()) == 0 ? 0 : errno);
  });
  EXPECT_EQ(text, refused_by_landlock() + " 1 1 1");  // EPERM is 1
}

TEST_F(Sandbox, RemovesNamesWhereItMayAndNowhereElse) {
  auto const socket = folder_.write("run/e.sock", "");
  auto const model = folder_.write("models/m.gguf", "weights");
  auto const text = inside({{folder_ / "models"}, {folder_ / "run"}}, [&](auto const&) {
    return std::to_string(::unlink(socket.c_str()) == 0 ? 0 : errno) + " " +
           std::to_string(::unlink(model.c_str()) == 0 ? 0 : errno);
  });
  EXPECT_EQ(text, "0 " + refused_by_landlock());
}

TEST_F(Sandbox, StillStartsThreadsAndTakesItsOwnSignals) {
  auto const text = inside({}, [](auto const&) {
    int sum = 0;
    std::thread([&sum] { sum = 42; }).join();
    ::signal(SIGUSR1, SIG_IGN);
    return std::to_string(sum) + " " + std::to_string(::raise(SIGUSR1));
  });
  EXPECT_EQ(text, "42 0");
}

TEST_F(Sandbox, HoldsInThreadsThatWereThereBefore) {
  // Of the system call filter; Landlock holds in threads that are started later.
  pid_t const child = ::fork();
  if (child == 0) {
    int go[2];
    if (::pipe(go) != 0) ::_exit(2);
    bool refused = false;
    std::thread early([&] {
      char byte = 0;
      if (::read(go[0], &byte, 1) != 1) return;
      refused = ::socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM;
    });
    auto const state = enter_sandbox({});
    if (::write(go[1], "g", 1) != 1) ::_exit(3);
    early.join();
    ::_exit(state.seccomp && refused ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(SandboxState, IsCompleteOnlyWithEverything) {
  SandboxState state{true, true, true, true, 1};
  EXPECT_TRUE(state.complete());
  state.landlock = 0;
  EXPECT_FALSE(state.complete());
  EXPECT_EQ(report_line(state),
            R"(sandbox: {"no_new_privileges":true,"no_tracing":true,"few_capabilities":true,)"
            R"("seccomp":true,"landlock":0})");
}

}  // namespace
}  // namespace homelab::engine_process
