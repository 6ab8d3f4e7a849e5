//! The keeper: renews the lease, tells attempts to end, and runs the housekeeping.
