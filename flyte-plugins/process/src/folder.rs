use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flyte_core::contract::SecretValue;
use flyte_core::id::Digest;
use flyte_idl::Message;
use serde::{Deserialize, Serialize};

use crate::cgroup::Cgroup;
use crate::exit::Exit;
use crate::leader::is_alive;
use crate::options::ProcessOptions;
use crate::private::Private;
use crate::secret_folder::SecretFolder;

/// How a job was started; the environment's secrets are not in it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) key: String,
    pub(crate) command: Vec<String>,
    pub(crate) working_dir: PathBuf,
    pub(crate) output_prefix: String,
    pub(crate) abort_grace_ms: u64,
    /// Whether the task declares outputs; an earlier version did not say.
    #[serde(default)]
    pub(crate) has_outputs: bool,
    /// What processes of the attempt have in their environment.
    #[serde(default)]
    pub(crate) mark: String,
    /// The control group that was made for it.
    #[serde(default)]
    pub(crate) cgroup: Option<PathBuf>,
}

/// How a job is, as its folder tells.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// There is no such folder.
    Missing,
    /// It was prepared and not started.
    Prepared,
    /// It runs.
    Running,
    /// It ended like this.
    Exited(Exit),
    /// It is gone without having said how it ended.
    Lost,
}

/// An attempt's folder.
#[derive(Clone, Debug)]
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    /// Starts the program unless this attempt was started before.
    ///
    /// A lock makes two schedulers agree; the pid file, written by the wrapper itself, says
    /// whether it was.
    pub(crate) fn start(
        &self,
        mut job: Job,
        private: &Private,
        template: Option<flyte_idl::core::TaskTemplate>,
        env: &[(String, String)],
        secrets: &[(PathBuf, SecretValue)],
        options: &ProcessOptions,
    ) -> io::Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)?;
        let lock = File::create(self.0.join("lock"))?;
        lock.lock()?;
        if !matches!(self.seen()?, Seen::Prepared | Seen::Missing) {
            return self.belongs_to(&job);
        }
        self.make_private(private)?;
        let mark = Digest::of(
            "flyte attempt mark v1",
            self.0.as_os_str().as_encoded_bytes(),
        );
        job.mark = mark.to_hex().chars().take(32).collect();
        if options.cgroups {
            job.cgroup = Cgroup::make(&format!("flyte-{}", job.mark)).map(|g| g.0);
        }
        if let Some(template) = template {
            write_whole(&self.template(), &template.encode_to_vec())?;
        }
        write_whole(&self.0.join("job.json"), &serde_json::to_vec(&job)?)?;
        let secret_folder = SecretFolder::of(&self.0);
        let spawned = secret_folder.write(secrets).and_then(|()| {
            let mut wrapper = self.wrapper(&job, env, options.log_bytes_max);
            wrapper.spawn()
        });
        let mut child = match spawned {
            Ok(child) => child,
            // Nothing uses them.
            Err(e) => {
                let removed = secret_folder.remove().and(self.remove_private());
                return removed.and(Err(e));
            }
        };
        // Somebody must take the wrapper's exit status while this process lives.
        std::thread::spawn(move || child.wait());
        // The lock is held until the wrapper has told its pid: whoever comes next finds it.
        for _ in 0..2_000 {
            if self.0.join("pid").exists() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the process did not begin within 2 s",
        ))
    }

    /// Removes the secrets of an attempt that was not started, unless it is being started now.
    pub(crate) fn forget_secrets(&self) -> io::Result<()> {
        if !self.0.exists() {
            return Ok(());
        }
        let lock = File::create(self.0.join("lock"))?;
        if lock.try_lock().is_err() {
            return Ok(());
        }
        match self.seen()? {
            Seen::Prepared => SecretFolder::of(&self.0).remove(),
            _ => Ok(()),
        }
    }

    /// Whether what ran here was the same job: folders are named by their executions, and whoever
    /// copies a folder of data elsewhere must not be given the results of another one.
    fn belongs_to(&self, job: &Job) -> io::Result<()> {
        let there: Job = serde_json::from_slice(&fs::read(self.0.join("job.json"))?)?;
        if there.key == job.key && there.output_prefix == job.output_prefix {
            return Ok(());
        }
        let text = format!(
            "the folder {} has the job of {} and cannot run {}: delete it",
            self.0.display(),
            there.key,
            job.key
        );
        Err(io::Error::new(io::ErrorKind::AlreadyExists, text))
    }

    pub(crate) fn seen(&self) -> io::Result<Seen> {
        if !self.0.exists() {
            return Ok(Seen::Missing);
        }
        if let Some(exit) = self.exit()? {
            return Ok(Seen::Exited(exit));
        }
        let Some((pid, start, boot)) = self.pid()? else {
            return Ok(Seen::Prepared);
        };
        if is_alive(pid, &start, &boot) {
            return Ok(Seen::Running);
        }
        // It may have ended between the two looks.
        Ok(self.exit()?.map_or(Seen::Lost, Seen::Exited))
    }

    fn exit(&self) -> io::Result<Option<Exit>> {
        match fs::read_to_string(self.0.join("exit")) {
            Ok(text) => Ok(Some(Exit::parse(&text))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The file of the task's template, for a command that asks for it.
    pub(crate) fn template(&self) -> PathBuf {
        self.0.join("task.pb")
    }

    pub(crate) fn job(&self) -> Option<Job> {
        serde_json::from_slice(&fs::read(self.0.join("job.json")).ok()?).ok()
    }
}

pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    let tmp = path.with_extension("tmp");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&tmp)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(tmp, path)
}
