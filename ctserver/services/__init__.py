"""One public function per use case: load, decide (domain), save. No SQL, no sockets."""
