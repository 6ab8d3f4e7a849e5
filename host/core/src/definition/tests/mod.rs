//! What definitions are, what is refused, and with which words.

mod mistakes;
mod support;
