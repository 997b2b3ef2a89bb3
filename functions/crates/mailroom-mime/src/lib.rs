//! Messages as bytes: [`parse`] reads what arrived, [`compose`] writes what is to be sent.
//!
//! mail-parser stays inside [`parse`], lettre inside [`compose`]. Deliberately absent: I/O, clocks, an async runtime;
//! every function gives the same answer for the same bytes.

pub mod compose;
pub mod parse;
