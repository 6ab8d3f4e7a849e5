//! The crawler plugin on the real binary, against sites on this machine. `make host-test` builds both first.

mod every_page;
mod hostile;
mod kill_nine;
mod made;
