#pragma once
// The engine service: carries out what Schedule decides, with real processes, threads and requests.
#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "engine/engine_service.h"
#include "engine_task.h"
#include "generation.h"
#include "job_list.h"
#include "load_job.h"
#include "loaded_engine.h"
#include "schedule.h"
#include "service_loop.h"

namespace homelab::engine {

class Service final : public EngineService {
 public:
  Service(Options options, Dependencies dependencies, std::shared_ptr<ServiceLoop> loop,
          std::unique_ptr<ServiceLoop> worker);
  ~Service() override;

  void load(std::string name, bool force,
            std::function<void(Result<registry::Model>)> done) override;
  void unload(std::function<void(Result<std::string>)> done) override;
  void remove_model(std::string name, std::function<void(Result<registry::Model>)> done) override;
  void if_unused(std::vector<std::string> names, std::function<void(Status)> then) override;
  [[nodiscard]] std::optional<LoadedModel> loaded() const override;
  [[nodiscard]] std::vector<JobView> jobs() const override { return jobs_.views(); }
  std::shared_ptr<Running> generate(GenerateRequest request, GenerateCallbacks callbacks) override;
  void validate(std::function<void(Result<ValidateOutcome>)> done) override;
  std::shared_ptr<Running> forward(std::string method, std::string target, std::string body,
                                   http::LocalCallbacks callbacks) override;
  void shutdown(std::chrono::milliseconds grace) override;
  [[nodiscard]] bool performance_logging() const override { return performance_logging_; }
  void set_performance_logging(bool on) override { performance_logging_ = on; }

 private:
  class Host;
  struct LoadWaiter {
    std::function<void(Result<registry::Model>)> done;
    std::string name;
  };

  // Service loop only, down to no_model().
  void apply(Effects effects);
  [[nodiscard]] Effects perform(Effect const& effect);
  [[nodiscard]] Effects start_load(StartLoad const& effect);
  void stop_engine();
  void answer(Answer const& answer);
  void answer_load(LoadWaiter const& waiter, Reply reply);
  void answer_unload(std::function<void(Result<std::string>)> const& done, Reply reply);
  void load_finished(std::shared_ptr<LoadJob> const& job, LoadOutcome const& outcome);
  void watch_engine();
  void unwatch_engine();
  /// Takes the engine out of service; its requests end with `reason`.
  [[nodiscard]] std::shared_ptr<LoadedEngine> retire_engine(Error const& reason);
  void engine_ended();
  void start_task(std::shared_ptr<EngineTask> const& task);
  void decide_broken(std::shared_ptr<EngineTask> const& task, Error const& error);
  void forget_task(std::shared_ptr<EngineTask> const& task);
  void remove_now(std::string const& name,
                  std::function<void(Result<registry::Model>)> const& done);
  [[nodiscard]] Status check_unused(std::string const& name) const;
  void validate_now(std::function<void(Result<ValidateOutcome>)> const& done);
  [[nodiscard]] Error no_model() const;

  void publish();
  /// Hands a task to the loop, or ends it at once when the loop takes no more work.
  void submit(std::shared_ptr<EngineTask> const& task);
  /// Posts a request, or gives `refused` the reason why not.
  void post_or_refuse(ServiceLoop::Command command, std::function<void(Error)> const& refused);
  [[nodiscard]] Generation::LogRow row_logger();

  Options const options_;
  Dependencies const dependencies_;
  JobList jobs_;
  std::atomic<bool> performance_logging_{true};
  std::atomic<bool> refusing_{false};

  // State of the service loop.
  Schedule schedule_;
  Ticket last_ticket_ = 0;
  std::map<Ticket, LoadWaiter> load_waiters_;
  std::map<Ticket, std::function<void(Result<std::string>)>> unload_waiters_;
  std::shared_ptr<LoadedEngine> engine_;
  std::shared_ptr<LoadJob> load_;
  std::string loading_name_;
  std::string last_unloaded_;
  std::uint64_t load_number_ = 0;
  std::shared_ptr<std::optional<std::string>> const device_ =
      std::make_shared<std::optional<std::string>>();
  Result<registry::Model> last_outcome_ = fail(Code::kInternal, "no load yet");
  std::string last_death_;  // why the last engine ended by itself, until the next load
  std::set<std::shared_ptr<EngineTask>> tasks_;
  std::map<std::shared_ptr<EngineTask>, Error> broken_;  // connection gone, engine perhaps too

  mutable std::mutex published_mutex_;
  std::condition_variable progress_;
  std::shared_ptr<LoadedEngine const> published_;  // guarded by published_mutex_
  std::size_t running_tasks_ = 0;                  // guarded by published_mutex_
  bool idle_ = true;                               // guarded by published_mutex_
  bool shut_down_ = false;                         // guarded by published_mutex_
  bool last_command_ran_ = false;                  // guarded by published_mutex_

  std::mutex shutdown_mutex_;  // one shutdown at a time
  std::shared_ptr<ServiceLoop> const loop_;
  std::unique_ptr<ServiceLoop> const worker_;  // the load thread
  std::shared_ptr<TaskHost> host_;
};

}  // namespace homelab::engine
