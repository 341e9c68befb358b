// The server as a program: what an external engine's command starts in the tests.
//   --port N --model NAME     where it listens, what it lists
//   --say TEXT                a line on stdout at the start (any number of times)
//   --environment NAME        the same with a variable of the environment
//   --exit CODE               ends at once
//   --lines N                 writes N lines, 20 ms apart, before it listens
//   --health STATUS           what /health says
//   --ill-after N             /health says 500 from the answer after that on
//   --child                   has a second process, whose number it writes
//   --stubborn                does not end for SIGTERM
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "server.h"

namespace {

void say(std::string const& text) {
  std::puts(text.c_str());
  std::fflush(stdout);
}

struct Wishes {
  int port = 0;
  int lines = 0;
  homelab::test::OpenAiServer::Behaviour behaviour;
};

void have_a_child() {
  auto const child = ::fork();
  if (child == 0) {
    while (true) ::pause();
  }
  say("child " + std::to_string(child));
}

Wishes read(std::vector<std::string> const& arguments) {
  Wishes out;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    std::string const& flag = arguments[i];
    if (flag == "--child") {
      have_a_child();
      continue;
    }
    if (flag == "--stubborn") {
      ::signal(SIGTERM, SIG_IGN);
      continue;
    }
    std::string const value = ++i < arguments.size() ? arguments[i] : "";
    if (flag == "--port") out.port = std::stoi(value);
    if (flag == "--lines") out.lines = std::stoi(value);
    if (flag == "--model") out.behaviour.models = {value};
    if (flag == "--health") out.behaviour.health = std::stoi(value);
    if (flag == "--ill-after") out.behaviour.ill_after = std::stoi(value);
    if (flag == "--say") say(value);
    if (flag == "--exit") ::_exit(std::stoi(value));
    if (flag == "--environment") {
      char const* const content = std::getenv(value.c_str());
      say(value + "=" + (content == nullptr ? "(not set)" : content));
    }
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  auto wishes = read({argv + 1, argv + argc});
  for (int line = 0; line < wishes.lines; ++line) {
    say("getting ready " + std::to_string(line));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  homelab::test::OpenAiServer const server(wishes.behaviour, wishes.port);
  while (true) ::pause();
}
