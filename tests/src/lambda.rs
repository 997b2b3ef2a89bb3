//! Lambda, as a function sees it: the Runtime API, a clean environment, a deadline, and SIGKILL.
//!
//! The function is the binary that is deployed, run as it is run there, but a test says when it is started, what it is
//! sent, how long it has, and when it is killed.

use std::fs::{self, File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::http::{self, Reply};

const NEXT_PATH: &str = "/2018-06-01/runtime/invocation/next";
const INVOCATION_PATH: &str = "/2018-06-01/runtime/invocation/";
const INIT_ERROR_PATH: &str = "/2018-06-01/runtime/init/error";

/// How often the harness checks whether a function's process has ended.
const EXIT_CHECK_INTERVAL: Duration = Duration::from_millis(5);

/// How an invocation ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The function returned this response.
    Answered(Value),
    /// The function reported this error.
    Failed(String),
    /// The process ended before it reported anything.
    Crashed,
    /// The deadline came first, and the process was killed, as Lambda does.
    TimedOut,
}

/// One function: at most one process, started when it is first needed and again after it has ended.
pub struct Lambda {
    handle: Handle,
    binary: PathBuf,
    env: Vec<(String, String)>,
    log: PathBuf,
    instance: Arc<AsyncMutex<Option<Instance>>>,
    killer: Killer,
}

/// Kills the function's process, whoever holds it: SIGKILL, which no process can answer.
#[derive(Clone, Default)]
pub struct Killer(Arc<Mutex<Option<Child>>>);

impl Killer {
    /// Kills the process if there is one.
    pub fn kill(&self) {
        let mut child = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(child) = child.as_mut() {
            // It may have ended by itself; then there is nothing to kill.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn is_alive(&self) -> bool {
        let mut child = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    fn id(&self) -> Option<u32> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(Child::id)
    }

    fn hold(&self, process: Child) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
    }
}

/// An invocation under way.
pub struct Pending {
    handle: Handle,
    task: JoinHandle<Outcome>,
}

impl Pending {
    /// Waits for the outcome.
    #[must_use]
    pub fn wait(self) -> Outcome {
        self.handle.block_on(self.task).expect("the invocation's task ends")
    }
}

impl Lambda {
    /// A function that is `binary`, with this environment and nothing else in it. Its output goes to `log`.
    #[must_use]
    pub fn new(handle: Handle, binary: &Path, env: Vec<(String, String)>, log: &Path) -> Self {
        Self {
            handle,
            binary: binary.to_path_buf(),
            env,
            log: log.to_path_buf(),
            instance: Arc::default(),
            killer: Killer::default(),
        }
    }

    /// Sends an event and waits for the outcome, at most `limit`.
    pub fn invoke(&self, event: Value, limit: Duration) -> Outcome {
        self.begin(event, limit).wait()
    }

    /// Sends an event. The function has `limit` from now on; the caller waits for the outcome when it likes.
    pub fn begin(&self, event: Value, limit: Duration) -> Pending {
        let (instance, killer) = (Arc::clone(&self.instance), self.killer.clone());
        let settings =
            LaunchSettings { binary: self.binary.clone(), env: self.env.clone(), log: self.log.clone() };
        let task = self.handle.spawn(async move {
            let mut instance = instance.lock().await;
            if !killer.is_alive() || instance.is_none() {
                *instance = Some(Instance::start(&settings, &killer).await);
            }
            match instance.as_ref() {
                Some(instance) => instance.invoke(event, limit, &killer).await,
                None => Outcome::Crashed,
            }
        });
        Pending { handle: self.handle.clone(), task }
    }

    /// A handle that kills the process from wherever it is held.
    #[must_use]
    pub fn killer(&self) -> Killer {
        self.killer.clone()
    }

    /// Stops the process where it is, as Lambda freezes a function that has answered. Nothing thaws it.
    ///
    /// # Panics
    /// When the function does not run.
    pub fn freeze(&self) {
        let id = self.killer.id().expect("the function runs").to_string();
        let stopped = Command::new("kill").args(["-s", "STOP", &id]).status().expect("kill is installed");
        assert!(stopped.success(), "{id} is not stopped");
    }

    /// Everything that the function has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The most memory its present process has held, in bytes (`VmHWM`).
    #[must_use]
    pub fn peak_memory(&self) -> u64 {
        let id = self.killer.id().expect("the function runs");
        let status = fs::read_to_string(format!("/proc/{id}/status")).expect("the function runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says so");
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().expect("a number of KiB");
        kib * 1024
    }
}

impl Drop for Lambda {
    fn drop(&mut self) {
        self.killer.kill();
    }
}

struct LaunchSettings {
    binary: PathBuf,
    env: Vec<(String, String)>,
    log: PathBuf,
}

