//! What definitions are, what is refused, and with which words.

mod arbitrary;
mod inputs;
mod mistakes;
mod overrides;
mod plans;
mod plugin_config;
mod support;
mod units;
