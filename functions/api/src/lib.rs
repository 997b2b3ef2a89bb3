//! The api function: mailbox owners describe their mailboxes, test the settings, and see how they are doing.
//!
//! 1. `handler`: from a method and a path to an operation, by the table that the OpenAPI document is made from.
//! 2. `http`: requests read without trusting them, responses, and the one place where an error becomes HTTP (`problem`).
//! 3. `profiles`: profiles, their secrets and schedules in step; the test of settings against the real servers.
//! 4. `flow_schemas`: which queue the jobs of a profile go to.
//! 5. `sign_in`: a person's consent to the use of a mailbox, its pages, and its end.
//! 6. `messages`: messages to send, and how they are doing.
//! 7. `uploads`: files to attach, which go to the bucket directly.
//! 8. `autoconfig`: the settings of an address, before there is a profile.
//! 9. `poll_now`: a poll at once after a change, for an owner who waits to see what comes of it.
//! 10. `quarantine`: messages that cannot be read, and another try of one.
//! 11. `connect_links`: links with which owners connect their mailboxes; `connect`: the page behind one.
//! 12. `console`: pages for people, which do what they do by the same operations.
//! 13. `session`: who is signed in to the console.
//!
//! Every response is one that the OpenAPI document describes. A crash at any point leaves nothing that costs money or is
//! polled without its owner seeing it. Deliberately absent: caches, and any proof of who a caller of the API is, which API
//! Gateway has asked for before; `access` decides by it what they may do.

pub mod access;
mod autoconfig;
pub mod config;
mod connect;
mod connect_links;
pub mod console;
mod flow_schemas;
mod handler;
mod http;
pub mod job_queues;
mod messages;
mod poll_now;
mod profiles;
mod quarantine;
mod session;
mod sign_in;
mod uploads;

use std::sync::Arc;

use mailroom_auth::discovery::Discovery;
use mailroom_auth::http::Http;
use mailroom_auth::tokens::Tokens;
use mailroom_autoconfig::search::Autoconfig;
use mailroom_aws::client::Clients;
use mailroom_aws::dynamodb::Table;
use mailroom_aws::grants::GrantStore;
use mailroom_aws::handover::PollQueue;
use mailroom_aws::intervals::Intervals;
use mailroom_aws::objects::Objects;
use mailroom_aws::scheduler::ScheduleGroup;
use mailroom_aws::secrets::Secrets;
use mailroom_aws::send_queue::SendQueue;
use mailroom_lambda::clock;
use mailroom_lambda::start::{Network, StartError};
use mailroom_mail::{imap, smtp};

use crate::autoconfig::SettingsSearch;
use crate::config::Config;
use crate::connect_links::ConnectLinks;
use crate::console::{Availability, Console, Guard};
use crate::flow_schemas::FlowSchemas;
pub use crate::handler::Api;
use crate::http::base_path::BasePath;
pub use crate::http::request::UnknownEvent;
pub use crate::http::response::Response;
use crate::messages::Messages;
use crate::poll_now::PollNow;
use crate::profiles::Profiles;
use crate::profiles::connection_test::ConnectionTests;
use crate::profiles::hosts::Hosts;
use crate::quarantine::Quarantine;
use crate::session::Sessions;
use crate::sign_in::SignIns;
use crate::uploads::Uploads;

/// Puts the deployed function together. Connects to nothing yet.
///
/// # Errors
/// When the environment holds something unusable.
pub fn assemble(config: &Config) -> Result<Api, StartError> {
    let Network { allowed, tls } = config.network.network()?;
    let clients = Clients::from_env().map_err(|error| StartError::Aws(error.into()))?;
    let table = || Table::new(&clients, &config.table);
    let secrets = || Secrets::new(&clients, &config.secret_prefix);
    let group = ScheduleGroup::new(
        &clients,
        &config.schedule_group,
        &config.schedule_role_arn,
        &config.fetch_function_arn,
    );
    let schedules = Arc::new(Intervals::new(table(), group, clock::now));
    let settings_search = SettingsSearch(Autoconfig::new(tls.clone(), allowed.clone()));
    let discovery = Discovery::new(Http::new(tls.clone(), allowed.clone()), clock::SYSTEM);
    let tokens = Tokens::new(discovery, GrantStore::new(table(), secrets()));
    let (table, secrets) = (Arc::new(table()), Arc::new(secrets()));
    let http = Http::new(tls.clone(), allowed.clone());
    let console = Console::new(guard(config, &clients, http, &table), &config.public_url);
    let polls = PollNow(Arc::new(PollQueue::new(&clients, &config.poll_queue_url)));
    Ok(Api {
        connection_tests: ConnectionTests {
            table: Arc::clone(&table),
            secrets: Arc::clone(&secrets),
            tokens: tokens.clone(),
            imap: imap::Connector::new(tls.clone(), allowed.clone()),
            smtp: smtp::Connector::new(tls, allowed.clone()).introduced_as(config.ehlo_name.clone()),
        },
        profiles: Profiles {
            table: Arc::clone(&table),
            secrets,
            schedules: Arc::clone(&schedules),
            objects: Objects::new(&clients, &config.bucket),
            polls: polls.clone(),
            hosts: Hosts(allowed),
            recovery: config.secret_recovery,
        },
        quarantine: Quarantine { table: Arc::clone(&table), polls: polls.clone() },
        sign_ins: SignIns {
            table: Arc::clone(&table),
            tokens,
            schedules,
            polls,
            public_url: config.public_url.clone(),
        },
        connect_links: ConnectLinks { table: Arc::clone(&table), public_url: config.public_url.clone() },
        messages: Messages {
            table: Arc::clone(&table),
            objects: Objects::new(&clients, &config.bucket),
            send_queue: SendQueue::new(&clients, &config.send_queue_url),
        },
        uploads: Uploads { table: Arc::clone(&table), objects: Objects::new(&clients, &config.bucket) },
        settings_search,
        flow_schemas: FlowSchemas { table, queues: config.job_queues.clone() },
        access: config.access.clone(),
        console,
        base_path: BasePath::of(&config.public_url),
    })
}

/// Who is let in to the console.
fn guard(config: &Config, clients: &Clients, http: Http, table: &Arc<Table>) -> Guard {
    match &config.console {
        Availability::Off => Guard::Off,
        Availability::Open => Guard::Open,
        Availability::SignIn(registration) => Guard::Sessions(Box::new(Sessions::new(
            registration.clone(),
            Discovery::new(http, clock::SYSTEM),
            clients,
            &config.secret_prefix,
            Arc::clone(table),
            config.access.clone(),
            config.public_url.clone(),
        ))),
    }
}
