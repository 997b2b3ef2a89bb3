//! However changes race, an interval in use has its schedule: the real code over an AWS that answers one call at a time,
//! in every order.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use futures_util::future::{BoxFuture, FutureExt as _};
use mailroom_core::flow::FlowSchemaId;
use mailroom_core::profile::{Auth, Profile, ProfileId, Settings};
use mailroom_core::server::{Host, Security, Server};
use serde_json::{Value, json};
use time::macros::datetime;
use tokio::sync::oneshot;

use super::*;
use crate::client::Clients;
use crate::replay::{Call, Reply, exception, ok};

const NOW: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);

fn interval() -> RefreshInterval {
    RefreshInterval::from_seconds(600).unwrap()
}

/// What AWS holds of one interval.
#[derive(Default)]
struct World {
    /// The profiles that use it.
    stored: BTreeSet<usize>,
    /// How often it was registered.
    joined: usize,
    /// When that was last, if it still is.
    joined_at: Option<i64>,
    /// What was stored at each registration: no less is in the index once it has had time to follow.
    stored_then: Vec<BTreeSet<usize>>,
    scheduled: bool,
    /// How often the schedule was removed.
    removals: usize,
}

impl World {
    /// An interval that was in use for long, until just now.
    fn deserted() -> Arc<Mutex<Self>> {
        let stored_then = vec![BTreeSet::new()];
        let world = Self { joined: 1, joined_at: Some(0), stored_then, scheduled: true, ..Self::default() };
        Arc::new(Mutex::new(world))
    }

    fn is_right(&self) -> bool {
        self.scheduled || self.stored.is_empty()
    }
}

/// A process that changes it, over an AWS that waits for a turn at each call.
#[derive(Clone, Default)]
struct Actor {
    world: Arc<Mutex<World>>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Grants the call that is waiting.
    turn: Option<oneshot::Sender<()>>,
    /// Looks into the index since the registry was read.
    looks: usize,
    /// What the index shows at the least, at the second look.
    shown: BTreeSet<usize>,
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Actor")
    }
}

impl Actor {
    fn at(world: &Arc<Mutex<World>>) -> Self {
        Self { world: Arc::clone(world), state: Arc::default() }
    }

    fn table(&self) -> Table {
        Table::new(&Clients::answered_by(SharedHttpClient::new(self.clone())), "t")
    }

    fn intervals(&self) -> Intervals {
        let clients = Clients::answered_by(SharedHttpClient::new(self.clone()));
        let schedules = ScheduleGroup::new(&clients, "group", "arn:role", "arn:fetch");
        Intervals { table: self.table(), schedules, wall_clock: || NOW, lag: Duration::from_millis(1) }
    }

    fn turn(&self) -> oneshot::Receiver<()> {
        let (grant, granted) = oneshot::channel();
        assert!(self.state.lock().unwrap().turn.replace(grant).is_none(), "one call at a time");
        granted
    }

    async fn stores(&self, profile: usize) {
        let _ = self.turn().await;
        self.world.lock().unwrap().stored.insert(profile);
    }

    async fn takes_away(&self, profile: usize) {
        let _ = self.turn().await;
        self.world.lock().unwrap().stored.remove(&profile);
    }

    async fn joins(&self, profile: usize) {
        self.stores(profile).await;
        self.intervals().joined(interval()).await.unwrap();
    }

    async fn leaves(&self) {
        self.intervals().left(interval()).await.unwrap();
    }

