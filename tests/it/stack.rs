//! The deployed whole.

mod deployed;
mod rights;
mod secrecy;
mod watching;
