//! A distance: a TCP proxy that holds every byte for half a round trip each way, and counts the round trips.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Where a byte travels to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToServer,
    ToClient,
}

#[derive(Default)]
struct Count {
    connections: usize,
    /// What arrived last. A client that says something after it has heard the server, be it goodbye, has waited for it.
    last: Option<Direction>,
    turnarounds: usize,
}

impl Count {
    fn record(&mut self, direction: Direction) {
        if self.last == Some(Direction::ToClient) && direction == Direction::ToServer {
            self.turnarounds += 1;
        }
        self.last = Some(direction);
    }
}

/// The proxy. Stops when dropped.
pub struct RttProxy {
    address: SocketAddr,
    count: Arc<Mutex<Count>>,
    task: JoinHandle<()>,
}

impl RttProxy {
    /// Stands in front of `server`, `round_trip` away from it.
    #[must_use]
    pub fn start(handle: &Handle, server: SocketAddr, round_trip: Duration) -> Self {
        let listener = handle.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let count = Arc::<Mutex<Count>>::default();
        let shared = Arc::clone(&count);
        let task = handle.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let count = Arc::clone(&shared);
                tokio::spawn(async move {
                    update(&count, |count| {
                        count.connections += 1;
                        count.last = None;
                    });
                    let Ok(server) = TcpStream::connect(server).await else { return };
                    let _ = (client.set_nodelay(true), server.set_nodelay(true));
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    tokio::spawn(carry(
                        from_client,
                        to_server,
                        Direction::ToServer,
                        round_trip / 2,
                        Arc::clone(&count),
                    ));
                    carry(from_server, to_client, Direction::ToClient, round_trip / 2, count).await;
                });
            }
        });
        Self { address, count, task }
    }

    /// Where clients find it.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The round trips so far in which the client waited for the server, with one for each TCP handshake.
    #[must_use]
    pub fn round_trips(&self) -> usize {
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        count.connections + count.turnarounds
    }
}

impl Drop for RttProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn update(count: &Mutex<Count>, change: impl FnOnce(&mut Count)) {
    change(&mut count.lock().unwrap_or_else(PoisonError::into_inner));
}

/// Carries bytes in one direction, each chunk `delay` late, without holding up the next.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    direction: Direction,
    delay: Duration,
    count: Arc<Mutex<Count>>,
) {
    let (sender, mut receiver) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let reader = async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(n @ 1..) = from.read(&mut buffer).await {
            let chunk = buffer.get(..n).unwrap_or_default().to_vec();
            if sender.send((Instant::now() + delay, chunk)).is_err() {
                return;
            }
        }
    };
    let writer = async move {
        while let Some((due, chunk)) = receiver.recv().await {
            tokio::time::sleep_until(due).await;
            if to.write_all(&chunk).await.is_err() {
                return;
            }
            update(&count, |count| count.record(direction));
        }
        // The end of the connection is the last that a client says.
        update(&count, |count| count.record(direction));
    };
    tokio::join!(reader, writer);
}
