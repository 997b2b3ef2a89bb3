//! The stack of `infra/template.yaml` on this machine: the same functions, built for the same runtime, deployed from
//! the same template to an emulator of AWS, beside a real mail server.
//!
//! Local is no second implementation: nothing here does what a function does. What is here gets tools ([`toolbox`]),
//! builds the functions ([`functions`]), starts servers ([`emulator`], [`dovecot`]), deploys ([`deploy`]) and says what
//! came of it ([`stack`]). The program `local` and the tests are its users; nothing of it is ever deployed.

pub mod certificates;
pub mod demo;
pub mod deploy;
pub mod dovecot;
pub mod driver;
pub mod emulator;
pub mod functions;
pub mod http;
pub mod lmtp;
pub mod openid;
pub mod problem;
pub mod progress;
mod show;
pub mod stack;
pub mod template;
pub mod tied;
pub mod toolbox;
pub mod up;
