//! What goes wrong: each fault is one line of a scenario, so that a failing one is made smaller by leaving some out.

use std::time::Duration;

/// An operation of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Listening,
    Get,
    Lease,
    MoveCursor,
    Release,
    Record,
    ReadLedger,
    NoteHandedOver,
    NoteAutomated,
    KnownMessages,
    NoteMessages,
    FlowQueue,
    Credential,
    Put,
    SendJobs,
    Request,
    Schedules,
    ReadSender,
    ReadDelivery,
    BeginDelivery,
    SaveDelivery,
    TakeSession,
    ReleaseSession,
    RecordSending,
    Postpone,
    PublishOutcome,
    DeadLetter,
}

impl Op {
    pub(crate) const ALL: [Self; 17] = [
        Self::Listening,
        Self::Get,
        Self::Lease,
        Self::MoveCursor,
        Self::Release,
        Self::Record,
        Self::ReadLedger,
        Self::NoteHandedOver,
        Self::NoteAutomated,
        Self::KnownMessages,
        Self::NoteMessages,
        Self::FlowQueue,
        Self::Credential,
        Self::Put,
        Self::SendJobs,
        Self::Request,
        Self::Schedules,
    ];

    /// Those of sending.
    pub(crate) const OF_SENDING: [Self; 13] = [
        Self::ReadSender,
        Self::ReadDelivery,
        Self::BeginDelivery,
        Self::SaveDelivery,
        Self::KnownMessages,
        Self::NoteMessages,
        Self::TakeSession,
        Self::ReleaseSession,
        Self::RecordSending,
        Self::Credential,
        Self::Postpone,
        Self::PublishOutcome,
        Self::DeadLetter,
    ];

    /// Those between the lease and the move of the cursor, where the order is the guarantee.
    pub(crate) const OF_THE_HAND_OVER: [Self; 8] = [
        Self::Lease,
        Self::ReadLedger,
        Self::Put,
        Self::SendJobs,
        Self::NoteHandedOver,
        Self::MoveCursor,
        Self::Release,
        Self::Request,
    ];
}

/// What a service does instead of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServiceFault {
    /// It fails and has no effect.
    Fails,
    /// It takes effect, and the answer is lost.
    AnswerLost,
    /// It takes effect, the answer is lost, and the SDK asks again: the second answer counts.
    Repeated,
    /// It works, after this time.
    Slow(Duration),
    /// It takes effect at once, and answers after this time.
    LateAnswer(Duration),
    /// It does only a part: a queue takes some of the messages. Elsewhere, it fails.
    Partial,
}

/// A step of a session with a mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ServerStep {
    Connect,
    Greeting,
    Login,
    Open,
    List,
    Fetch,
    Change,
    SmtpConnect,
    SmtpGreeting,
    SmtpLogin,
    Mail,
    Recipient,
    Data,
    Dot,
    Filing,
}

/// What a mail server does instead of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerFault {
    /// It says nothing more.
    Hangs,
    /// It closes the connection instead of an answer.
    Closes,
    /// It closes the connection in the middle of an answer; after a final dot, once it has taken the message.
    Cuts,
    /// It answers with this line; `{tag}` stands for the command's tag. After BYE it closes the connection.
    Says(&'static str),
    /// It answers after this time.
    Slow(Duration),
    /// It says OK, and leaves out half of what was asked for.
    LeavesOut,
}

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    /// The first call of this operation after `from` meets the fault.
    Service { from: Duration, op: Op, fault: ServiceFault },
    /// Every call of these operations between `from` and `until` fails.
    Outage { from: Duration, until: Duration, op: Op },
    /// Every call of this operation between `from` and `until` takes this time.
    Slowness { from: Duration, until: Duration, op: Op, each: Duration },
    /// The first invocation that is at work after `from` dies at its `points`-th await from then on.
    Death { from: Duration, points: u32 },
    /// The index of listening profiles lags this far behind.
    StaleIndex { from: Duration, until: Duration, lag: Duration },
    /// A queue message that becomes visible after `from` is delivered twice.
    DeliveredTwice { from: Duration },
    /// The server of an owner fails at a step.
    Server { owner: usize, from: Duration, until: Duration, step: ServerStep, fault: ServerFault },
    /// The machines' clocks are wrong by this much.
    Clock { from: Duration, until: Duration, ahead_millis: i64 },
}

