//! What the audit function promises: a message that has no job is found and can be brought back, what is in order is not
//! reported, and a doubtful answer is never taken for *fine*.

mod comparing;
mod hostile;
mod repairing;
mod sabotage;
