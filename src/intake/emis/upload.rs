//! Extracts sent by HTTP: taken at once, read behind the sender's back, asked about later.
//!
//! The rooms of the API know HTTP; this one knows a file that was received and its result.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use uuid::Uuid;

use super::{claims, ingest, silent};
use crate::gateway::Gateway;
use crate::intake::result::IngestResult;
use crate::rejection::Rejection;

/// Results remembered; the oldest is forgotten first. What was ingested is in the store all the same.
const REMEMBERED_MAX: usize = 1_000;

/// Uploads of this process and what became of them. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Uploads {
    jobs: Arc<Mutex<BTreeMap<u64, (Uuid, Job)>>>,
}

/// How far an upload is.
#[derive(Debug, Clone)]
pub enum Job {
    /// Still being read.
    Running,
    /// Read to its end.
    Done(Arc<IngestResult>),
    /// It stopped; it may be sent again.
    Failed(String),
}

impl Uploads {
    /// Takes a received file or folder, which is removed when it has been read.
    ///
    /// # Errors
    /// 422 when it is not what it claims to be.
    pub fn start(&self, gateway: &Gateway, path: PathBuf) -> Result<Uuid, Rejection> {
        claims(&path)?;
        let id = Uuid::new_v4();
        let number = self.put(id);
        let (uploads, gateway) = (self.clone(), gateway.clone());
        tokio::spawn(async move {
            let job = match ingest(&gateway, std::slice::from_ref(&path), &silent).await {
                Ok(result) => Job::Done(Arc::new(result)),
                Err(fault) => {
                    tracing::error!(error = %fault, upload = %id, "an uploaded extract was not read to its end");
                    Job::Failed("the extract was not read to its end; send it again".into())
                }
            };
            uploads.set(number, job);
            let gone = if path.is_dir() {
                tokio::fs::remove_dir_all(&path).await
            } else {
                tokio::fs::remove_file(&path).await
            };
            if let Err(why) = gone {
                tracing::warn!(error = %why, upload = %id, "an uploaded extract could not be removed");
            }
        });
        Ok(id)
    }

    /// How far an upload is; `None`: there is none of that id, or it is forgotten.
    pub fn job(&self, id: Uuid) -> Option<Job> {
        self.lock().values().find(|(known, _)| *known == id).map(|(_, job)| job.clone())
    }

    fn put(&self, id: Uuid) -> u64 {
        let mut jobs = self.lock();
        while jobs.len() >= REMEMBERED_MAX {
            jobs.pop_first();
        }
        let number = jobs.last_key_value().map_or(0, |(last, _)| last + 1);
        jobs.insert(number, (id, Job::Running));
        number
    }

    fn set(&self, number: u64, job: Job) {
        if let Some((_, here)) = self.lock().get_mut(&number) {
            *here = job;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, (Uuid, Job)>> {
        self.jobs.lock().unwrap_or_else(|held| held.into_inner())
    }
}
