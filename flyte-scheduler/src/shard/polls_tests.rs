use flyte_core::contract::{JobPhase, PluginCapabilities};
use flyte_core::id::NodeAddr;

use super::*;

/// Polls of one plugin, its answers, and what they meant.
struct Desk {
    polls: Polls,
    now: Timestamp,
    out: Vec<Action>,
    told: Vec<Told>,
}

impl Desk {
    fn new(push: bool) -> Self {
        let capabilities = PluginCapabilities {
            push,
            ..PluginCapabilities::default()
        };
        let interval = PollInterval::new(Duration::from_millis(100), Duration::from_secs(10));
        let info = PluginInfo::new("p", ["t"]).with_capabilities(capabilities);
        Self {
            polls: Polls::new(&[info.with_poll(interval)], 1),
            now: Timestamp::UNIX_EPOCH,
            out: Vec::new(),
            told: Vec::new(),
        }
    }

    fn watch(&mut self, n: u32) {
        self.polls.watch(self.now, at(n), 0, handle(n));
    }

    fn end(&mut self, n: u32) {
        let (polls, out) = (&mut self.polls, &mut self.out);
        polls.end(self.now, at(n), 0, handle(n), "enough".into(), out);
    }

    /// Lets time pass until somebody is due, and returns who is asked after.
    fn next(&mut self) -> Vec<Observe> {
        let due = self.polls.next().expect("somebody is due");
        self.now = self.now.max(due);
        self.polls.ask(self.now, &mut self.out);
        self.questions()
    }

    fn questions(&mut self) -> Vec<Observe> {
        let question = |a| match a {
            Action::Observe(q) => q,
            other => panic!("nobody asked for {other:?}"),
        };
        self.out.drain(..).map(question).collect()
    }

    fn answer(&mut self, question: &Observe, status: impl Fn() -> Result<JobStatus, Error>) {
        let answers = question.jobs.iter().map(|_| status()).collect();
        let (told, out) = (&mut self.told, &mut self.out);
        self.polls.answered(self.now, question, answers, told, out);
    }

    fn aborts(&mut self) -> usize {
        let n = self.out.len();
        assert!(
            self.out
                .drain(..)
                .all(|a| matches!(a, Action::Abort { .. }))
        );
        n
    }
}

fn at(n: u32) -> AttemptRef {
    AttemptRef {
        execution: 1,
        addr: NodeAddr::new(0, n),
        attempt: 0,
    }
}

fn handle(n: u32) -> JobHandle {
    JobHandle::new(1, n.to_le_bytes().to_vec()).unwrap()
}

fn running(version: u64) -> Result<JobStatus, Error> {
    Ok(JobStatus::new(version, JobPhase::Running))
}

fn aborted(version: u64) -> Result<JobStatus, Error> {
    Ok(JobStatus::new(version, JobPhase::Aborted))
}

fn failed(kind: ErrorKind) -> Result<JobStatus, Error> {
    Err(Error::new(kind, "observe", "as told"))
}

#[test]
fn jobs_are_asked_after_in_chunks_by_a_bounded_number_of_calls() {
    let mut desk = Desk::new(false);
    let all = OBSERVE_CHUNK_MAX * (OBSERVE_CALLS_MAX + 2);
    (0..all as u32).for_each(|n| desk.watch(n));
    let questions = desk.next();
    assert_eq!(questions.len(), OBSERVE_CALLS_MAX);
    assert!(questions.iter().all(|q| q.jobs.len() == OBSERVE_CHUNK_MAX));
    assert_eq!(desk.polls.next(), None, "it must answer first");
    desk.answer(&questions[0], || running(1));
    assert_eq!(desk.told.len(), OBSERVE_CHUNK_MAX);
    assert_eq!(desk.polls.next(), Some(desk.now), "the others are due");
    assert_eq!(desk.next().len(), 1);
}

#[test]
fn the_older_a_job_the_rarer_the_questions_and_never_in_step() {
    let mut desk = Desk::new(false);
    (0..50).for_each(|n| desk.watch(n));
    let (mut times, mut asked) = (vec![Vec::new(); 50], 0);
    while desk.now < Timestamp::from_unix_millis(600_000) {
        for question in desk.next() {
            for at in &question.jobs {
                times[at.addr.node.0 as usize].push(desk.now.as_unix_millis());
                asked += 1;
            }
            desk.answer(&question, || running(1));
        }
    }
    assert_eq!(desk.told.len(), 50, "an old status is no news");
    // Ten in the first second, then an eighth of the age, then every ten seconds.
    assert!((50 * 60..50 * 110).contains(&asked), "{asked}");
    for times in &times {
        for pair in times.windows(2) {
            let (age, pause) = (pair[0], pair[1] - pair[0]);
            let wanted = (age / 8).clamp(100, 10_000);
            let range = wanted * 3 / 4 - 10..=wanted * 5 / 4 + 10;
            assert!(range.contains(&pause), "{pause} ms at {age} ms");
        }
    }
    let last: std::collections::HashSet<_> = times.iter().filter_map(|t| t.last()).collect();
    assert!(last.len() > 25, "they drift apart: {}", last.len());
}

