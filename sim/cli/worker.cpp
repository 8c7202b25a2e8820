#include "sim/cli/worker.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <ctime>

#include "sim/cli/checked_run.h"
#include "sim/cli/crash_guard.h"
#include "sim/cli/problems.h"
#include "sim/cli/worker_report.h"

namespace tonearm::sim {

namespace {

constexpr int poll_millis = 100;

u64 cpu_micros() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<u64>(time.tv_sec) * 1'000'000 + static_cast<u64>(time.tv_nsec) / 1000;
}

void become_worker() {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::signal(SIGINT, SIG_IGN);  // The parent decides what an interrupt means.
  std::signal(SIGTERM, SIG_DFL);
  std::signal(SIGPROF, SIG_DFL);
  std::signal(SIGPIPE, SIG_DFL);
  const rlimit no_core{.rlim_cur = 0, .rlim_max = 0};
  setrlimit(RLIMIT_CORE, &no_core);
}

void play_and_send(int pipe, const PreparedRun& prepared, const Checks& checks, RunnerMemory& memory,
                   const RunLimits& limits = {}) {
  const u64 before = cpu_micros();
  set_fatal_failure([pipe, before](const RunConfig&, const RunResult& result) {
    send_report(pipe, {.result = result,
                       .cpu_micros = cpu_micros() - before,
                       .impossible = {},
                       .branch = {},
                       .last = true});
  });
  RunResult result;
  {
    const CpuLimit limit(limits, &memory.trace());
    RunConfig config = prepared.config();
    config.steps_max = limits.steps;
    result = play_checked(config, checks, memory);
  }
  send_report(pipe, {.result = std::move(result),
                     .cpu_micros = cpu_micros() - before,
                     .impossible = {},
                     .branch = {},
                     .last = false});
}

Failure death_failure(int status, bool hung) {
  if (hung) return signal_failure(SIGPROF, 0);
  return signal_failure(WIFSIGNALED(status) ? WTERMSIG(status) : 0, WEXITSTATUS(status));
}

// What a branch has not inherited.
void become_branch() {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  CpuLimit::restart({});
}

// The run, and each of its branches in a process that ends with it, report to the same pipe, one at a time.
void play_guided(int pipe, const Job& job, PreparedRun& prepared, const PlayPlan& plan,
                 RunnerMemory& memory) {
  auto owned =
      std::make_unique<ReseededSource>(*plan.workloads[job.workload], job.seed, prepared.options, Reseeds{});
  Guide guide(job.guidance, job.seed, *owned);
  prepared.source = std::move(owned);
  guide.set_birth(become_branch);
  guide.set_death(&pipe, [](void* context, const Guide::Death& death) {
    WorkerReport report;
    report.result.failure = death_failure(death.status, false);
    report.cpu_micros = death.cpu_micros;
    report.branch = death.branch;
    send_report(*static_cast<const int*>(context), report);
  });
  const u64 before = cpu_micros();
  const auto send = [&](const RunResult& result, bool last) {
    const bool branch = guide.branch().has_value();
    send_report(pipe, {.result = result,
                       .cpu_micros = cpu_micros() - (branch ? 0 : before),
                       .impossible = {},
                       .branch = guide.branch(),
                       .last = last && !branch});
    if (branch) _exit(0);
  };
  set_fatal_failure([&](const RunConfig&, const RunResult& result) { send(result, true); });
  RunResult result;
  {
    const CpuLimit limit(RunLimits{}, nullptr);
    RunConfig config = prepared.config();
    config.reached = &guide;
    result = play_checked(config, plan.checks, memory);
  }
  send(result, false);
}

void play_job(int pipe, const Job& job, const PlayPlan& plan, RunnerMemory& memory) {
  std::string problem;
  const Workload& workload = *plan.workloads[job.workload];
  PreparedRun prepared = prepare_seed(plan, workload, job.seed, &problem);
  if (problem.empty()) {
    if (job.guidance.branches_max > 0) return play_guided(pipe, job, prepared, plan, memory);
    play_and_send(pipe, prepared, plan.checks, memory);
    return;
  }
  WorkerReport report;
  if (plan.changes.empty()) {
    report.result.failure.failure_class = FailureClass::sim;
    report.result.failure.site = "the workload drew impossible options";
    report.result.failure.message = problem;
  } else {
    report.impossible = problem;
  }
  send_report(pipe, report);
}

[[noreturn]] void worker_main(int jobs, int reports, const PlayPlan& plan) {
  become_worker();
  RunnerMemory memory;
  Job job;
  for (;;) {
    const ssize_t got = read(jobs, &job, sizeof(job));
    if (got < 0 && errno == EINTR) continue;
    if (got != sizeof(job)) _exit(0);
    play_job(reports, job, plan, memory);
  }
}

void make_pipe(int (&ends)[2]) {
  if (pipe(ends) != 0)
    throw EnvironmentError(fmt::format("a pipe could not be made: {}", std::strerror(errno)));
}

pid_t fork_child() {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child < 0)
    throw EnvironmentError(fmt::format("a worker could not be started: {}", std::strerror(errno)));
  return child;
}

