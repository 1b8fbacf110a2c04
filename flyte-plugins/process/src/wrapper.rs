use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::folder::{Folder, Job};
use crate::logs::GOES_ON;
use crate::processes::MARK;

/// The script that runs the program of an attempt and records how it ended.
const WRAPPER: &str = include_str!("wrapper.sh");

/// The program that makes a session; where it is missing, the wrapper has a group of processes only.
const SETSID: [&str; 2] = ["/usr/bin/setsid", "/bin/setsid"];

impl Folder {
    /// The wrapper of this attempt, not started yet.
    pub(crate) fn wrapper(
        &self,
        job: &Job,
        env: &[(String, String)],
        log_bytes_max: u64,
    ) -> Command {
        // A session of its own: nothing but `setsid` leaves it. The program that makes one does not fork
        // here, since it does not lead a group.
        let setsid = SETSID.iter().find(|path| Path::new(path).exists());
        let mut command = match setsid {
            Some(setsid) => Command::new(setsid),
            None => Command::new("/bin/sh"),
        };
        match setsid {
            Some(_) => command.arg("/bin/sh"),
            None => command.process_group(0),
        };
        let group = job.cgroup.as_deref().unwrap_or(Path::new(""));
        let outer = std::env::var(MARK).ok().filter(|m| !m.is_empty());
        let marks: Vec<&str> = outer
            .iter()
            .map(String::as_str)
            .chain([&*job.mark])
            .collect();
        command
            .args(["-c", WRAPPER, "flyte-task"])
            .arg(&self.0)
            .arg(log_bytes_max.to_string())
            .arg(GOES_ON)
            .arg(group)
            .args(&job.command)
            .env_clear()
            .envs(env.iter().map(|(k, v)| (k, v)))
            .env(MARK, marks.join(","))
            .current_dir(&job.working_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::folder::Seen;

    /// An attempt of a shell's line.
    fn attempt(folder: &Folder, line: &str) -> (Job, [(String, String); 1]) {
        fs::create_dir_all(&folder.0).unwrap();
        let job = Job {
            key: "k".into(),
            command: ["/bin/sh", "-c", line].map(String::from).into(),
            working_dir: folder.0.clone(),
            output_prefix: String::new(),
            abort_grace_ms: 100,
            has_outputs: false,
            mark: String::new(),
            cgroup: None,
        };
        (job, [("PATH".to_owned(), std::env::var("PATH").unwrap())])
    }

    /// As two schedulers do of which the first died before the pid was there.
    #[test]
    fn of_two_wrappers_one_runs_the_program() {
        let root = tempfile::tempdir().unwrap();
        for round in 0..20 {
            let folder = Folder(root.path().join(round.to_string()));
            let ran = folder.0.join("ran");
            let (job, env) = attempt(&folder, &format!("echo once >> {}", ran.display()));
            let start = || folder.wrapper(&job, &env, 1000).spawn().unwrap();
            for mut wrapper in [start(), start(), start()] {
                assert!(wrapper.wait().unwrap().success());
            }
            assert_eq!(fs::read_to_string(&ran).unwrap(), "once\n", "{round}");
            let seen = folder.seen().unwrap();
            assert!(matches!(seen, Seen::Exited(e) if e.is_success()));
        }
    }

    #[test]
    fn an_exit_status_is_told_from_a_signal() {
        for (line, shown) in [
            ("exit 3", "exit status 3"),
            ("exit 200", "exit status 200"),
            ("exit 137", "exit status 137 (a shell exits"),
            ("exit 134", "exit status 134 (a shell exits"),
            ("exit 143", "exit status 143, or signal 15 (SIGTERM)"),
            ("kill -9 $$", "ended by signal 9 (SIGKILL)"),
            ("kill -6 $$", "ended by signal 6 (SIGABRT)"),
            ("kill -13 $$", "exit status 141, or signal 13 (SIGPIPE)"),
        ] {
            let root = tempfile::tempdir().unwrap();
            let folder = Folder(root.path().join("attempt"));
            let (job, env) = attempt(&folder, line);
            let mut wrapper = folder.wrapper(&job, &env, 1000).spawn().unwrap();
            assert!(wrapper.wait().unwrap().success());
            let seen = folder.seen().unwrap();
            let Seen::Exited(exit) = seen else {
                panic!("{line}: {seen:?}")
            };
            assert!(exit.to_string().starts_with(shown), "{line}: {exit}");
        }
    }
}
