"""One public function per use case: load, decide (domain), save, record facts."""