int wait_for(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

// False at the end.
bool read_more(int pipe, std::string* bytes) {
  char buffer[1 << 16];
  ssize_t got = 0;
  do {
    got = read(pipe, buffer, sizeof(buffer));
  } while (got < 0 && errno == EINTR);
  if (got > 0) bytes->append(buffer, static_cast<std::size_t>(got));
  return got > 0;
}

}  // namespace

u64 clock_millis() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<u64>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

namespace {

// One run in a child of its own.
struct Isolated {
  pid_t child = -1;
  int reports = -1;

  void start(const PreparedRun& prepared, const Checks& checks, const RunLimits& limits, bool interruptible) {
    int ends[2];
    make_pipe(ends);
    child = fork_child();
    if (child == 0) {
      close(ends[0]);
      become_worker();
      if (interruptible) std::signal(SIGINT, SIG_DFL);
      RunnerMemory memory;
      play_and_send(ends[1], prepared, checks, memory, limits);
      _exit(0);
    }
    close(ends[1]);
    reports = ends[0];
  }

  RunResult finish(const std::function<void()>& watch = {}) {
    std::string bytes;
    while (quiet(watch) || read_more(reports, &bytes)) {
    }
    close(reports);
    const int status = wait_for(child);
    if (std::optional<WorkerReport> report = take_report(&bytes)) return std::move(report->result);
    RunResult result;
    result.failure = death_failure(status, false);
    return result;
  }

 private:
  // Nothing has come for a while. An interrupt is no report either.
  bool quiet(const std::function<void()>& watch) const {
    if (!watch) return false;
    pollfd polled{.fd = reports, .events = POLLIN, .revents = 0};
    if (poll(&polled, 1, poll_millis) > 0) return false;
    watch();
    return true;
  }
};

}  // namespace

RunResult play_isolated(const PreparedRun& prepared, const PlayPlan& plan, u32 cpu_seconds) {
  Isolated run;
  run.start(prepared, plan.checks, {.cpu_seconds = cpu_seconds}, true);
  return run.finish();
}

RunResult play_isolated(const PreparedRun& prepared, const PlayPlan& plan) {
  return play_isolated(prepared, plan, run_cpu_seconds_max);
}

std::vector<RunResult> play_isolated(std::span<const PreparedRun> runs, const Checks& checks,
                                     const RunLimits& limits) {
  std::vector<Isolated> started(runs.size());
  for (std::size_t i = 0; i < runs.size(); ++i) started[i].start(runs[i], checks, limits, false);
  std::vector<RunResult> results;
  for (Isolated& run : started) results.push_back(run.finish());
  return results;
}

RunResult play_isolated(const PreparedRun& run, const Checks& checks, const RunLimits& limits,
                        const std::function<void()>& watch) {
  Isolated isolated;
  isolated.start(run, checks, limits, false);
  return isolated.finish(watch);
}

