//! The deployed whole.

mod deployed;
mod secrecy;
