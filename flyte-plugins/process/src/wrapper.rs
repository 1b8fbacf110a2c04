use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::folder::{Folder, Job};

/// The script that runs the program of an attempt and records how it ended.
const WRAPPER: &str = include_str!("wrapper.sh");

impl Folder {
    /// The wrapper of this attempt, not started yet.
    pub(crate) fn wrapper(
        &self,
        job: &Job,
        env: &[(String, String)],
        log_bytes_max: u64,
    ) -> Command {
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
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::folder::Seen;

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
                has_outputs: false,
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
