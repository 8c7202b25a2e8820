// Work that an interrupt ends early, with what there is so far.
#pragma once

namespace tonearm::sim {

// While it lives, SIGINT and SIGTERM do not end the process. One at a time.
class CatchInterrupts {
 public:
  CatchInterrupts();
  ~CatchInterrupts();
  CatchInterrupts(const CatchInterrupts&) = delete;
  CatchInterrupts& operator=(const CatchInterrupts&) = delete;

 private:
  void (*old_int_)(int);
  void (*old_term_)(int);
};

// The signal that came since the last one was made; 0: none.
int interrupted_by();

}  // namespace tonearm::sim
