//! What a seed decides: the owners and their servers, what happens in their mailboxes, and what goes wrong.

use std::time::Duration;

use crate::faults::{Fault, Op, ServerFault, ServerStep, ServiceFault};
use crate::random::Random;

/// A mailbox's owner, with the server that the mailbox is on.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    /// Seconds between two polls.
    pub(crate) interval: u32,
    pub(crate) start: Start,
    pub(crate) include_seen: bool,
    pub(crate) after_fetch: After,
    /// Messages that lie there before the profile is created.
    pub(crate) old: u32,
    pub(crate) server: ServerHabits,
}

/// What counts as new at the first poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Now,
    All,
}

/// What is done to a message after the hand-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    Keep,
    MarkSeen,
    Move,
}

/// What servers differ in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServerHabits {
    pub(crate) says_uid_next: bool,
    pub(crate) says_uid_validity: bool,
    pub(crate) has_move: bool,
    /// How far the server's clock is ahead, in minutes: INTERNALDATE is by it.
    pub(crate) minutes_ahead: i64,
}

/// A message that always makes the server fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Poison {
    /// The server closes the connection in the middle of it.
    Cuts,
    /// The server falls silent in the middle of it.
    Hangs,
    /// The server says that it cannot read it.
    Refused,
    /// The server refuses each listing that it is in, and cannot read it.
    BreaksListing,
    /// The server closes the connection at each listing that it is in.
    CutsListing,
    /// The server counts it and finds it, and neither lists nor gives it.
    Hidden,
}

/// A message that arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Letter {
    /// What it says; two with the same content are equal, byte by byte.
    pub(crate) content: u32,
    /// Bytes of its body.
    pub(crate) bytes: usize,
    pub(crate) poison: Option<Poison>,
}

/// What happens beside the functions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Happening {
    /// A message arrives.
    Arrives { owner: usize, letter: Letter },
    /// Another program deletes the n-th newest message.
    Expunged { owner: usize, newest: usize },
    /// Another program sets `\Seen` on the n-th newest message.
    Seen { owner: usize, newest: usize },
    /// The server recreates the mailbox: all messages get new UIDs.
    Renumbered { owner: usize },
    /// The owner edits words of the profile.
    Renamed { owner: usize },
    /// The owner gives the server another of its names.
    ServerRenamed { owner: usize },
    /// The owner turns listening off, or on again.
    Toggled { owner: usize },
    /// The owner asks for a poll now.
    FetchAsked { owner: usize },
    /// The owner answers that the messages that are held back are to be handed over.
    Accepted { owner: usize },
    /// A schedule fires once more: EventBridge delivers at least once.
    FiresAgain { owner: usize },
    /// A flow puts a message on the send queue.
    SendAsked { owner: usize, message: u32, recipients: u32 },
}

/// All that a seed decides.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) owners: Vec<Owner>,
    pub(crate) happenings: Vec<(Duration, Happening)>,
    pub(crate) faults: Vec<Fault>,
    /// When nothing happens any more, and no fault begins.
    pub(crate) end: Duration,
}

impl Scenario {
    /// The scenario of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let interval = match random.below(20) {
            0 => 20,
            1..=9 => 60,
            10..=16 => 300,
            17 | 18 => 1800,
            _ => 86_400,
        };
        let owners: Vec<Owner> = (0..random.range(1, 3)).map(|_| owner(&mut random, interval)).collect();
        let end = Duration::from_secs(u64::from(interval)) * random.range(8, 24);
        let mut scenario = Self { seed, owners, happenings: Vec::new(), faults: Vec::new(), end };
        scenario.draw_happenings(&mut random);
        scenario.draw_faults(&mut random);
        scenario
    }

    /// The longest time between two polls of an owner.
    pub(crate) fn longest_interval(&self) -> Duration {
        let seconds = self.owners.iter().map(|owner| u64::from(owner.interval)).max();
        Duration::from_secs(seconds.unwrap_or_default())
    }

    fn draw_happenings(&mut self, random: &mut Random) {
        let mut content = 0;
        let mut previous = None;
        for owner in 0..self.owners.len() {
            for _ in 0..random.range(2, 16) {
                let at = random.time(self.end);
                let letter = match previous {
                    Some(previous) if random.chance(4) => previous,
                    _ => {
                        content += 1;
                        letter(random, content)
                    }
                };
                previous = Some(letter);
                self.happenings.push((at, Happening::Arrives { owner, letter }));
                // Several at once.
                if random.chance(15) {
                    for _ in 0..random.range(1, 6) {
                        content += 1;
                        let letter = Letter { content, bytes: 100, poison: None };
                        self.happenings.push((at, Happening::Arrives { owner, letter }));
                    }
                }
            }
        }
        for _ in 0..random.range(0, 6) {
            let owner = random.index(self.owners.len());
            let newest = random.index(4);
            let happening = match random.below(13) {
                0..=2 => Happening::Expunged { owner, newest },
                3..=5 => Happening::Seen { owner, newest },
                6 => Happening::Renumbered { owner },
                7 => Happening::Renamed { owner },
                8 => Happening::Toggled { owner },
                9 => Happening::FetchAsked { owner },
                10 => Happening::ServerRenamed { owner },
                _ => Happening::FiresAgain { owner },
            };
            self.happenings.push((random.time(self.end), happening));
        }
        self.happenings.sort_by_key(|(at, _)| *at);
    }

    fn draw_faults(&mut self, random: &mut Random) {
        let calm = random.chance(5);
        let count = if calm { 0 } else { random.range(1, 10) };
        for _ in 0..count {
            // Where there is work, more can go wrong.
            let from = match random.chance(60) {
                true => {
                    let (at, _) = self.happenings[random.index(self.happenings.len())];
                    let interval = Duration::from_secs(u64::from(self.owners[0].interval));
                    (at + random.time(interval)).min(self.end)
                }
                false => random.time(self.end),
            };
            let until = (from + self.length(random)).min(self.end);
            let fault = match random.below(20) {
                0..=5 => Fault::Service { from, op: op(random), fault: service_fault(random) },
                6 if random.chance(30) => Fault::DeliveredTwice { from },
                6 => Fault::Outage { from, until, op: op(random) },
                7..=10 => Fault::Death { from, points: random.range(1, 40) },
                11 => Fault::StaleIndex {
                    from,
                    until,
                    lag: Duration::from_secs(u64::from(random.range(1, 90))),
                },
                12 => {
                    let each = Duration::from_secs(u64::from(random.range(10, 44)));
                    Fault::Slowness { from, until, op: random.pick(&Op::OF_THE_HAND_OVER), each }
                }
                13 => {
                    // A lease that seems to have ended, while its run waits for a service: another takes it.
                    if random.chance(60) {
                        let each = Duration::from_secs(u64::from(random.range(20, 44)));
                        let op =
                            random.pick(&[Op::MoveCursor, Op::MoveCursor, Op::SendJobs, Op::NoteHandedOver]);
                        self.faults.push(Fault::Slowness { from, until, op, each });
                    }
                    Fault::Clock { from, until, ahead_millis: clock_error(random) }
                }
                _ => {
                    let owner = random.index(self.owners.len());
                    let (step, fault) = server_fault(random);
                    Fault::Server { owner, from, until, step, fault }
                }
            };
            self.faults.push(fault);
        }
        self.faults.sort_by_key(Fault::end);
    }

    /// How long a trouble lasts: up to twelve polls, mostly less.
    fn length(&self, random: &mut Random) -> Duration {
        let interval = Duration::from_secs(u64::from(self.owners[0].interval));
        let polls = if random.chance(70) { 1 } else { 12 };
        random.time(interval * polls) + Duration::from_secs(1)
    }
}

