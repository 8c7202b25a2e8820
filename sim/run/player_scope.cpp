// Scopes: what is discarded has never been.
#include "sim/run/player.h"

namespace tonearm::sim {

void Player::line_scope() {
  if (standing_ == Standing::sticky) return out_change();
  if (host_->forest().scope_active()) return skip();
  key_ranges_.scope_opens(*host_, world_);
  if (!host_->scope_open()) refused("scope");
  model_.scope_open();
  effective_scope_ = effective_op_.size();
}

void Player::line_end() {
  if (!host_->forest().scope_active()) return skip();
  if (!line_.persist) return scope_discard();
  host_->scope_close(ScopeMode::persist);
  model_.scope_close(true);
}

void Player::scope_discard() {
  if (!host_->forest().scope_active()) return;
  host_->scope_close(ScopeMode::discard);
  if (config_->oracles.has(Oracle::audit)) {
    ++result_.counters.checks;
    if (const std::string text = key_ranges_.discarded(*host_, world_); !text.empty())
      fail(FailureClass::oracle, "key range: not as before the scope", text);
  }
  model_.scope_close(false);
  if (effective_op_.size() > effective_scope_) effective_op_.resize(effective_scope_, {});
}

}  // namespace tonearm::sim