WorkerPool::WorkerPool(const PlayPlan& plan, u32 workers) : plan_(&plan), workers_(workers) {
  std::signal(SIGPIPE, SIG_IGN);
  for (Worker& worker : workers_) spawn(&worker);
}

WorkerPool::~WorkerPool() {
  for (Worker& worker : workers_) {
    if (worker.pid < 0) continue;
    kill(worker.pid, SIGKILL);
    reap(&worker);
  }
}

void WorkerPool::spawn(Worker* worker) {
  int jobs[2];
  int reports[2];
  make_pipe(jobs);
  make_pipe(reports);
  const pid_t child = fork_child();
  if (child == 0) {
    for (const Worker& other : workers_) {
      if (other.pid < 0) continue;
      close(other.jobs);
      close(other.reports);
    }
    close(jobs[1]);
    close(reports[0]);
    worker_main(jobs[0], reports[1], *plan_);
  }
  close(jobs[0]);
  close(reports[1]);
  *worker = Worker{};
  worker->pid = child;
  worker->jobs = jobs[1];
  worker->reports = reports[0];
}

int WorkerPool::reap(Worker* worker) {
  close(worker->jobs);
  close(worker->reports);
  const int status = wait_for(worker->pid);
  worker->pid = -1;
  return status;
}

void WorkerPool::give(Worker* worker, const Job& job) {
  worker->job = job;
  worker->busy = true;
  worker->started = clock_millis();
  // A worker that is gone is noticed when its report is read.
  const ssize_t written = write(worker->jobs, &job, sizeof(job));
  static_cast<void>(written);
}

void WorkerPool::receive(Worker* worker, const OnOutcome& on_outcome) {
  if (!read_more(worker->reports, &worker->bytes)) return died(worker, on_outcome);
  while (std::optional<WorkerReport> report = take_report(&worker->bytes)) {
    Job job = worker->job;
    job.branch = report->branch;
    worker->busy = job.branch.has_value();
    worker->started = clock_millis();
    on_outcome({.job = job,
                .result = std::move(report->result),
                .cpu_micros = report->cpu_micros,
                .impossible = std::move(report->impossible)});
    if (!report->last) continue;
    reap(worker);
    spawn(worker);
    return;
  }
}

void WorkerPool::died(Worker* worker, const OnOutcome& on_outcome) {
  const bool killed = worker->killed;
  const bool busy = worker->busy;
  const Job job = worker->job;
  const int status = reap(worker);
  if (!busy) throw EnvironmentError("a worker ended without a job");
  Outcome outcome;
  outcome.job = job;
  outcome.result.failure = death_failure(status, killed);
  on_outcome(outcome);
  spawn(worker);
}

void WorkerPool::kill_stuck() {
  const u64 now = clock_millis();
  for (Worker& worker : workers_) {
    if (!worker.busy || worker.killed || now - worker.started < u64{run_wall_seconds_max} * 1000) continue;
    worker.killed = true;
    kill(worker.pid, SIGKILL);
  }
}

void WorkerPool::play(const NextJob& next, const OnOutcome& on_outcome, const Stop& stop) {
  bool more = true;
  std::vector<pollfd> polled(workers_.size());
  while (!stop()) {
    bool busy = false;
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      Worker& worker = workers_[i];
      if (more && !worker.busy) {
        const std::optional<Job> job = next();
        more = job.has_value();
        if (job) give(&worker, *job);
      }
      busy |= worker.busy;
      polled[i] = {.fd = worker.reports, .events = POLLIN, .revents = 0};
    }
    if (!busy) return;
    if (poll(polled.data(), polled.size(), poll_millis) > 0) {
      for (std::size_t i = 0; i < workers_.size(); ++i) {
        if ((polled[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0) receive(&workers_[i], on_outcome);
      }
    }
    kill_stuck();
  }
}

}  // namespace tonearm::sim
