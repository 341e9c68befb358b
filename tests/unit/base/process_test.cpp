#include "base/os/process.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "support/temp_dir.h"

namespace homelab::os {
namespace {

using namespace std::chrono_literals;
using ::homelab::test::slurp;
using ::homelab::test::TempDir;
using ::testing::HasSubstr;

SpawnOptions shell(std::string script) {
  SpawnOptions options;
  options.program = "/bin/sh";
  options.arguments = {"-c", std::move(script)};
  return options;
}

/// Both ends of a pipe; read() waits for the writers.
struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2 failed");
    out = UniqueFd(ends[0]);
    in = UniqueFd(ends[1]);
  }
  std::string read_line() const {
    std::string line;
    for (char c = 0; ::read(out.get(), &c, 1) == 1 && c != '\n';) line.push_back(c);
    return line;
  }
  UniqueFd out;
  UniqueFd in;
};

TEST(Process, ExitCodesAndSignalsAreTold) {
  auto child = ChildProcess::spawn(shell("exit 3")).value();
  auto const status = child.wait(30s);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 3);
  EXPECT_FALSE(status->ok());
  EXPECT_EQ(to_string(*status), "exit code 3");
  EXPECT_EQ(child.wait(0ms)->code, 3) << "the status is kept";
  auto killed = ChildProcess::spawn(shell("kill -9 $$")).value();
  EXPECT_EQ(to_string(*killed.wait(30s)), "killed by signal 9 (Killed)");
  EXPECT_TRUE(ChildProcess::spawn(shell("exit 0")).value().wait(30s)->ok());
}

TEST(Process, AMissingProgramIsAnErrorThatNamesIt) {
  SpawnOptions options;
  options.program = "/no/such/program";
  auto const child = ChildProcess::spawn(std::move(options));
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().code, Code::kNotFound);
  EXPECT_THAT(child.error().message, HasSubstr("/no/such/program"));
}

TEST(Process, AFileThatMayNotBeRunIsAnError) {
  TempDir const folder;
  SpawnOptions options;
  options.program = folder.write("x", "no program");
  EXPECT_EQ(ChildProcess::spawn(std::move(options)).error().code, Code::kPermissionDenied);
}

TEST(Process, OutputAndErrorsGoToTheGivenFile) {
  TempDir const folder;
  auto options = shell("echo out; echo error >&2; cat");
  options.output = open_file(folder / "log", O_WRONLY | O_CREAT | O_APPEND).value();
  auto child = ChildProcess::spawn(std::move(options)).value();
  EXPECT_TRUE(child.wait(30s)->ok()) << "standard input is at its end, so cat ends";
  EXPECT_EQ(slurp(folder / "log"), "out\nerror\n");
}

TEST(Process, ArgumentsArriveUnchanged) {
  TempDir const folder;
  auto options = shell("printf '%s|' \"$@\"");
  for (auto const* argument : {"sh", "a b", "", "$HOME", "*"})
    options.arguments.emplace_back(argument);
  options.output = open_file(folder / "log", O_WRONLY | O_CREAT).value();
  auto child = ChildProcess::spawn(std::move(options)).value();
  ASSERT_TRUE(child.wait(30s));
  EXPECT_EQ(slurp(folder / "log"), "a b||$HOME|*|");
}

TEST(Process, ExtraVariablesReplaceOursAndStandOnce) {
  TempDir const folder;
  ::setenv("HOMELAB_TEST_VARIABLE", "ours", 1);
  auto options = shell("env | grep HOMELAB_TEST | sort");
  options.extra_environment = {"HOMELAB_TEST_VARIABLE=theirs", "HOMELAB_TEST_OTHER=new"};
  options.output = open_file(folder / "log", O_WRONLY | O_CREAT).value();
  auto child = ChildProcess::spawn(std::move(options)).value();
  ASSERT_TRUE(child.wait(30s));
  ::unsetenv("HOMELAB_TEST_VARIABLE");
  EXPECT_EQ(slurp(folder / "log"), "HOMELAB_TEST_OTHER=new\nHOMELAB_TEST_VARIABLE=theirs\n");
}

TEST(Process, OurOtherDescriptorsAreNotInherited) {
  Pipe pipe;
  int const number = pipe.in.get();
  auto child =
      ChildProcess::spawn(shell("test ! -e /proc/$$/fd/" + std::to_string(number))).value();
  EXPECT_TRUE(child.wait(30s)->ok());
}

TEST(Process, ARunningChildHasNoStatusYet) {
  auto sleeper = ChildProcess::spawn(shell("exec sleep 1000")).value();
  EXPECT_EQ(sleeper.wait(0ms), std::nullopt);
  EXPECT_EQ(sleeper.wait(10ms), std::nullopt);
  EXPECT_EQ(sleeper.stop(30s).signal, SIGTERM);
}

TEST(Process, AStubbornChildIsKilledAfterTheGrace) {
  Pipe pipe;
  auto options = shell("trap '' TERM; echo ready; while :; do sleep 1000 & wait; done");
  options.output = std::move(pipe.in);
  auto child = ChildProcess::spawn(std::move(options)).value();
  ASSERT_EQ(pipe.read_line(), "ready");
  EXPECT_EQ(child.stop(50ms).signal, SIGKILL);
  // Its own children are in its process group.
  ::kill(-child.pid(), SIGKILL);
}

TEST(Process, AChildThatEndsWellWithinTheGraceIsNotKilled) {
  Pipe pipe;
  auto options = shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done");
  options.output = std::move(pipe.in);
  auto child = ChildProcess::spawn(std::move(options)).value();
  ASSERT_EQ(pipe.read_line(), "ready");
  EXPECT_EQ(child.stop(30s).code, 7);
  EXPECT_EQ(child.stop(30s).code, 7) << "stopping twice is fine";
}

