//! The HTTP API's contract: its routes, the bodies that go over it, and the document that describes both.
//!
//! Read in this order: [`route`] (what can be asked for), [`profile`] and [`flow_schema`] (what is described),
//! [`profile_view`] (what is shown), [`message`] and [`upload`] (what is sent, and how it is doing), [`connection_test`]
//! (what a test tells), [`autoconfig`] (what is found for an address), [`sign_in`] (what is said of a sign-in), [`connect_link`] (pages
//! for owners of mailboxes), [`quarantine`] (what cannot be read), [`field`]
//! (every field's type with its bounds), [`problem`] (what is wrong with a body, all of it at once), [`patch`] (RFC 7396),
//! [`openapi`] (the document, made from all of these).
//!
//! What comes in is read once, into types that cannot hold anything else; the schemas of the document are made from the
//! same types. Deliberately absent: what becomes of a request, AWS, and mail servers.

pub mod address;
pub mod audit_view;
pub mod autoconfig;
pub mod connect_link;
pub mod connection_test;
pub mod console_route;
pub mod field;
pub mod flow_schema;
pub mod message;
pub mod openapi;
pub mod patch;
pub mod poll;
pub mod problem;
pub mod profile;
pub mod profile_view;
pub mod quarantine;
pub mod route;
pub mod send_request;
pub mod settings;
pub mod sign_in;
mod time_text;
pub mod upload;

#[cfg(test)]
mod tests;
