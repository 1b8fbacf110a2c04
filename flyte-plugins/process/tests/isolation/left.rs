//! Nothing of an attempt outlives it, with a control group and without.

use std::fs;
use std::path::Path;
use std::time::Duration;

use flyte_core::contract::{JobHandle, JobPhase, Plugin};
use flyte_core::literal::Row;

use crate::job::Lab;

/// Without a control group, and with one where one can be made.
fn both_ways(check: impl Fn(&Lab)) {
    for cgroups in [false, true] {
        let mut lab = Lab::new();
        lab.options.cgroups = cgroups;
        lab.options.abort_grace = Duration::from_millis(300);
        check(&lab);
        let folder = lab.attempt(0, 0);
        let Ok(group) = fs::read_to_string(folder.join("cgroup")) else {
            assert!(!cgroups || !can_make_one(), "no control group was used");
            continue;
        };
        assert!(cgroups);
        assert!(!Path::new(group.trim()).exists(), "{group} is left");
    }
}

/// Whether this machine has a hierarchy of version 2 in which this process may make groups.
fn can_make_one() -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = mounts.lines().find(|l| l.contains(" - cgroup2 "));
    let Some(point) = line.and_then(|l| l.split(' ').nth(4)) else {
        return false;
    };
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let own = own.lines().find_map(|l| l.strip_prefix("0::/")).unwrap();
    let probe = Path::new(point).join(own).join("flyte-test-probe");
    let made = fs::create_dir(&probe).is_ok();
    let works = made && probe.join("cgroup.kill").exists();
    if made {
        fs::remove_dir(probe).unwrap();
    }
    works
}

/// The processes that are still there of those whose numbers the attempt wrote, and those that name its
/// folder: the wrapper and readers do.
fn left(lab: &Lab) -> Vec<String> {
    let noted = fs::read_to_string(lab.path("pids")).unwrap_or_default();
    let noted: Vec<&str> = noted.split_whitespace().collect();
    let folder = lab.attempt(0, 0).to_string_lossy().into_owned();
    let mut out = Vec::new();
    for entry in fs::read_dir("/proc").unwrap() {
        let path = entry.unwrap().path();
        let command = fs::read(path.join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let pid = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_noted = noted.contains(&pid.as_str());
        // A process that is over has no command line.
        if !command.is_empty() && (is_noted || command.contains(&folder)) {
            out.push(format!("{pid}: {command}"));
        }
    }
    out
}

/// A line that starts processes, each of which notes its number: a child, one in a session of its own,
/// one that leaves its parent and starts others all the time, and one without an environment.
fn starts(lab: &Lab) -> String {
    let pids = lab.path("pids");
    let note = format!("echo $$ >> {}", pids.display());
    format!(
        "sh -c '{note}; exec sleep 600' & \
         setsid sh -c '{note}; trap \"\" TERM HUP; sleep 600; sleep 600' & \
         (setsid sh -c '{note}; while true; do sh -c \"sleep 1; sleep 600\" & sleep 0.05; done' &) ; \
         env -i sh -c '{note}; sleep 600; sleep 600' & \
         while [ $(cat {} | wc -l) -lt 4 ]; do sleep 0.01; done; ",
        pids.display()
    )
}

/// Launches a line and waits until its processes are there.
fn launch(lab: &Lab, line: &str) -> JobHandle {
    let request = lab.request(0, 0, line, Row::default());
    let handle = lab.launch(&request).unwrap();
    let pids = lab.path("pids");
    while fs::read_to_string(&pids)
        .unwrap_or_default()
        .lines()
        .count()
        < 4
    {
        std::thread::yield_now();
    }
    handle
}

#[test]
fn a_program_that_succeeds_leaves_no_process() {
    both_ways(|lab| {
        let handle = launch(lab, &format!("{} echo done; exit 0", starts(lab)));
        let phase = lab.end(&handle);
        assert!(matches!(phase, JobPhase::Succeeded(_)), "{phase:?}");
        // The end is told when nothing is left.
        assert_eq!(left(lab), Vec::<String>::new());
        lab.finalize(&handle);
    });
}

#[test]
fn a_program_that_fails_leaves_no_process_and_its_last_words_are_told() {
    both_ways(|lab| {
        let line = format!("{} echo 'last words' >&2; exit 3", starts(lab));
        let handle = launch(lab, &line);
        let JobPhase::Failed { error, .. } = lab.end(&handle) else {
            panic!("it failed");
        };
        assert_eq!(&*error.message, "the process: exit status 3\nlast words");
        assert_eq!(left(lab), Vec::<String>::new());
    });
}

#[test]
fn an_abort_leaves_no_process() {
    both_ways(|lab| {
        // The program does not end when it is asked to.
        let handle = launch(lab, &format!("trap '' TERM; {} wait", starts(lab)));
        lab.block_on(lab.plugin().abort(&handle, "test")).unwrap();
        let phase = lab.end(&handle);
        assert!(matches!(phase, JobPhase::Aborted), "{phase:?}");
        assert_eq!(left(lab), Vec::<String>::new());
    });
}

/// As after `kill -9` of wrapper and program, which the next owner finds.
#[test]
fn a_lost_wrapper_leaves_no_process() {
    both_ways(|lab| {
        let handle = launch(lab, &format!("{} wait", starts(lab)));
        let pid = fs::read_to_string(lab.attempt(0, 0).join("pid")).unwrap();
        let pid: i32 = pid.split(' ').next().unwrap().parse().unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        let JobPhase::Failed { error, .. } = lab.end(&handle) else {
            panic!("it failed");
        };
        assert_eq!(&*error.code, "ProcessLost");
        assert_eq!(left(lab), Vec::<String>::new());
    });
}

/// Without an observer nobody waits; the next owner finds the exit status and what is left.
#[test]
fn a_finished_attempt_is_settled_by_the_next_owner() {
    both_ways(|lab| {
        let handle = launch(lab, &format!("{} exit 0", starts(lab)));
        while !lab.attempt(0, 0).join("exit").exists() {
            std::thread::yield_now();
        }
        lab.finalize(&handle);
        assert_eq!(left(lab), Vec::<String>::new());
        let phase = lab.end(&handle);
        assert!(matches!(phase, JobPhase::Succeeded(_)), "{phase:?}");
    });
}

/// What another attempt runs is not touched, also while it has the same parent.
#[test]
fn another_attempt_goes_on() {
    both_ways(|lab| {
        let request = lab.request(1, 0, "setsid sleep 600 & wait", Row::default());
        let other = lab.launch(&request).unwrap();
        let handle = launch(lab, &format!("{} exit 0", starts(lab)));
        lab.end(&handle);
        let observed = lab.block_on(lab.plugin().observe(std::slice::from_ref(&other)));
        let phase = observed[0].as_ref().unwrap().phase.clone();
        assert!(matches!(phase, JobPhase::Running), "{phase:?}");
        lab.block_on(lab.plugin().abort(&other, "test")).unwrap();
        let phase = lab.end(&other);
        assert!(matches!(phase, JobPhase::Aborted), "{phase:?}");
    });
}
