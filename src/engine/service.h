#pragma once
// The engine service: carries out what Schedule decides, with real processes, threads and requests.
#include <atomic>
#include <condition_variable>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine_service.h"
#include "engine_task.h"
#include "generation.h"
#include "job_list.h"
#include "load_job.h"
#include "loaded_engine.h"
#include "memory_book.h"
#include "model_changes.h"
#include "schedule.h"
#include "service_loop.h"
#include "task_desk.h"

namespace homelab::engine {

class Service final : public EngineService {
 public:
  /// `loader` runs loads, `stopper` waits for engines that stop.
  struct Threads {
    std::shared_ptr<ServiceLoop> loop;
    std::unique_ptr<ServiceLoop> loader;
    std::unique_ptr<ServiceLoop> stopper;
  };
  Service(Options options, Dependencies dependencies, Threads threads);
  ~Service() override;

  void load(std::string name, bool force, Place place,
            std::function<void(Result<registry::Model>)> done) override;
  void unload(std::string name, std::function<void(Result<std::string>)> done) override;
  void remove_model(std::string name, std::function<void(Result<registry::Model>)> done) override;
  void if_unused(std::vector<std::string> names, std::function<void(Status)> then) override;
  [[nodiscard]] std::optional<LoadedModel> loaded() const override;
  [[nodiscard]] std::vector<LoadedModel> all_loaded() const override;
  [[nodiscard]] std::vector<JobView> jobs() const override { return jobs_.views(); }
  [[nodiscard]] RequestCounts request_counts() const override;
  [[nodiscard]] std::chrono::seconds retry_after(std::string const& model) const override;
  [[nodiscard]] std::shared_ptr<LogFile> log_of(std::string const& model) const override {
    return logs_->find(model);
  }
  std::shared_ptr<Running> generate(GenerateRequest request, GenerateCallbacks callbacks) override;
  void validate(std::function<void(Result<ValidateOutcome>)> done) override;
  std::shared_ptr<Running> forward(ForwardRequest request, http::LocalCallbacks callbacks) override;
  void shutdown(std::chrono::milliseconds grace) override;
  [[nodiscard]] ExternalEngines const& external_engines() const override {
    return options_.external;
  }
  [[nodiscard]] bool performance_logging() const override { return performance_logging_; }
  void set_performance_logging(bool on) override { performance_logging_ = on; }

 private:
  class Host;
  struct LoadWaiter {
    std::function<void(Result<registry::Model>)> done;
    std::string name;
  };

  /// What a load needs to know when it asks for room.
  using Room = Result<std::vector<std::shared_ptr<LoadedEngine>>>;
  using Engine = std::shared_ptr<LoadedEngine>;

  // Service loop only, down to why_not().
  void apply(Effects effects);
  [[nodiscard]] Effects perform(Effect const& effect);
  [[nodiscard]] Effects start_load(StartLoad const& effect);
  void cancel_load();
  [[nodiscard]] Effects measure_room();
  void grant_room(GrantRoom const& effect);
  void deny_room();
  void stop_engine(std::string const& model);
  void answer(Answer const& answer);
  void answer_load(LoadWaiter const& waiter, Reply reply);
  void answer_unload(std::function<void(Result<std::string>)> const& done, Answer const& answer);
  void answer_task(Answer const& answer);
  void load_finished(std::shared_ptr<LoadJob> const& job, LoadOutcome const& outcome);
  void watch(Engine const& engine);
  void unwatch(LoadedEngine const& engine);
  // service_health.cpp
  void check_health_later(Engine const& engine);
  void check_health(Engine const& engine);
  void health_checked(std::weak_ptr<LoadedEngine> const& asked,
                      std::optional<Error> const& trouble);
  /// For requests to external engines; made with the first of them.
  [[nodiscard]] http::Client& outside_client();
  /// Takes an engine out of service; its requests end with `reason`.
  [[nodiscard]] Engine retire(std::string const& model, Error const& reason,
                              TaskDesk::Rest rest = TaskDesk::Rest::kDropped);
  void engine_ended(std::string const& model);
  /// Looks at working engines now and then, as long as there are any.
  void watch_for_hangs();
  void look_for_hangs();
  [[nodiscard]] bool hangs(LoadedEngine& engine) const;
  void end_hung(std::string const& model);
  void start_task(std::shared_ptr<EngineTask> const& task, std::string const& model,
                  std::optional<Seconds> keep_alive);
  void task_ended(std::shared_ptr<EngineTask> const& task);
  void remove_now(std::string const& name,
                  std::function<void(Result<registry::Model>)> const& done);
  [[nodiscard]] Status check_unused(std::string const& name) const;
  void validate_now(std::function<void(Result<ValidateOutcome>)> const& done);
  void set_timer();
  /// Why a request cannot run.
  [[nodiscard]] Error why_not(Answer const& answer) const;
  /// Why a load is not tried now; none = it is.
  [[nodiscard]] std::optional<Error> load_refusal(std::string const& model, bool force);

