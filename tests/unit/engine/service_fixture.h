#pragma once
// An engine service on fake engines: real registry, real sockets, real processes.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "engine/engine_service.h"
#include "http/local_client.h"
#include "http/server.h"
#include "support/temp_dir.h"

namespace homelab::engine {

/// A downloader that knows repositories by name: each is a folder, an error, or a download that
/// never ends by itself.
class FakeDownloader : public hub::Downloader {
 public:
  void serve(std::string const& repo, std::filesystem::path folder) {
    std::lock_guard const lock(mutex_);
    folders_[repo] = std::move(folder);
  }
  void refuse(std::string const& repo, Error error) {
    std::lock_guard const lock(mutex_);
    errors_[repo] = std::move(error);
  }
  void hang(std::string const& repo) {
    std::lock_guard const lock(mutex_);
    hanging_ = repo;
  }
  [[nodiscard]] int calls() const { return calls_; }

  [[nodiscard]] Result<hub::ReadySnapshot> ensure(hub::DownloadRequest request) override;

 private:
  std::mutex mutex_;
  std::map<std::string, std::filesystem::path> folders_;
  std::map<std::string, Error> errors_;
  std::string hanging_;
  std::atomic<int> calls_{0};
};

/// Gathers what a generation says and lets the test wait for it.
class Listener {
 public:
  struct Heard {
    std::int64_t input_tokens = -1;
    std::string text;
    int texts = 0;
    std::optional<Result<GenerateStats>> result;
    int ends = 0;
  };
  [[nodiscard]] GenerateCallbacks callbacks();
  /// Waits for the end; fails the test after 30 s.
  Heard wait();
  /// Waits until `count` pieces of text have come.
  void wait_for_texts(int count);
  [[nodiscard]] Heard now();

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    Heard heard;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

class ServiceTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  /// Starts the service anew, with what `options_` says now.
  void start_service();
  /// Registers `name` as a local GGUF file whose fake engine has `flags`.
  void add_local(std::string const& name, std::string const& flags = "");
  /// Writes the row's load_config, as PATCH of the original did.
  void set_load_config(std::string const& name, std::string const& text);
  /// Registers `name` as repository `repo`.
  void add_repository(std::string const& name, std::string const& repo);

  [[nodiscard]] Result<registry::Model> load(std::string const& name, bool force = false);
  [[nodiscard]] std::future<Result<registry::Model>> load_later(std::string const& name,
                                                                bool force = false,
                                                                Place place = Place::kInstead);
  [[nodiscard]] Result<registry::Model> load_beside(std::string const& name);
  [[nodiscard]] Result<std::string> unload(std::string const& name = {});
  Result<registry::Model> remove(std::string const& name);
  [[nodiscard]] Status check_unused(std::vector<std::string> names);
  [[nodiscard]] Result<ValidateOutcome> validate();
  Listener::Heard generate(GenerateRequest request);
  [[nodiscard]] registry::Model row(std::string const& name);
  [[nodiscard]] std::string forward(std::string const& method, std::string const& target,
                                    std::string const& body = "", std::string const& model = "");
  /// Polls until true; fails the test after 30 s.
  static void eventually(std::function<bool()> const& condition, std::string const& what);

  test::TempDir folder_;
  std::unique_ptr<http::IoLoops> loops_;
  std::unique_ptr<registry::Registry> registry_;
  FakeDownloader downloader_;
  std::unique_ptr<cache::Locations> locations_;
  Options options_;
  std::unique_ptr<EngineService> service_;
};

}  // namespace homelab::engine