impl Fault {
    /// When it can do nothing more of itself.
    pub(crate) const fn end(&self) -> Duration {
        match self {
            Self::Service { from, .. } | Self::Death { from, .. } | Self::DeliveredTwice { from } => *from,
            Self::Outage { until, .. }
            | Self::Slowness { until, .. }
            | Self::StaleIndex { until, .. }
            | Self::Server { until, .. }
            | Self::Clock { until, .. } => *until,
        }
    }
}

/// The faults of a simulation, and which of them have happened.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    faults: Vec<(Fault, bool)>,
    /// From here on none begins.
    end: Duration,
}

impl Faults {
    pub(crate) fn new(faults: &[Fault], end: Duration) -> Self {
        Self { faults: faults.iter().map(|fault| (*fault, false)).collect(), end }
    }

    /// How many happened.
    pub(crate) fn happened(&self) -> usize {
        self.faults.iter().filter(|(_, happened)| *happened).count()
    }

    fn find<T>(&mut self, now: Duration, meets: impl Fn(&Fault, bool) -> Option<T>) -> Option<T> {
        if now >= self.end {
            return None;
        }
        self.faults.iter_mut().find_map(|(fault, happened)| {
            let met = meets(fault, *happened)?;
            *happened = true;
            Some(met)
        })
    }

    /// What an operation of a service meets now.
    pub(crate) fn of_service(&mut self, called: Op, now: Duration) -> Option<ServiceFault> {
        self.find(now, |fault, happened| match fault {
            Fault::Service { from, op, fault } if !happened && *op == called && *from <= now => Some(*fault),
            Fault::Outage { from, until, op } if *op == called && (*from..*until).contains(&now) => {
                Some(ServiceFault::Fails)
            }
            Fault::Slowness { from, until, op, each } if *op == called && (*from..*until).contains(&now) => {
                Some(ServiceFault::Slow(*each))
            }
            _ => None,
        })
    }

    /// Whether the job queue takes only a part of what it is sent now.
    pub(crate) fn takes_a_part(&mut self, now: Duration) -> bool {
        let partial = ServiceFault::Partial;
        let met = self.find(now, |fault, happened| match fault {
            Fault::Service { from, op: Op::SendJobs, fault }
                if *fault == partial && !happened && *from <= now =>
            {
                Some(())
            }
            _ => None,
        });
        met.is_some()
    }

    /// How many awaits an invocation that is at work now has left, if it is to die.
    pub(crate) fn death(&mut self, now: Duration) -> Option<u32> {
        self.find(now, |fault, happened| match fault {
            Fault::Death { from, points } if !happened && *from <= now => Some(*points),
            _ => None,
        })
    }

    /// How far the index lags behind.
    pub(crate) fn index_lag(&mut self, now: Duration) -> Option<Duration> {
        self.find(now, |fault, _| match fault {
            Fault::StaleIndex { from, until, lag } if (*from..*until).contains(&now) => Some(*lag),
            _ => None,
        })
    }

    /// Whether a queue message is delivered twice.
    pub(crate) fn delivered_twice(&mut self, now: Duration) -> bool {
        let twice = self.find(now, |fault, happened| match fault {
            Fault::DeliveredTwice { from } if !happened && *from <= now => Some(()),
            _ => None,
        });
        twice.is_some()
    }

    /// What a step of a session with an owner's server meets now.
    pub(crate) fn of_server(&mut self, of: usize, at: ServerStep, now: Duration) -> Option<ServerFault> {
        self.find(now, |fault, _| match fault {
            Fault::Server { owner, from, until, step, fault }
                if *owner == of && *step == at && (*from..*until).contains(&now) =>
            {
                Some(*fault)
            }
            _ => None,
        })
    }
}