/// By how many milliseconds the machines' clocks are wrong: by minutes, so that a lease ends while its run still works.
fn clock_error(random: &mut Random) -> i64 {
    i64::from(random.range(0, 400_000)) - 200_000
}

fn owner(random: &mut Random, interval: u32) -> Owner {
    Owner {
        interval,
        start: random.pick(&[Start::Now, Start::Now, Start::All]),
        include_seen: random.chance(30),
        after_fetch: random.pick(&[After::Keep, After::Keep, After::Keep, After::MarkSeen, After::Move]),
        old: random.range(0, 4),
        server: ServerHabits {
            says_uid_next: !random.chance(10),
            says_uid_validity: !random.chance(10),
            has_move: !random.chance(20),
            minutes_ahead: i64::from(random.range(0, 240)) - 120,
        },
    }
}

fn letter(random: &mut Random, content: u32) -> Letter {
    let bytes = match random.below(100) {
        0 => 300_000,
        1 | 2 => 20_000,
        _ => 100,
    };
    let poison = match random.below(60) {
        0 => Some(Poison::Cuts),
        1 => Some(Poison::Refused),
        2 => Some(Poison::Hangs),
        3 => Some(random.pick(&[Poison::BreaksListing, Poison::CutsListing, Poison::Hidden])),
        _ => None,
    };
    Letter { content, bytes, poison }
}

fn op(random: &mut Random) -> Op {
    if random.chance(70) { random.pick(&Op::OF_THE_HAND_OVER) } else { random.pick(&Op::ALL) }
}

pub(crate) fn service_fault(random: &mut Random) -> ServiceFault {
    match random.below(6) {
        0 => ServiceFault::Fails,
        1 | 2 => ServiceFault::AnswerLost,
        3 => ServiceFault::Repeated,
        4 => {
            let late = Duration::from_secs(u64::from(random.range(1, 44)));
            if random.chance(50) { ServiceFault::Slow(late) } else { ServiceFault::LateAnswer(late) }
        }
        _ => ServiceFault::Partial,
    }
}

fn server_fault(random: &mut Random) -> (ServerStep, ServerFault) {
    use ServerStep::{Change, Connect, Fetch, Greeting, List, Login, Open};
    let step = random.pick(&[Connect, Greeting, Login, Open, List, Fetch, Fetch, Fetch, Change]);
    let fault = match random.below(9) {
        0 | 1 => ServerFault::Hangs,
        2 => ServerFault::Closes,
        3 => ServerFault::Cuts,
        4 => ServerFault::Slow(Duration::from_secs(u64::from(random.range(1, 40)))),
        5 if matches!(step, Fetch | List) => ServerFault::LeavesOut,
        _ => ServerFault::Says(refusal(random, step)),
    };
    (step, fault)
}

/// What servers say when they are in trouble.
fn refusal(random: &mut Random, step: ServerStep) -> &'static str {
    let anywhere = [
        "{tag} NO [UNAVAILABLE] Storage is temporarily unavailable",
        "{tag} NO [SERVERBUG] Internal error occurred",
        "* BYE Server is shutting down",
        "{tag} BAD Request is throttled. Suggested Backoff Time: 20000 milliseconds",
        "{tag} NO [INUSE] Mailbox is locked",
    ];
    match step {
        ServerStep::Connect | ServerStep::Greeting => "* BYE Too many connections",
        ServerStep::Login if random.chance(40) => "{tag} NO [AUTHENTICATIONFAILED] Authentication failed",
        ServerStep::Open if random.chance(30) => "{tag} NO Mailbox doesn't exist",
        _ => random.pick(&anywhere),
    }
}
