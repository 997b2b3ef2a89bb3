//! Profiles log in with what an OpenID provider grants.

mod browser;
mod credential_scope;
mod provider;
mod refreshing;
mod signing_in;
mod unattended;