TEST(Process, SignalsToAnEndedChildGoNowhere) {
  auto child = ChildProcess::spawn(shell("exit 0")).value();
  ASSERT_TRUE(child.wait(30s));
  child.signal(SIGKILL);
  EXPECT_TRUE(child.wait(0ms)->ok());
}

TEST(Process, ThePidfdBecomesReadableAtTheEnd) {
  auto child = ChildProcess::spawn(shell("exit 0")).value();
  ASSERT_TRUE(child.wait(30s));
  EXPECT_GE(child.pidfd(), 0);
}

TEST(Process, ForgettingAChildKillsAndReapsIt) {
  int pid = -1;
  {
    auto const child = ChildProcess::spawn(shell("exec sleep 1000")).value();
    pid = child.pid();
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST(Process, MovingAChildOverAnotherKillsTheOther) {
  auto first = ChildProcess::spawn(shell("exec sleep 1000")).value();
  int const gone = first.pid();
  auto second = ChildProcess::spawn(shell("exec sleep 1000")).value();
  int const kept = second.pid();
  first = std::move(second);
  EXPECT_EQ(::kill(gone, 0), -1);
  EXPECT_EQ(first.pid(), kept);
  EXPECT_EQ(first.wait(0ms), std::nullopt);
}

TEST(Process, AChildStartsWithNothingBlockedOrIgnored) {
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  auto const old_handler = std::signal(SIGPIPE, SIG_IGN);
  Pipe pipe;
  SpawnOptions options;
  options.program = "/bin/grep";
  options.arguments = {"-E", "^Sig(Blk|Ign)", "/proc/self/status"};
  options.output = std::move(pipe.in);
  auto child = ChildProcess::spawn(std::move(options)).value();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  std::signal(SIGPIPE, old_handler);
  // Above the 31 ordinary signals stand those that the C library keeps for itself.
  auto const ordinary = [](std::string const& line) {
    return std::stoull(line.substr(line.find('\t')), nullptr, 16) & 0x7FFFFFFFU;
  };
  EXPECT_EQ(ordinary(pipe.read_line()), 0U) << "blocked";
  EXPECT_EQ(ordinary(pipe.read_line()), 0U) << "ignored";
  EXPECT_TRUE(child.wait(30s));
}

TEST(Process, AChildLeadsItsOwnGroup) {
  auto child = ChildProcess::spawn(shell("exec sleep 1000")).value();
  EXPECT_EQ(::getpgid(child.pid()), child.pid());
}

TEST(Process, TheLifelineIsAtItsEndWhenThisProcessDies) {
  TempDir const folder;
  Pipe pipe;
  // A process of our own that starts a child with a lifeline and then dies without a word.
  pid_t const parent = ::fork();
  ASSERT_GE(parent, 0);
  if (parent == 0) {
    auto options = shell("echo alive; read line <&9; echo end of file");
    options.output = UniqueFd(::dup(pipe.in.get()));
    options.lifeline_fd = 9;
    auto child = ChildProcess::spawn(std::move(options));
    if (!child) ::_exit(1);
    static ChildProcess leaked = std::move(*child);
    ::pause();
    ::_exit(leaked.pid() > 0 ? 0 : 2);
  }
  pipe.in.reset();
  EXPECT_EQ(pipe.read_line(), "alive");
  ::kill(parent, SIGKILL);
  ASSERT_EQ(::waitpid(parent, nullptr, 0), parent);
  EXPECT_EQ(pipe.read_line(), "end of file");
}

TEST(Process, TheLifelineStaysOpenWhileWeLive) {
  auto options = shell("read line <&9");
  options.lifeline_fd = 9;
  auto child = ChildProcess::spawn(std::move(options)).value();
  EXPECT_EQ(child.wait(50ms), std::nullopt);
  child.stop(30s);
}

TEST(Process, TheLifelineArrivesUnderItsNumberWhateverIsOpenHere) {
  // The pipe's own ends take the lowest free numbers; one of them is the number that is asked for.
  UniqueFd const probe = open_file("/dev/null", O_RDONLY).value();
  for (int number = 3; number < probe.get() + 4; ++number) {
    auto options = shell("read line </proc/self/fd/" + std::to_string(number));
    options.lifeline_fd = number;
    auto child = ChildProcess::spawn(std::move(options)).value();
    EXPECT_EQ(child.wait(20ms), std::nullopt) << number;
    child.stop(0ms);
  }
}

TEST(Process, AStatusIsToldAlsoWhenOurStarterIgnoredChildSignals) {
  std::signal(SIGCHLD, SIG_IGN);
  auto child = ChildProcess::spawn(shell("exit 3"));
  std::signal(SIGCHLD, SIG_DFL);
  ASSERT_TRUE(child) << child.error().message;
  EXPECT_EQ(child->wait(30s)->code, 3);
}

TEST(Process, AStatusThatSomebodyElseTookDoesNotHangTheWait) {
  auto child = ChildProcess::spawn(shell("exit 0")).value();
  ASSERT_EQ(::waitpid(child.pid(), nullptr, 0), child.pid());
  EXPECT_EQ(child.wait(30s)->code, 255);
}

TEST(Process, KnowsItself) {
  EXPECT_EQ(self_path().filename(), "base_test");
  EXPECT_GE(usable_cores(), 1U);
  EXPECT_GT(resident_bytes(::getpid()).value_or(0), 1'000'000U);
  EXPECT_EQ(resident_bytes(999'999'999), std::nullopt);
}

}  // namespace
}  // namespace homelab::os
