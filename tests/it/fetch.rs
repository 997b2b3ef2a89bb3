//! Messages come in: each new message becomes a job, once, whatever happens on the way.

mod crash;
mod first_poll;
mod hostile;
mod large;
mod mailbox;
mod new_mail;
mod owner_errors;
mod owner_warnings;
mod planning;
mod winmail;