    fn answer(&self, call: &Call) -> Reply {
        let (mut world, mut state) = (self.world.lock().unwrap(), self.state.lock().unwrap());
        let body = &call.body;
        let value =
            |name: &str| body["ExpressionAttributeValues"][name]["N"].as_str().unwrap().parse::<i64>();
        match (call.operation.as_str(), body["UpdateExpression"].as_str()) {
            ("UpdateItem", Some("SET joined_at = :at ADD joined :one")) => {
                world.joined += 1;
                world.joined_at = Some(value(":at").unwrap());
                let stored = world.stored.clone();
                world.stored_then.push(stored);
                ok(json!({}))
            }
            ("UpdateItem", Some("REMOVE joined_at")) => {
                let as_read = value(":joined") == Ok(i64::try_from(world.joined).unwrap());
                match world.joined_at.take_if(|_| as_read) {
                    Some(_) => ok(json!({})),
                    None => exception("ConditionalCheckFailedException"),
                }
            }
            ("GetItem", _) => {
                *state = State::default();
                state.shown = world.stored_then.last().cloned().unwrap_or_default();
                ok(world.registered().map_or(json!({}), |item| json!({"Item": item})))
            }
            ("Query", _) if body["IndexName"] == "listening" => {
                state.looks += 1;
                let shown = state.looks > 1 && state.shown.intersection(&world.stored).next().is_some();
                ok(json!({"Items": if shown { vec![json!({})] } else { Vec::new() }}))
            }
            ("Query", _) => ok(json!({"Items": Vec::from_iter(world.registered())})),
            ("TransactWriteItems", _) => {
                world.stored.insert(0);
                ok(json!({}))
            }
            ("POST /schedules/refresh-600", _) if world.scheduled => exception("ConflictException"),
            ("POST /schedules/refresh-600", _) => {
                world.scheduled = true;
                ok(json!({"ScheduleArn": "arn"}))
            }
            ("DELETE /schedules/refresh-600", _) if world.scheduled => {
                world.scheduled = false;
                world.removals += 1;
                ok(json!({}))
            }
            ("DELETE /schedules/refresh-600", _) => exception("ResourceNotFoundException"),
            ("GET /schedules", _) => {
                let names = world.scheduled.then(|| json!({"Name": "refresh-600"}));
                ok(json!({"Schedules": Vec::from_iter(names)}))
            }
            other => panic!("{other:?}"),
        }
    }
}

impl World {
    fn registered(&self) -> Option<Value> {
        let number = |number: String| json!({"N": number});
        let at = self.joined_at?;
        Some(json!({
            "SK": {"S": "000600"}, "joined": number(self.joined.to_string()), "joined_at": number(at.to_string())
        }))
    }
}

impl HttpConnector for Actor {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let call = Call::read(&request);
        // The first of the sixteen shards speaks for all of them.
        let key = &call.body["ExpressionAttributeValues"][":key"]["S"];
        if key.as_str().is_some_and(|key| !key.ends_with("#0")) {
            return HttpConnectorFuture::ready(Ok(ok(json!({"Items": []})).response()));
        }
        let (actor, turn) = (self.clone(), self.turn());
        HttpConnectorFuture::new(async move {
            let _ = turn.await;
            Ok(actor.answer(&call).response())
        })
    }
}

impl HttpClient for Actor {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// What an actor does, and how many calls it lives for.
struct Part<'a> {
    actor: &'a Actor,
    does: BoxFuture<'a, ()>,
    lives: usize,
}

impl<'a> Part<'a> {
    fn new(actor: &'a Actor, does: impl Future<Output = ()> + Send + 'a) -> Self {
        Self { actor, does: does.boxed(), lives: usize::MAX }
    }

    fn crashing_after(self, lives: usize) -> Self {
        Self { lives, ..self }
    }
}