  /// The load thread waits here for room; the answer comes from the service loop.
  [[nodiscard]] Room wait_for_room(std::uint64_t bytes);
  void publish();
  [[nodiscard]] std::vector<ModelChange> changes();
  /// Hands a task to the loop, or ends it at once when the loop takes no more work.
  void submit(std::shared_ptr<EngineTask> const& task, std::string model,
              std::optional<Seconds> keep_alive);
  /// Posts a request, or gives `refused` the reason why not.
  void post_or_refuse(ServiceLoop::Command command, std::function<void(Error)> const& refused);
  [[nodiscard]] LogRow row_logger();

  Options const options_;
  Dependencies const dependencies_;
  JobList jobs_;
  MemoryBook memory_;
  std::shared_ptr<LogBook> const logs_ = std::make_shared<LogBook>();
  std::atomic<bool> performance_logging_{options_.performance_logging};
  std::atomic<bool> refusing_{false};

  // State of the service loop.
  Schedule schedule_;
  Ticket last_ticket_ = 0;
  std::map<Ticket, LoadWaiter> load_waiters_;
  std::map<Ticket, std::function<void(Result<std::string>)>> unload_waiters_;
  std::map<std::string, Engine> engines_;  // by model
  std::shared_ptr<LoadJob> load_;
  std::string loading_name_;
  std::optional<std::promise<Room>> room_;  // asked for by the running load
  std::uint64_t room_bytes_ = 0;            // how much
  std::uint64_t free_bytes_ = 0;            // when it was measured last
  std::uint64_t load_number_ = 0;
  std::shared_ptr<std::optional<std::string>> const device_ =
      std::make_shared<std::optional<std::string>>();
  Result<registry::Model> last_outcome_ = fail(Code::kInternal, "no load yet");
  std::map<std::string, std::string> last_failure_;  // why a model's last load failed; bounded
  std::string last_death_;  // why the last engine ended by itself, until the next load
  std::optional<Time> timer_;
  ModelChanges changes_;
  bool watching_ = false;  // for engines that hang

  mutable std::mutex published_mutex_;
  std::condition_variable progress_;
  std::map<std::string, std::shared_ptr<LoadedEngine const>> published_;  // guarded, as the rest
  std::string published_current_;
  std::map<std::string, Time> published_retries_;
  std::size_t running_tasks_ = 0;
  bool idle_ = true;
  bool shut_down_ = false;
  bool last_command_ran_ = false;

  std::mutex shutdown_mutex_;  // one shutdown at a time
  std::shared_ptr<ServiceLoop> const loop_;
  std::unique_ptr<ServiceLoop> const loader_;
  std::unique_ptr<ServiceLoop> const stopper_;
  TaskDesk desk_;
  std::shared_ptr<TaskHost> host_;
  /// The last member: its thread, which may still end requests, ends before everything else goes.
  std::unique_ptr<http::Client> outside_;
};

}  // namespace homelab::engine