#[test]
fn what_cannot_be_asked_is_asked_less_often_and_in_smaller_questions() {
    let mut desk = Desk::new(false);
    (0..64).for_each(|n| desk.watch(n));
    let question = desk.next().remove(0);
    assert_eq!(question.jobs.len(), 64);
    desk.answer(&question, || failed(ErrorKind::Timeout));
    let smaller = desk.next();
    assert!(smaller.iter().all(|q| q.jobs.len() <= 32), "{smaller:?}");
    let (mut now, mut pauses) = (desk.now, Vec::new());
    let mut questions = smaller;
    for _ in 0..400 {
        for q in &questions {
            desk.answer(q, || failed(ErrorKind::Unavailable));
        }
        questions = desk.next();
        pauses.push(desk.now.since(now).as_millis());
        now = desk.now;
    }
    assert!(desk.told.is_empty());
    let per_job = pauses.iter().rev().take(64).sum::<i64>();
    assert!(per_job > 5_000, "{per_job} ms for a round");
}

#[test]
fn old_and_late_statuses_are_dropped() {
    let mut desk = Desk::new(false);
    desk.watch(0);
    for status in [running(0), running(2), running(1), running(2), aborted(3)] {
        let question = desk.next().remove(0);
        desk.answer(&question, || match &status {
            Ok(s) => Ok(s.clone()),
            Err(_) => unreachable!("they are statuses"),
        });
    }
    let versions = |told: &[Told]| -> Vec<u64> {
        told.iter()
            .map(|t| match t {
                Told::Observed(_, s) => s.version,
                Told::Over(..) => panic!("it was not told to end"),
            })
            .collect()
    };
    assert_eq!(versions(&desk.told), [0, 2, 3]);
    assert!(!desk.polls.looks_after(at(0)) && desk.polls.next().is_none());
}

#[test]
fn a_job_is_told_to_end_until_it_is_over() {
    let mut desk = Desk::new(false);
    desk.watch(0);
    let question = desk.next().remove(0);
    desk.end(0);
    assert_eq!(desk.aborts(), 1);
    // An answer from before says nothing yet, and nobody is due while the plugin is told.
    desk.answer(&question, || aborted(9));
    assert!(desk.told.is_empty() && desk.polls.next().is_none());
    desk.polls.told(desk.now, at(0), false);
    let question = desk.next().remove(0);
    desk.answer(&question, || running(1));
    assert_eq!(desk.aborts(), 1, "it was not accepted, so it is told again");
    desk.polls.told(desk.now, at(0), true);
    let (accepted, mut again) = (desk.now, 0);
    while again == 0 {
        let question = desk.next().remove(0);
        desk.answer(&question, || running(1));
        again = desk.aborts();
    }
    assert!(desk.now.since(accepted) >= span(ABORT_AGAIN));
    desk.polls.told(desk.now, at(0), true);
    let question = desk.next().remove(0);
    desk.answer(&question, || aborted(1));
    assert!(matches!(&desk.told[..], [Told::Over(a, 0, _)] if *a == at(0)));
    assert!(!desk.polls.looks_after(at(0)));
}

#[test]
fn pushed_statuses_replace_questions() {
    let mut desk = Desk::new(true);
    desk.watch(0);
    let question = desk.next().remove(0);
    desk.answer(&question, || running(1));
    let pause = desk.polls.next().unwrap().since(desk.now);
    assert!(pause.as_millis() >= 7_500, "{pause:?} is the safety net");
    let mut push = |n, status: Result<JobStatus, Error>| {
        let (told, out) = (&mut desk.told, &mut desk.out);
        desk.polls
            .pushed(desk.now, 0, &handle(n), status.unwrap(), told, out);
    };
    push(7, aborted(3));
    push(0, running(1));
    push(0, running(2));
    push(0, aborted(3));
    push(0, running(4));
    assert_eq!(desk.told.len(), 3);
    assert!(desk.polls.next().is_none());
}
