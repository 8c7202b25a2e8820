#include "sim/cli/interrupts.h"

#include <csignal>

namespace tonearm::sim {

namespace {

volatile std::sig_atomic_t interrupted = 0;
void on_interrupt(int signal) { interrupted = signal; }

}  // namespace

CatchInterrupts::CatchInterrupts() {
  interrupted = 0;
  old_int_ = std::signal(SIGINT, on_interrupt);
  old_term_ = std::signal(SIGTERM, on_interrupt);
}

CatchInterrupts::~CatchInterrupts() {
  std::signal(SIGINT, old_int_);
  std::signal(SIGTERM, old_term_);
}

int interrupted_by() { return interrupted; }

}  // namespace tonearm::sim