/// One process and the Runtime API that only it speaks to.
struct Instance {
    events: mpsc::Sender<Invocation>,
    server: JoinHandle<()>,
}

/// Takes what a function posts: its response, or its error.
type ResultSender = oneshot::Sender<Result<Bytes, Bytes>>;

struct Invocation {
    event: Value,
    deadline_ms: u128,
    result: ResultSender,
}

/// The Runtime API of one process: hands out events, and takes the results.
struct RuntimeApi {
    events: AsyncMutex<mpsc::Receiver<Invocation>>,
    running: Mutex<Option<(String, ResultSender)>>,
    count: std::sync::atomic::AtomicU64,
}

impl Instance {
    async fn start(settings: &LaunchSettings, killer: &Killer) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let (events, receiver) = mpsc::channel(1);
        let runtime_api = Arc::new(RuntimeApi {
            events: AsyncMutex::new(receiver),
            running: Mutex::new(None),
            count: std::sync::atomic::AtomicU64::new(0),
        });
        let server = tokio::spawn(http::serve(listener, move |request| {
            let runtime_api = Arc::clone(&runtime_api);
            async move { Reply::Answer(runtime_api.answer(request).await) }
        }));
        killer.hold(settings.spawn(address));
        Self { events, server }
    }

    async fn invoke(&self, event: Value, limit: Duration, killer: &Killer) -> Outcome {
        let deadline = Instant::now() + limit;
        let wall = SystemTime::now() + limit;
        let deadline_ms = wall.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let (result, mut receiver) = oneshot::channel();
        if self.events.send(Invocation { event, deadline_ms, result }).await.is_err() {
            return Outcome::Crashed;
        }
        loop {
            tokio::select! {
                // What was answered in the last moment counts.
                biased;
                answered = &mut receiver => return match answered {
                    Ok(Ok(body)) => Outcome::Answered(serde_json::from_slice(&body).unwrap_or(Value::Null)),
                    Ok(Err(body)) => Outcome::Failed(String::from_utf8_lossy(&body).into_owned()),
                    Err(_) => Outcome::Crashed,
                },
                () = tokio::time::sleep_until(deadline) => {
                    killer.kill();
                    return Outcome::TimedOut;
                }
                () = tokio::time::sleep(EXIT_CHECK_INTERVAL) => if !killer.is_alive() {
                    return Outcome::Crashed;
                },
            }
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl LaunchSettings {
    fn spawn(&self, api: SocketAddr) -> Child {
        let log: File = OpenOptions::new().create(true).append(true).open(&self.log).expect("a writable log");
        let errors = log.try_clone().expect("a writable log");
        Command::new(&self.binary)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", api.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "fetch")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/fetch")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "test")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", self.binary.display()))
    }
}

impl RuntimeApi {
    async fn answer(&self, request: Request<Bytes>) -> Response<http_body_util::Full<Bytes>> {
        let path = request.uri().path().to_owned();
        if request.method() == Method::GET && path == NEXT_PATH {
            return self.next().await;
        }
        let accepted = http::answer(StatusCode::ACCEPTED, "{\"status\":\"OK\"}");
        let body = request.into_body();
        if path == INIT_ERROR_PATH {
            return accepted;
        }
        let Some((id, verb)) = path.strip_prefix(INVOCATION_PATH).and_then(|rest| rest.split_once('/'))
        else {
            return http::answer(StatusCode::NOT_FOUND, "");
        };
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        match running {
            Some((expected, result)) if expected == id => {
                // Nobody waits for an answer that comes after the deadline.
                let _ = result.send(if verb == "response" { Ok(body) } else { Err(body) });
                accepted
            }
            Some(_) | None => http::answer(StatusCode::BAD_REQUEST, ""),
        }
    }

    /// Holds the function until there is an event, which is what Lambda does while it is frozen.
    async fn next(&self) -> Response<http_body_util::Full<Bytes>> {
        let Some(Invocation { event, deadline_ms, result }) = self.events.lock().await.recv().await else {
            return http::answer(StatusCode::INTERNAL_SERVER_ERROR, "");
        };
        let number = self.count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let id = format!("00000000-0000-0000-0000-{number:012}");
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some((id.clone(), result));
        let mut response = http::answer(StatusCode::OK, event.to_string());
        for (name, value) in [
            ("lambda-runtime-aws-request-id", id),
            ("lambda-runtime-deadline-ms", deadline_ms.to_string()),
            (
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:eu-central-1:000000000000:function:fetch".to_owned(),
            ),
            ("content-type", "application/json".to_owned()),
        ] {
            response.headers_mut().insert(name, value.parse().expect("ASCII"));
        }
        response
    }
}
