//! The gateway of the demo, listening on loopback, with its simulated peers around it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::DemoFault;
use super::practice::PracticeSystem;
use super::samples;
use super::wellness::WellnessDatabase;
use crate::api;
use crate::clock::Clock;
use crate::config::{self, Config, Role};
use crate::delivery::signature::Secret;
use crate::fhir::ids::OdsCode;
use crate::gateway::Gateway;
use crate::runners::Runners;

/// Ports below those that Linux hands out by itself (`net.ipv4.ip_local_port_range`), and how many of
/// them are tried.
const PORTS: Range<u16> = 20_000..32_768;
const PORT_TRIES_MAX: u32 = 20;
/// Tries to reach the gateway's own address after it was told to listen.
const READY_TRIES_MAX: u32 = 100;
/// How long one of them may take.
const READY_ASK_MAX: Duration = Duration::from_secs(1);
/// The wait between them.
const READY_WAIT: Duration = Duration::from_millis(50);
/// How long runners may take to finish at the end.
const STOP_MAX: Duration = Duration::from_secs(10);
/// Seconds that a token of the demo lives: long enough to look around.
const TOKEN_SECONDS: u64 = 3600;

/// How to set the demo up.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where the store is kept; a new temporary folder when left out.
    pub data: Option<PathBuf>,
    /// The gateway's address; a loopback port of the system's choice when left out.
    pub listen: Option<String>,
}

/// Everything that runs.
pub struct Stage {
    /// The gateway.
    pub gateway: Gateway,
    /// Its address, `http://127.0.0.1:PORT`.
    pub base_url: String,
    /// The folder of its store.
    pub data: PathBuf,
    /// The simulated practice systems, by ODS code.
    pub practices: BTreeMap<String, PracticeSystem>,
    /// The simulated wellness database.
    pub wellness: WellnessDatabase,
    temporary: bool,
    runners: Runners,
    serving: JoinHandle<Result<(), api::serve::ServeFault>>,
    stop: oneshot::Sender<()>,
}

impl Stage {
    /// Opens it all.
    ///
    /// # Errors
    /// When the folder, a port or the store cannot be had.
    pub async fn set(options: Options) -> Result<Self, DemoFault> {
        let temporary = options.data.is_none();
        let data =
            options.data.unwrap_or_else(|| std::env::temp_dir().join(format!("fingerpost-demo-{}", Uuid::new_v4())));
        std::fs::create_dir_all(&data).map_err(DemoFault::new)?;
        let text = secret(&data)?;
        let wellness =
            WellnessDatabase::start(Secret::parse(&text).map_err(DemoFault::new)?).await.map_err(DemoFault::new)?;
        let mut practices = BTreeMap::new();
        for ods in samples::PRACTICES {
            let system = PracticeSystem::start().await.map_err(DemoFault::new)?;
            // A tame mix: a dictionary without one code, and an answer that is lost.
            system.habits().lacks = vec!["swemwbs-metric".to_owned()];
            system.steering.faults().lose_answer = 1;
            practices.insert(ods.to_owned(), system);
        }
        let listen = match options.listen {
            Some(listen) => listen,
            None => free_port().await.map_err(DemoFault::new)?,
        };
        let base_url = format!("http://{listen}");
        let mut config = configured(&data, &wellness, &practices)?;
        config.serve.listen = vec![listen];
        config.serve.base_url.clone_from(&base_url);
        let gateway = Gateway::open_or_create(config, Clock::System).await.map_err(DemoFault::new)?;
        let runners = Runners::start(&gateway);
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(api::serve(gateway.clone(), async move { drop(stopped.await) }));
        let stage = Self { gateway, base_url, data, practices, wellness, temporary, runners, serving, stop };
        stage.ready().await?;
        Ok(stage)
    }

    async fn ready(&self) -> Result<(), DemoFault> {
        let client = reqwest::Client::builder().no_proxy().timeout(READY_ASK_MAX).build().map_err(DemoFault::new)?;
        for _ in 0..READY_TRIES_MAX {
            tokio::time::sleep(READY_WAIT).await;
            // Asked first: who answers at an address that could not be had is somebody else.
            if self.serving.is_finished() {
                break;
            }
            let asked = client.get(format!("{}/livez", self.base_url)).send().await;
            if asked.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
        }
        Err(DemoFault::new(format!("the gateway does not answer at {}", self.base_url)))
    }

    /// An access token for a role, as `fingerpost token` makes it.
    ///
    /// # Errors
    /// When the key cannot be used.
    pub fn token(&self, client: &str, role: Role, ods: &str, pools: &[&str]) -> Result<String, DemoFault> {
        let ods = OdsCode::parse(ods).map_err(DemoFault::new)?;
        let pools = pools.iter().map(|pool| (*pool).to_owned()).collect();
        let made = self.gateway.access.mint(client, Some((role, ods, pools)), self.gateway.clock.now());
        let made = serde_json::to_value(made.map_err(DemoFault::new)?).map_err(DemoFault::new)?;
        Ok(made["access_token"].as_str().unwrap_or("").to_owned())
    }

    /// Drains and closes; a temporary store is taken away.
    pub async fn strike(self) {
        let _ = self.stop.send(()); // fails only when the server has stopped already
        drop(self.serving.await);
        self.runners.stop(STOP_MAX).await;
        self.gateway.store.close().await;
        if self.temporary && std::fs::remove_dir_all(&self.data).is_err() {
            tracing::warn!("the demo's folder could not be removed");
        }
    }
}

fn configured(
    data: &Path,
    wellness: &WellnessDatabase,
    practices: &BTreeMap<String, PracticeSystem>,
) -> Result<Config, DemoFault> {
    let mut config = Config::development(data);
    config.access.token_seconds = TOKEN_SECONDS;
    config.delivery.receivers = vec![config::Receiver {
        name: "wellness".into(),
        url: wellness.hook_url.clone(),
        secret_file: data.join("webhook-secret"),
        events: ["referral", "task", "outcome"].map(str::to_owned).to_vec(),
    }];
    for (ods, system) in practices {
        let ods = OdsCode::parse(ods).map_err(DemoFault::new)?;
        let base_url = system.base_url.clone();
        config
            .writeback
            .practices
            .push(config::PracticeSystem { base_url, ..config::PracticeSystem::new(ods, &["fhir"]) });
    }
    Ok(config)
}

/// The receiver's secret, made on first use.
fn secret(data: &Path) -> Result<String, DemoFault> {
    let file = data.join("webhook-secret");
    if let Ok(text) = std::fs::read_to_string(&file) {
        return Ok(text);
    }
    let mut bytes = Vec::new();
    bytes.extend_from_slice(Uuid::new_v4().as_bytes());
    bytes.extend_from_slice(Uuid::new_v4().as_bytes());
    let text = format!("whsec_{}", BASE64_STANDARD.encode(bytes));
    std::fs::write(&file, &text).map_err(DemoFault::new)?;
    Ok(text)
}

/// A loopback port that nobody has. It is had a moment later, so it is not of those that the system
/// gives to whoever asks for any, and to every connection that goes out.
async fn free_port() -> std::io::Result<String> {
    let mut listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    for _ in 0..PORT_TRIES_MAX {
        if let Ok(found) = tokio::net::TcpListener::bind(("127.0.0.1", fastrand::u16(PORTS))).await {
            listener = found;
            break;
        }
    }
    Ok(listener.local_addr()?.to_string())
}
