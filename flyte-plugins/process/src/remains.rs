//! Nothing of an attempt outlives it: what its program left running is ended before its outcome is told.
//!
//! Where the attempt has a control group, the kernel knows what belongs to it. Elsewhere these belong to
//! it: processes with its mark in their environment, processes of the wrapper's session and group, and
//! what these lead or started. A process that left the session and removed the mark is not found.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::cgroup::Cgroup;
use crate::exit::Exit;
use crate::folder::{Folder, Seen};
use crate::leader::{boot_id, is_alive};
use crate::processes::Process;

/// How long an outcome waits for processes that do not end, such as those of a file system that hangs.
const LEFT_WAIT_MAX: Duration = Duration::from_secs(60);

/// How long one look waits for processes that were killed.
const KILL_WAIT: Duration = Duration::from_millis(200);

/// Looks for processes that appear while others are stopped, in one call.
const ROUNDS_MAX: u32 = 100;

impl Folder {
    /// Ends what is left of an attempt whose program is over, and puts its logs together. Whether
    /// nothing is left.
    pub(crate) fn end_remains(&self) -> io::Result<bool> {
        let done = self.0.join("ended-all");
        if done.exists() {
            return Ok(true);
        }
        let Some((pid, start, boot)) = self.pid()? else {
            // It was not started.
            return Ok(true);
        };
        if boot == boot_id() && !self.end_rest(pid, &start, &boot)? {
            return Ok(false);
        }
        // If the disk is full, the parts of a log stay as they are.
        let _parts = self.join_logs();
        for name in ["out", "err", "ended"] {
            let _absent = fs::remove_file(self.0.join(name));
        }
        File::create(done)?;
        Ok(true)
    }

    /// Whether an outcome has waited long enough for what does not end.
    pub(crate) fn has_waited(&self) -> io::Result<bool> {
        let waiting = self.0.join("ending-all");
        match fs::metadata(&waiting) {
            Ok(since) => Ok(since.modified()?.elapsed().is_ok_and(|e| e > LEFT_WAIT_MAX)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                File::create(waiting)?;
                Ok(false)
            }
            Err(e) => Err(e),
        }
    }

