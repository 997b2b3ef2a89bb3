//! Profiles log in with what an OpenID provider grants.

mod signing_in;
