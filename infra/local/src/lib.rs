//! The stack of `infra/template.yaml` on this machine: the same functions, built for the same runtime, deployed from
//! the same template to an emulator of AWS, beside a real mail server.
//!
//! Local is not a second implementation: nothing here does what a function does. What is here gets tools ([`toolbox`]),
//! builds the functions ([`functions`]), starts servers ([`emulator`], [`dovecot`]), deploys ([`deploy`]) and says what
//! came of it ([`stack`]). The program `local` and the tests are its users; nothing of it is ever deployed.

pub mod certificates;
pub mod child_process;
pub mod demo;
pub mod deploy;
pub mod dovecot;
pub mod emulator;
pub mod functions;
pub mod http;
mod job_summary;
pub mod jobs;
pub mod lmtp;
pub mod logs;
pub mod npm;
pub mod openid;
pub mod packages;
pub mod problem;
pub mod progress;
pub mod schedule_driver;
pub mod stack;
pub mod template;
pub mod toolbox;
pub mod up;
