use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use serde::{Deserialize, Serialize};

/// How a job was started; the environment's secrets are not in it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) key: String,
    pub(crate) command: Vec<String>,
    pub(crate) working_dir: PathBuf,
    pub(crate) output_prefix: String,
    pub(crate) abort_grace_ms: u64,
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
    /// It ended with this status of the shell: above 128 a signal.
    Exited(i32),
    /// It is gone without having said how it ended.
    Lost,
}

// `$1` is the folder, `$2` the bound of a log in bytes; the rest is the program.
// A scheduler may die between starting a wrapper and seeing its pid, and the next one then starts
// another: the link is made by one of them only, and whoever came second does nothing.
// Readers are members of the group: they outlive the scheduler, and one line says what was cut.
// What the program leaves behind may hold a reader open: the exit status does not wait for it.
const WRAPPER: &str = r#"
d=$1; max=$2; shift 2
read -r line < /proc/$$/stat; rest=${line##*) }; set -f; set -- "$rest" "$@"
start=$(echo "$1" | cut -d' ' -f20); shift; set +f
own="$d/pid.$$"
echo "$$ $start $(cat /proc/sys/kernel/random/boot_id)" > "$own" || exit 70
ln "$own" "$d/pid" 2> /dev/null || [ -e "$d/pid" ] || mv "$own" "$d/pid" || exit 70
rm -f "$own"
read -r first rest < "$d/pid"
[ "$first" = "$$" ] || exit 0
keep() {
  head -c "$max" > "$1"
  extra=$(head -c 1 | wc -c)
  if [ "$extra" -gt 0 ]; then
    printf '\n[the log is cut here: it is longer than %s bytes]\n' "$max" >> "$1"
    cat > /dev/null
  fi
}
rm -f "$d/out" "$d/err"; mkfifo "$d/out" "$d/err" || exit 70
keep "$d/stdout.log" < "$d/out" & r1=$!
keep "$d/stderr.log" < "$d/err" & r2=$!
"$@" > "$d/out" 2> "$d/err" < /dev/null &
child=$!
trap 'kill -TERM $child 2>/dev/null' TERM INT
wait $child; code=$?
while kill -0 $child 2>/dev/null; do wait $child; code=$?; done
trap '' TERM INT
n=0
while [ $n -lt 20 ] && { kill -0 $r1 2>/dev/null || kill -0 $r2 2>/dev/null; }; do sleep 0.05; n=$((n+1)); done
echo "$code" > "$d/exit.tmp" && mv "$d/exit.tmp" "$d/exit"
rm -f "$d/out" "$d/err"
exit 0
"#;

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
        job: &Job,
        env: &[(String, String)],
        log_bytes_max: u64,
    ) -> io::Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)?;
        let lock = File::create(self.0.join("lock"))?;
        lock.lock()?;
        if !matches!(self.seen()?, Seen::Prepared | Seen::Missing) {
            return self.belongs_to(job);
        }
        write_whole(&self.0.join("job.json"), &serde_json::to_vec(job)?)?;
        let mut child = self.wrapper(job, env, log_bytes_max).spawn()?;
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

    fn wrapper(&self, job: &Job, env: &[(String, String)], log_bytes_max: u64) -> Command {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", WRAPPER, "flyte-task"])
            .arg(&self.0)
            .arg(log_bytes_max.to_string())
            .args(&job.command)
            .env_clear()
            .envs(env.iter().map(|(k, v)| (k, v)))
            .current_dir(&job.working_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        command
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
        if let Some(code) = self.exit()? {
            return Ok(Seen::Exited(code));
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

    fn exit(&self) -> io::Result<Option<i32>> {
        match fs::read_to_string(self.0.join("exit")) {
            Ok(text) => Ok(Some(text.trim().parse().unwrap_or(1))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn pid(&self) -> io::Result<Option<(i32, String, String)>> {
        let text = match fs::read_to_string(self.0.join("pid")) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let mut words = text.split_whitespace().map(str::to_owned);
        let parts = (
            words.next().and_then(|p| p.parse().ok()),
            words.next(),
            words.next(),
        );
        match parts {
            (Some(pid), Some(start), Some(boot)) => Ok(Some((pid, start, boot))),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the pid file is damaged",
            )),
        }
    }

    pub(crate) fn job(&self) -> Option<Job> {
        serde_json::from_slice(&fs::read(self.0.join("job.json")).ok()?).ok()
    }

    /// Asks the group to end; once more, harder, after the grace or when it shall be `now`.
    pub(crate) fn abort(&self, now: bool) -> io::Result<()> {
        let Some((pid, start, boot)) = self.pid()? else {
            return Ok(());
        };
        if !is_alive(pid, &start, &boot) {
            return Ok(());
        }
        let asked = self.0.join("aborted");
        let grace = Duration::from_millis(self.job().map_or(10_000, |j| j.abort_grace_ms));
        let since = fs::metadata(&asked).and_then(|m| m.modified()).ok();
        let over = now || since.is_some_and(|t| t.elapsed().is_ok_and(|e| e >= grace));
        if since.is_none() {
            File::create(&asked)?;
        }
        signal(pid, if over { Signal::KILL } else { Signal::TERM })
    }

    /// Whether a member of the group is left.
    pub(crate) fn group_is_alive(&self) -> io::Result<bool> {
        let Some((pid, _, boot)) = self.pid()? else {
            return Ok(false);
        };
        Ok(boot == boot_id()
            && Pid::from_raw(pid).is_some_and(|p| test_kill_process_group(p).is_ok()))
    }

    /// Ends what is left of a group whose leader is gone.
    pub(crate) fn kill_rest(&self) -> io::Result<()> {
        match self.pid()? {
            Some((pid, _, boot)) if boot == boot_id() => signal(pid, Signal::KILL),
            _ => Ok(()),
        }
    }

    /// The last lines of a log.
    pub(crate) fn tail(&self, name: &str, bytes: u64) -> String {
        use std::io::{Read, Seek, SeekFrom};
        let read = || -> io::Result<String> {
            let mut file = File::open(self.0.join(name))?;
            let len = file.metadata()?.len();
            file.seek(SeekFrom::Start(len.saturating_sub(bytes)))?;
            let mut out = Vec::new();
            file.take(bytes).read_to_end(&mut out)?;
            Ok(String::from_utf8_lossy(&out).trim().to_owned())
        };
        read().unwrap_or_else(|e| format!("(the log cannot be read: {e})"))
    }
}

fn signal(pid: i32, signal: Signal) -> io::Result<()> {
    let Some(pid) = Pid::from_raw(pid) else {
        return Ok(());
    };
    match kill_process_group(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// Whether the process of a pid file is that process still, and no later one with its number.
fn is_alive(pid: i32, start: &str, boot: &str) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let Some((_, rest)) = stat.rsplit_once(") ") else {
        return false;
    };
    let mut words = rest.split(' ');
    let zombie = words.next() == Some("Z");
    // The start time is field 22; the rest begins with field 3.
    !zombie && words.nth(18) == Some(start) && boot == boot_id()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// As two schedulers do of which the first died before the pid was there.
    #[test]
    fn of_two_wrappers_one_runs_the_program() {
        let root = std::env::temp_dir().join(format!("flyte-wrappers-{}", std::process::id()));
        for round in 0..20 {
            let folder = Folder(root.join(round.to_string()));
            fs::create_dir_all(&folder.0).unwrap();
            let ran = folder.0.join("ran");
            let script = format!("echo once >> {}", ran.display());
            let job = Job {
                key: "k".into(),
                command: ["/bin/sh", "-c", &script].map(String::from).into(),
                working_dir: root.clone(),
                output_prefix: String::new(),
                abort_grace_ms: 100,
            };
            let path = ("PATH".to_owned(), std::env::var("PATH").unwrap());
            let env = [path];
            let start = || folder.wrapper(&job, &env, 1000).spawn().unwrap();
            for mut wrapper in [start(), start(), start()] {
                assert!(wrapper.wait().unwrap().success());
            }
            assert_eq!(fs::read_to_string(&ran).unwrap(), "once\n", "{round}");
            assert_eq!(folder.seen().unwrap(), Seen::Exited(0));
        }
        fs::remove_dir_all(root).unwrap();
    }
}
