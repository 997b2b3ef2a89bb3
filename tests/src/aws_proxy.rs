//! What stands between the functions and AWS: it writes down every call, and makes the one fail that a test names.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, StatusCode};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

pub use crate::aws_call::Call;
use crate::http::{self, Reply};
use crate::lambda::Killer;
use crate::rights::{self, Permission};

/// How a call is made to fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The function is killed before AWS gets the call.
    KillBefore,
    /// AWS carries the call out, and the function is killed before it gets the response.
    KillAfter,
    /// AWS refuses with this status and error code, and does nothing.
    Refuse(u16, &'static str),
    /// The answer comes late.
    Delay(Duration),
    /// The connection is closed without AWS hearing of it.
    HangUp,
    /// AWS does it, and the connection is closed without an answer.
    HangUpAfter,
}

/// A fault that waits for its call. Used up by `times` calls that match, after `skip` of them.
struct PlannedFault {
    matches: Box<dyn Fn(&Call) -> bool + Send>,
    skip: usize,
    times: usize,
    fault: Fault,
    killer: Killer,
}

#[derive(Default)]
struct ProxyState {
    calls: Vec<Call>,
    needed: BTreeSet<(String, Permission)>,
    faults: Vec<PlannedFault>,
}

/// The proxy of one function. Stops when dropped.
pub struct AwsProxy {
    address: SocketAddr,
    state: Arc<Mutex<ProxyState>>,
    server: JoinHandle<()>,
}

impl AwsProxy {
    /// Starts a proxy in front of `endpoint`.
    #[must_use]
    pub fn start(handle: &Handle, endpoint: SocketAddr) -> Self {
        let listener = handle.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let state = Arc::<Mutex<ProxyState>>::default();
        let shared = Arc::clone(&state);
        let server = handle.spawn(http::serve(listener, move |request| {
            let state = Arc::clone(&shared);
            async move { pass(&state, endpoint, request).await }
        }));
        Self { address, state, server }
    }

    /// Where a function finds it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes the next call that matches fail.
    pub fn fail_next(&self, fault: Fault, killer: &Killer, matches: impl Fn(&Call) -> bool + Send + 'static) {
        self.fail(0, 1, fault, killer, matches);
    }

    /// Makes `times` calls that match fail, after `skip` of them.
    pub fn fail(
        &self,
        skip: usize,
        times: usize,
        fault: Fault,
        killer: &Killer,
        matches: impl Fn(&Call) -> bool + Send + 'static,
    ) {
        lock(&self.state).faults.push(PlannedFault {
            matches: Box::new(matches),
            skip,
            times,
            fault,
            killer: killer.clone(),
        });
    }

    /// Whether every planned fault has happened as often as it should.
    #[must_use]
    pub fn faults_are_spent(&self) -> bool {
        lock(&self.state).faults.iter().all(|planned| planned.times == 0)
    }

    /// Forgets the faults that have not happened.
    pub fn forget_faults(&self) {
        lock(&self.state).faults.clear();
    }

    /// Waits until every fault has happened.
    ///
    /// # Panics
    /// When one does not within ten seconds.
    pub fn await_faults(&self) {
        let begun = Instant::now();
        while !self.faults_are_spent() {
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "the fault does not happen: {:?}",
                self.calls()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The calls so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.state).calls.clone()
    }

    /// What each function has needed permissions for so far.
    #[must_use]
    pub fn needed(&self) -> BTreeSet<(String, Permission)> {
        lock(&self.state).needed.clone()
    }

    /// The calls since the last time this was asked.
    #[must_use]
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut lock(&self.state).calls)
    }
}

impl Drop for AwsProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock(state: &Mutex<ProxyState>) -> MutexGuard<'_, ProxyState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The fault that a call meets, if any.
fn fault_of(state: &Mutex<ProxyState>, call: &Call) -> Option<(Fault, Killer)> {
    let mut state = lock(state);
    let planned = state.faults.iter_mut().find(|planned| planned.times > 0 && (planned.matches)(call))?;
    if planned.skip > 0 {
        planned.skip -= 1;
        return None;
    }
    planned.times -= 1;
    Some((planned.fault.clone(), planned.killer.clone()))
}

async fn pass(state: &Mutex<ProxyState>, endpoint: SocketAddr, request: Request<Bytes>) -> Reply {
    let mut call = Call::of(&request);
    let fault = fault_of(state, &call);
    match &fault {
        Some((Fault::KillBefore, killer)) => killer.kill(),
        Some((Fault::Delay(time), _)) => tokio::time::sleep(*time).await,
        _ => {}
    }
    let reply = match fault.as_ref().map(|(fault, _)| fault) {
        Some(Fault::KillBefore | Fault::HangUp) => None,
        Some(Fault::Refuse(status, code)) => Some(refusal(*status, code)),
        Some(Fault::KillAfter | Fault::Delay(_) | Fault::HangUpAfter) | None => {
            match mailroom_local::http::send(endpoint, request).await {
                Ok(response) => Some(response.map(Full::new)),
                Err(error) => panic!("the emulator does not answer {call:?}: {error}"),
            }
        }
    };
    call.status = reply.as_ref().map_or(0, |response| response.status().as_u16());
    let needed = rights::needed(&call).into_iter().map(|permission| (call.function.clone(), permission));
    let needed: Vec<_> = needed.collect();
    let mut state = lock(state);
    state.needed.extend(needed);
    state.calls.push(call);
    drop(state);
    match (fault, reply) {
        (Some((Fault::KillAfter, killer)), _) => {
            killer.kill();
            Reply::HangUp
        }
        (Some((Fault::HangUpAfter, _)), _) | (_, None) => Reply::HangUp,
        (_, Some(response)) => Reply::Answer(response),
    }
}

/// An error as DynamoDB, SQS and the like (JSON) and S3 (XML, by its status alone) give it.
fn refusal(status: u16, code: &str) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(status).expect("a status");
    let body = format!("{{\"__type\":\"com.amazonaws#{code}\",\"message\":\"refused on purpose\"}}");
    let mut response = http::answer(status, body);
    response.headers_mut().insert("x-amzn-errortype", code.parse().expect("ASCII"));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0".parse().expect("ASCII"));
    response
}