    /// The group that the wrapper entered.
    pub(crate) fn cgroup(&self) -> io::Result<Option<Cgroup>> {
        match fs::read_to_string(self.0.join("cgroup")) {
            Ok(path) => Ok(Some(Cgroup(path.trim_end_matches('\n').into()))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    #[cfg(target_os = "linux")]
    fn end_rest(&self, pid: i32, start: &str, boot: &str) -> io::Result<bool> {
        let wrapper = || is_alive(pid, start, boot);
        let entered = self.cgroup()?;
        if let Some(group) = &entered {
            group.kill_job()?;
            // It records the exit status and ends by itself when the readers have everything.
            wait(|| Ok(!wrapper()))?;
            group.kill()?;
            return Ok(wait(|| group.remove())? && !wrapper());
        }
        let leader = Leader {
            pid,
            start: start.parse().unwrap_or_default(),
            over_by: match self.seen()? {
                Seen::Exited(exit) => exit.ticks(),
                _ => None,
            },
        };
        let job = self.job();
        let mark = job.as_ref().map(|j| j.mark.as_str()).unwrap_or_default();
        if wrapper() {
            end_all(|| leader.members(mark, true))?;
            wait(|| Ok(!wrapper()))?;
        }
        let gone = end_all(|| leader.members(mark, false))?;
        // It was made, and the wrapper could not enter it.
        if let Some(path) = job.and_then(|j| j.cgroup) {
            let _busy = Cgroup(path).remove();
        }
        Ok(gone)
    }

    /// The group of processes is all that is known here.
    #[cfg(not(target_os = "linux"))]
    fn end_rest(&self, pid: i32, _: &str, _: &str) -> io::Result<bool> {
        use rustix::process::{Pid, kill_process_group, test_kill_process_group};
        let Some(group) = Pid::from_raw(pid) else {
            return Ok(true);
        };
        let _gone = kill_process_group(group, Signal::KILL);
        wait(|| Ok(test_kill_process_group(group).is_err()))
    }
}

impl Exit {
    /// The moment of the exit in clock ticks since the machine's start.
    fn ticks(&self) -> Option<u64> {
        let per_second = rustix::param::clock_ticks_per_second();
        self.centiseconds().map(|c| c * per_second / 100)
    }
}

/// Asks again in growing steps until something is so; whether it came to be.
fn wait(is_so: impl Fn() -> io::Result<bool>) -> io::Result<bool> {
    let end = Instant::now() + KILL_WAIT;
    let mut pause = Duration::from_millis(1);
    loop {
        if is_so()? {
            return Ok(true);
        }
        if Instant::now() >= end {
            return Ok(false);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Stops all members until no further one appears, and kills them; whether none is left.
#[cfg(target_os = "linux")]
fn end_all(members: impl Fn() -> io::Result<Vec<Process>>) -> io::Result<bool> {
    let (mut stopped, mut foreign) = (BTreeSet::new(), BTreeSet::new());
    let mut pause = Duration::from_millis(1);
    for _ in 0..ROUNDS_MAX {
        let mut found = members()?;
        found.retain(|p| !foreign.contains(&(p.pid, p.start)));
        if found.is_empty() {
            return Ok(true);
        }
        let mut new = false;
        for p in &found {
            if stopped.insert((p.pid, p.start)) {
                new = true;
                // A program of another user cannot be ended by this one.
                if !p.signal(Signal::STOP)? {
                    foreign.insert((p.pid, p.start));
                }
            }
        }
        if !new {
            for p in &found {
                p.signal(Signal::KILL)?;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }
    Ok(false)
}

/// The wrapper, alive or not.
#[derive(Debug)]
struct Leader {
    pid: i32,
    start: u64,
    /// When the program was over, if that is known.
    over_by: Option<u64>,
}

impl Leader {
    /// The processes of the attempt; without the wrapper and its readers if these may go on.
    fn members(&self, mark: &str, spare: bool) -> io::Result<Vec<Process>> {
        let all = Process::all()?;
        let marked = |p: &&Process| !mark.is_empty() && !p.over && p.has_mark(mark);
        let marked: BTreeSet<i32> = all.iter().filter(marked).map(|p| p.pid).collect();
        let mut mine = self.choose(&all, &marked, spare);
        let mut own = std::process::id() as i32;
        // This process cannot be its own attempt's, nor can those that started it.
        while own > 0 {
            mine.remove(&own);
            own = all.iter().find(|p| p.pid == own).map_or(0, |p| p.parent);
        }
        Ok(all
            .into_iter()
            .filter(|p| !p.over && mine.contains(&p.pid))
            .collect())
    }

    fn choose(&self, all: &[Process], marked: &BTreeSet<i32>, spare: bool) -> BTreeSet<i32> {
        let holder = all.iter().find(|p| p.pid == self.pid);
        let alive = holder.is_some_and(|p| p.start == self.start && !p.over);
        // While a member is left, the number of a session or group is not given again.
        let reused = holder.is_some_and(|p| p.start != self.start);
        let led = |p: &Process| p.session == self.pid || p.group == self.pid;
        let sure = alive || all.iter().any(|p| led(p) && marked.contains(&p.pid));
        let old = |p: &Process| self.over_by.is_some_and(|t| p.start <= t);
        let mut mine = marked.clone();
        for p in all {
            let of_wrapper = !reused && led(p) && (sure || old(p));
            let of_marked = marked.contains(&p.session) || marked.contains(&p.group);
            if of_wrapper || of_marked {
                mine.insert(p.pid);
            }
        }
        add_children(all, &mut mine);
        if spare && alive {
            let mut service = BTreeSet::from([self.pid]);
            add_children(all, &mut service);
            mine.retain(|pid| !service.contains(pid));
        }
        mine
    }
}

fn add_children(all: &[Process], of: &mut BTreeSet<i32>) {
    loop {
        let before = of.len();
        for p in all {
            if of.contains(&p.parent) {
                of.insert(p.pid);
            }
        }
        if of.len() == before {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32, group: i32, session: i32, start: u64) -> Process {
        Process {
            pid,
            parent,
            group,
            session,
            start,
            over: false,
        }
    }

    #[test]
    fn only_processes_of_the_attempt_are_chosen() {
        let leader = Leader {
            pid: 10,
            start: 100,
            over_by: Some(500),
        };
        let all = [
            process(1, 0, 1, 1, 1),
            // A stranger in a session of its own.
            process(5, 1, 5, 5, 50),
            // Left by the program: in the session, in a session of its own, and a child without a mark.
            process(11, 1, 10, 10, 110),
            process(12, 1, 12, 12, 120),
            process(13, 12, 13, 13, 130),
            process(14, 1, 14, 12, 140),
            // It has the number of the session, and began after the end.
            process(15, 1, 10, 10, 900),
        ];
        let marked = BTreeSet::from([12]);
        let chosen = leader.choose(&all, &marked, false);
        assert_eq!(chosen, BTreeSet::from([11, 12, 13, 14]));
        // The number of the wrapper was given to a stranger.
        let mut reused = all.to_vec();
        reused.push(process(10, 1, 10, 10, 800));
        let chosen = leader.choose(&reused, &marked, false);
        assert_eq!(chosen, BTreeSet::from([12, 13, 14]));
        // The wrapper and its readers go on until the logs are complete.
        let mut alive = all.to_vec();
        alive.extend([process(10, 1, 10, 10, 100), process(16, 10, 10, 10, 101)]);
        let marked = BTreeSet::from([10, 12, 16]);
        let chosen = leader.choose(&alive, &marked, true);
        assert_eq!(chosen, BTreeSet::from([11, 12, 13, 14, 15]));
        assert!(leader.choose(&alive, &marked, false).contains(&16));
    }
}