/// Has them all go on, one call at a time, in the order that `choose` says.
async fn play(mut parts: Vec<Part<'_>>, mut choose: impl FnMut(usize) -> usize) {
    loop {
        let mut waiting = Vec::new();
        for mut part in parts {
            loop {
                if (&mut part.does).now_or_never().is_some() {
                    break;
                }
                if part.actor.state.lock().unwrap().turn.is_some() {
                    waiting.push(part);
                    break;
                }
                // It gives the index its time.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        waiting.retain(|part| part.lives > 0);
        if waiting.is_empty() {
            return;
        }
        let chosen = choose(waiting.len());
        waiting[chosen].lives -= 1;
        let turn = waiting[chosen].actor.state.lock().unwrap().turn.take();
        turn.unwrap().send(()).unwrap();
        parts = waiting;
    }
}

/// One way through all choices, and then the next.
#[derive(Default)]
struct Path {
    choices: Vec<(usize, usize)>,
    at: usize,
}

impl Path {
    fn choose(&mut self, options: usize) -> usize {
        if self.at == self.choices.len() {
            self.choices.push((0, options));
        }
        self.at += 1;
        self.choices[self.at - 1].0
    }

    fn next(&mut self) -> bool {
        self.at = 0;
        while let Some((chosen, options)) = self.choices.pop() {
            if chosen + 1 < options {
                self.choices.push((chosen + 1, options));
                return true;
            }
        }
        false
    }
}

/// Choices without a pattern, the same ones for the same seed.
fn dice(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |options| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % options
    }
}

#[tokio::test]
async fn one_may_join_at_any_moment_while_the_last_one_leaves() {
    let (mut path, mut orders, mut removals) = (Path::default(), 0, 0);
    loop {
        let world = World::deserted();
        let (joiner, leaver) = (Actor::at(&world), Actor::at(&world));
        let parts = vec![Part::new(&joiner, joiner.joins(1)), Part::new(&leaver, leaver.leaves())];
        play(parts, |options| path.choose(options)).await;
        let world = world.lock().unwrap();
        assert!(world.is_right() && world.joined_at.is_some(), "{:?}", path.choices);
        orders += 1;
        removals += world.removals;
        if !path.next() {
            break;
        }
    }
    assert!(orders > 50 && removals > 5, "{orders} orders, {removals} removals");
}

#[tokio::test]
async fn several_may_come_and_go_at_once() {
    for seed in 0..40 {
        let world = World::deserted();
        let actors: Vec<Actor> = (0..4).map(|_| Actor::at(&world)).collect();
        let [leaver, other, joiner, guest] = &actors[..] else { panic!("four") };
        let parts = vec![
            Part::new(leaver, leaver.leaves()),
            Part::new(other, other.leaves()),
            Part::new(joiner, joiner.joins(1)),
            Part::new(guest, async {
                guest.joins(2).await;
                guest.takes_away(2).await;
                guest.leaves().await;
            }),
        ];
        play(parts, dice(seed)).await;
        assert!(world.lock().unwrap().is_right(), "seed {seed}");
    }
}

#[tokio::test]
async fn a_crash_while_leaving_is_repaired() {
    for seed in 0..40 {
        let world = World::deserted();
        let (joiner, leaver, repairer) = (Actor::at(&world), Actor::at(&world), Actor::at(&world));
        let lives = usize::try_from(seed).unwrap() % 7;
        let leaves = Part::new(&leaver, leaver.leaves()).crashing_after(lives);
        play(vec![leaves, Part::new(&joiner, joiner.joins(1))], dice(seed)).await;
        play(vec![Part::new(&repairer, repairs(&repairer))], |_| 0).await;
        assert!(world.lock().unwrap().is_right(), "seed {seed}");
    }
}

async fn repairs(actor: &Actor) {
    let repaired = actor.intervals().repair().await.unwrap();
    assert!(repaired.is_empty() || repaired == [interval()]);
}

#[tokio::test]
async fn a_crash_while_joining_is_repaired() {
    let imap = Server {
        host: Host::parse("imap.example.com").unwrap(),
        port: 993.try_into().unwrap(),
        security: Security::Tls,
    };
    let id = ProfileId::parse("01JDCABCDEFGHJKMNPQRSTVWXY").unwrap();
    let auth = Auth::Plain { login: "a".to_owned() };
    let flow = FlowSchemaId::parse("flow").unwrap();
    let profile = Profile::new(
        id,
        Settings { refresh_interval: interval(), ..Settings::listening("Support", imap, auth, flow) },
        NOW,
    );
    for lives in 0..5 {
        let world = Arc::<Mutex<World>>::default();
        let (joiner, repairer, planner) = (Actor::at(&world), Actor::at(&world), Actor::at(&world));
        let makes = async {
            joiner.table().create(&profile).await.unwrap();
            joiner.intervals().joined(interval()).await.unwrap();
        };
        play(vec![Part::new(&joiner, makes).crashing_after(lives)], |_| 0).await;
        assert_eq!(world.lock().unwrap().stored.is_empty(), lives < 2, "after {lives} calls");
        play(vec![Part::new(&repairer, repairs(&repairer))], |_| 0).await;
        assert!(world.lock().unwrap().is_right(), "after {lives} calls");
        // A schedule that no profile uses is removed by the next plan.
        if lives < 2 {
            play(vec![Part::new(&planner, planner.leaves())], |_| 0).await;
            let world = world.lock().unwrap();
            assert_eq!((world.scheduled, world.joined_at), (false, None), "after {lives} calls");
        }
    }
}

#[tokio::test]
async fn the_default_interval_is_never_removed() {
    let world = World::deserted();
    let actor = Actor::at(&world);
    // Not even looked at: a call would wait for ever.
    actor.intervals().left(RefreshInterval::DEFAULT).await.unwrap();
    assert!(world.lock().unwrap().scheduled);
}
