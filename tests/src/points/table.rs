//! The workflows, by what they are about.

use std::time::Duration;

use flyte_host::core::author::WorkflowBuilder;
use flyte_host::core::contract::ExecutionOptions;
use flyte_host::core::journal::WorkflowPhase;
use flyte_host::core::literal::Literal;
use flyte_host::prelude::*;
use flyte_host::scheduler::testing::Harness;

use super::Case;
use super::tasks::*;

use WorkflowPhase::{Aborted, Failed, Succeeded};

pub(super) type Int = Output<i64>;

/// A workflow from a number to a number.
pub(super) fn flow(
    name: &str,
    build: impl FnOnce(&mut WorkflowBuilder, Int) -> Int,
) -> Workflow<i64, i64> {
    Workflow::build(name, build).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// A case of such a workflow, given 7.
fn case(
    name: &'static str,
    ends: WorkflowPhase,
    build: impl FnOnce(&mut WorkflowBuilder, Int) -> Int,
) -> Case {
    with(name, ends, build, |h| h)
}

pub(super) fn with(
    name: &'static str,
    ends: WorkflowPhase,
    build: impl FnOnce(&mut WorkflowBuilder, Int) -> Int,
    harness: impl FnOnce(Harness) -> Harness,
) -> Case {
    Case::new(name, ends, &flow(name, build), 7, harness)
}

/// A job that succeeds.
fn works(h: Harness) -> Harness {
    h.job("job", |call| {
        let n = call.inputs.get("n").and_then(Literal::as_integer)?;
        Some(Ok(flyte_host::core::literal::Row::from_pairs([(
            "o0",
            Literal::Integer(n + 1),
        )])))
    })
}

/// All of them.
#[must_use]
pub fn table() -> Vec<Case> {
    [
        plain(),
        branches(),
        gates(),
        arrays(),
        dynamics(),
        handlers(),
        retries(),
        caches(),
        policies(),
        jobs(),
        values_out_of_band(),
        super::deploys::deploys(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn plain() -> Vec<Case> {
    let inner = || flow("inner", |wf, n| wf.call(inc(n)));
    let middle = || flow("middle", move |wf, n| wf.sub(&inner(), n));
    vec![
        case("a task", Succeeded, |wf, n| wf.call(inc(n))),
        case("a chain", Succeeded, |wf, n| {
            (0..4).fold(n, |n, _| wf.call(inc(n)))
        }),
        case("fan-out and fan-in", Succeeded, |wf, n| {
            let all: Vec<Int> = (0..4).map(|i| wf.call(add(n, i))).collect();
            wf.call(sum(all))
        }),
        case("several outputs", Succeeded, |wf, n| {
            let (tens, ones) = wf.call(pair(n));
            wf.call(add(tens, ones))
        }),
        case("an output that is an input", Succeeded, |wf, n| {
            wf.call(inc(n));
            n
        }),
        case("a sub-workflow", Succeeded, |wf, n| {
            let n = wf.sub(&inner(), n);
            wf.call(inc(n))
        }),
        case("three frames deep", Succeeded, |wf, n| {
            let outer = flow("outer", |wf, n| {
                let n = wf.sub(&middle(), n);
                wf.call(inc(n))
            });
            wf.sub(&outer, n)
        }),
        case("a failure three frames deep", Failed, |wf, n| {
            let inner = flow("inner", |wf, n| wf.call(half(n)));
            let middle = flow("middle", |wf, n| wf.sub(&inner, n));
            let outer = flow("outer", |wf, n| wf.sub(&middle, n));
            wf.sub(&outer, n)
        }),
        case("two sub-workflows at once", Succeeded, |wf, n| {
            let (a, b) = (wf.sub(&inner(), n), wf.sub(&middle(), n));
            wf.call(add(a, b))
        }),
        case("a child execution", Succeeded, |wf, n| {
            let n = wf.launch(&inner(), n);
            wf.call(inc(n))
        }),
        case("a child of a child", Succeeded, |wf, n| {
            let middle = flow("middle", |wf, n| wf.launch(&inner(), n));
            wf.launch(&middle, n)
        }),
        case("a child that fails", Failed, |wf, n| {
            wf.launch(&flow("bad", |wf, n| wf.call(half(n))), n)
        }),
        case("a child ended with its parent", Failed, |wf, n| {
            let bad = wf.call(half(n));
            let child = wf.launch(&flow("endless", |wf, n| wf.call(hangs(n))), n);
            let slow = wf.signal::<i64>("never", "1h");
            let end = wf.call(half(slow));
            wf.after(end, child);
            wf.call(add(bad, end))
        }),
    ]
}

fn branches() -> Vec<Case> {
    let branch = |name, n: i64| {
        let wf = flow(name, |wf, n| {
            wf.when(n.gt(100), |wf| wf.call(half(n)))
                .elif(n.gt(10), |wf| {
                    let n = wf.call(inc(n));
                    wf.call(inc(n))
                })
                .otherwise(|_| n)
        });
        Case::new(name, Succeeded, &wf, n, |h| h)
    };
    vec![
        branch("the first arm", 102),
        branch("the second arm, of two tasks", 50),
        branch("the last arm, which calls nothing", 5),
        case("no arm matches", Failed, |wf, n| {
            wf.when(n.gt(100), |wf| wf.call(inc(n)))
                .or_fail("too little")
        }),
        case("an arm that fails", Failed, |wf, n| {
            wf.when(n.gt(1), |wf| wf.call(half(n)))
                .otherwise(|wf| wf.call(inc(n)))
        }),
        case("a branch on what a task gave", Succeeded, |wf, n| {
            let m = wf.call(inc(n));
            let m = wf
                .when(m.eq(8), |wf| wf.call(inc(m)))
                .otherwise(|wf| wf.call(half(m)));
            wf.call(inc(m))
        }),
        case("a branch in a branch", Succeeded, |wf, n| {
            wf.when(n.gt(1), |wf| {
                wf.when(n.gt(2), |wf| wf.call(inc(n)))
                    .otherwise(|wf| wf.call(half(n)))
            })
            .otherwise(|_| n)
        }),
    ]
}

fn gates() -> Vec<Case> {
    let signal = |wf: &mut WorkflowBuilder, n: Int| {
        let given = wf.signal::<i64>("number", "1d");
        wf.call(add(n, given))
    };
    let approve = |wf: &mut WorkflowBuilder, n: Int| {
        let n = wf.call(inc(n));
        let n = wf.approve(n, "go on", "1d");
        wf.call(inc(n))
    };
    let say = |value: bool| move |h: Harness| h.signal("go on", Literal::Boolean(value));
    let number = |h: Harness| h.signal("number", Literal::Integer(5));
    vec![
        case("a sleep of thirty days", Succeeded, |wf, n| {
            let first = wf.call(inc(n));
            let pause = wf.sleep("30d");
            wf.after(pause, first);
            let then = wf.call(inc(first));
            wf.after(then, pause);
            then
        }),
        with("a signal", Succeeded, signal, number),
        case("a signal that never comes", Failed, signal),
        with(
            "a signal in a sub-workflow",
            Succeeded,
            |wf, n| wf.sub(&flow("asks", signal), n),
            number,
        ),
        with("an approval", Succeeded, approve, say(true)),
        with("a rejection", Failed, approve, say(false)),
    ]
}

fn arrays() -> Vec<Case> {
    let list = |name, ends, wf: Workflow<Vec<i64>, i64>, n: i64| {
        Case::new(name, ends, &wf, (1..=n).collect(), |h| h)
    };
    let built = |name: &str,
                 build: &dyn Fn(&mut WorkflowBuilder, Output<Vec<i64>>) -> Int|
     -> Workflow<Vec<i64>, i64> {
        Workflow::build(name, build).unwrap_or_else(|e| panic!("{name}: {e}"))
    };
    let doubled = built("doubled", &|wf, all| {
        let all = wf.map(all, |n| add(n, n));
        wf.call(sum(all))
    });
    let one_by_one = built("one_by_one", &|wf, all| {
        let all = wf.call(map(all, inc).concurrency(2));
        wf.call(sum(all))
    });
    let some = built("some", &|wf, all| {
        let all = wf.call(map(all, half).min_successes(2));
        wf.call(count(all))
    });
    let share = built("share", &|wf, all| {
        let all = wf.call(map(all, half).min_success(0.4));
        wf.call(count(all))
    });
    let too_few = built("too_few", &|wf, all| {
        // One by one, so that the first that fails is always the same.
        let all = wf.call(map(all, half).min_success(0.9).concurrency(1));
        wf.call(count(all))
    });
    let again = built("again", &|wf, all| {
        let all = wf.map(all, |n| shaky(n).retries(3));
        wf.call(sum(all))
    });
    let bad = built("bad", &|wf, all| {
        let all = wf.map(all, hopeless);
        wf.call(sum(all))
    });
    let slow_items = built("slow_items", &|wf, all| {
        let all = wf.map(all, |n| slow(n).timeout("1m").retries(2));
        wf.call(sum(all))
    });
    let children = built("children", &|wf, all| {
        let child = flow("child", |wf, n| wf.call(inc(n)));
        let all = wf.map(all, |n| child.launch(n));
        wf.call(sum(all))
    });
    vec![
        list("an array", Succeeded, doubled.clone(), 3),
        list("an array of nothing", Succeeded, doubled, 0),
        list("an array, two at once", Succeeded, one_by_one, 4),
        list("an array that some fail in", Succeeded, some, 4),
        list("an array with a share", Succeeded, share, 4),
        list("an array with too few", Failed, too_few, 4),
        list("an array with retried items", Succeeded, again, 2),
        list("an array that fails", Failed, bad, 1),
        list("an array with slow items", Succeeded, slow_items, 2),
        list("an array of children", Succeeded, children, 2),
    ]
}

fn dynamics() -> Vec<Case> {
    vec![
        case("a dynamic task", Succeeded, |wf, _| wf.call(grow(3))),
        case("a dynamic task in dynamic tasks", Succeeded, |wf, _| {
            wf.call(fibonacci(3))
        }),
        case("a dynamic task whose nodes fail", Failed, |wf, n| {
            wf.call(grows_and_fails(n))
        }),
        case("a dynamic task in a sub-workflow", Succeeded, |wf, _| {
            let inner = flow("inner", |wf, _| wf.call(grow(2)));
            let n = wf.sub(&inner, 1);
            wf.call(inc(n))
        }),
    ]
}

fn handlers() -> Vec<Case> {
    vec![
        case("a failure node", Failed, |wf, n| {
            wf.on_failure(clean(n, None::<FlyteError>));
            wf.call(half(n))
        }),
        case("a failure node in a sub-workflow", Failed, |wf, n| {
            let inner = flow("inner", |wf, n| {
                wf.on_failure(clean(n, None::<FlyteError>));
                wf.call(half(n))
            });
            wf.sub(&inner, n)
        }),
        case("a failure node that is not needed", Succeeded, |wf, n| {
            wf.on_failure(clean(n, None::<FlyteError>));
            wf.call(inc(n))
        }),
        case("a failure node that fails, too", Failed, |wf, n| {
            wf.on_failure(half(n));
            wf.call(half(n))
        }),
    ]
}

fn retries() -> Vec<Case> {
    vec![
        case("retries of the user", Succeeded, |wf, n| {
            wf.call(shaky(n).retries(3))
        }),
        case("retries that are spent", Failed, |wf, n| {
            wf.call(hopeless(n).retries(2))
        }),
        case("retries of the system", Succeeded, |wf, n| {
            wf.call(unlucky(n))
        }),
        case("retries of the system that are spent", Failed, |wf, n| {
            wf.call(doomed(n))
        }),
        case(
            "an error that says nothing of retries",
            Succeeded,
            |wf, n| wf.call(silent(n).retries(3).backoff("10s..1m")),
        ),
        case("a fatal error", Failed, |wf, n| {
            wf.call(fatal(n).retries(3))
        }),
        case("a key for all attempts", Succeeded, |wf, n| {
            wf.call(keyed(n).retries(1))
        }),
        case("a node that takes too long", Failed, |wf, n| {
            wf.call(hangs(n).node_timeout("90s"))
        }),
        case("a deadline between two attempts", Failed, |wf, n| {
            wf.call(hopeless(n).retries(9).backoff("1h..1h").node_timeout("10m"))
        }),
        case("a panic", Succeeded, |wf, n| wf.call(panics(n).retries(2))),
        case("a pause before the next attempt", Succeeded, |wf, n| {
            wf.call(later(n).retries(2))
        }),
        // Lost with its process, an attempt is begun again, and has its whole time.
        case("attempts that take too long", Failed, |wf, n| {
            wf.call(hangs(n).timeout("1m").retries(1))
        }),
        case("a second attempt in time", Succeeded, |wf, n| {
            wf.call(slow(n).timeout("1m").retries(2))
        }),
        case("a sub-workflow that takes too long", Failed, |wf, n| {
            let endless = flow("endless", |wf, n| wf.call(hangs(n)));
            wf.call(endless.call(n).timeout("1m"))
        }),
        case("a machine that may be taken away", Succeeded, |wf, n| {
            wf.interruptible(true);
            wf.call(unlucky(n).interruptible(true).retries(1))
        }),
    ]
}

fn caches() -> Vec<Case> {
    let cached = |h: Harness| h.cached();
    vec![
        with(
            "a miss, then a hit",
            Succeeded,
            |wf, n| {
                let first = wf.call(known(n));
                let pause = wf.sleep("1m");
                wf.after(pause, first);
                let second = wf.call(known(n));
                wf.after(second, pause);
                wf.call(add(first, second))
            },
            cached,
        ),
        with(
            "the same call twice, one after the other",
            Succeeded,
            |wf, n| {
                let first = wf.call(known(n));
                let second = wf.call(known(n));
                wf.after(second, first);
                let third = wf.call(inc(second));
                wf.call(add(first, third))
            },
            cached,
        ),
        with(
            "one at a time",
            Succeeded,
            |wf, n| {
                let (a, b) = (wf.call(alone(n)), wf.call(alone(n)));
                wf.call(add(a, b))
            },
            cached,
        ),
        with(
            "a cached task under another version",
            Succeeded,
            |wf, n| {
                let first = wf.call(known(n));
                let second = wf.call(known(first).cache_version("2"));
                wf.call(inc(second))
            },
            cached,
        ),
        with(
            "a cached array",
            Succeeded,
            |wf, n| {
                let same = [n, n, n];
                let all = wf.map(same, known);
                wf.call(sum(all))
            },
            cached,
        ),
        with(
            "a cache that is written anew",
            Succeeded,
            |wf, n| wf.call(known(n)),
            |h| {
                h.cached().options(ExecutionOptions {
                    overwrite_cache: true,
                    ..ExecutionOptions::default()
                })
            },
        ),
    ]
}

fn policies() -> Vec<Case> {
    let two = |wf: &mut WorkflowBuilder, n: Int| {
        let bad = wf.call(half(n));
        let waits = wf.call(hangs(n));
        wf.call(add(bad, waits))
    };
    let gated = |wf: &mut WorkflowBuilder, n: Int| {
        let n = wf.call(inc(n));
        let given = wf.signal::<i64>("never", "1d");
        wf.call(add(n, given))
    };
    vec![
        case("fail at once: others are ended", Failed, two),
        case("fail when all is done that can be", Failed, |wf, n| {
            wf.finish_what_can();
            let bad = wf.call(half(n));
            let first = wf.call(inc(n));
            let pause = wf.sleep("1m");
            wf.after(pause, first);
            let second = wf.call(inc(first));
            wf.after(second, pause);
            wf.call(add(bad, second))
        }),
        with(
            "one node at once",
            Succeeded,
            |wf, n| {
                let all: Vec<Int> = (0..3).map(|i| wf.call(add(n, i))).collect();
                wf.call(sum(all))
            },
            |h| {
                h.options(ExecutionOptions {
                    max_parallelism: 1,
                    ..ExecutionOptions::default()
                })
            },
        ),
        with("ended by command at a gate", Aborted, gated, |h| {
            h.abort("enough")
        }),
        with(
            "ended by command in a task",
            Aborted,
            |wf, n| {
                let n = wf.call(inc(n));
                wf.call(hangs(n))
            },
            |h| h.abort("enough"),
        ),
        with(
            "ended by command with a child",
            Aborted,
            |wf, n| wf.launch(&flow("endless", |wf, n| wf.call(hangs(n))), n),
            |h| h.abort("enough"),
        ),
        case("an execution that takes its time", Succeeded, |wf, n| {
            let first = wf.sleep(Duration::from_secs(1));
            let n = wf.call(inc(n));
            wf.after(n, first);
            let second = wf.sleep(Duration::from_secs(2));
            let m = wf.call(inc(n));
            wf.after(m, second);
            m
        }),
    ]
}

fn jobs() -> Vec<Case> {
    let call = |wf: &mut WorkflowBuilder, n: Int| {
        let n = wf.call(job("job").call(n));
        wf.call(inc(n))
    };
    let endless = |h: Harness| h.job("job", |_| None);
    vec![
        with("a job", Succeeded, call, works),
        with(
            "an array of jobs",
            Succeeded,
            |wf, n| {
                let job = job("job");
                let all = wf.map([n, n], |n| job.call(n));
                wf.call(sum(all))
            },
            works,
        ),
        with(
            "a job that is tried again",
            Succeeded,
            |wf, n| wf.call(job("job").call(n).retries(2)),
            |h| {
                h.job("job", |call| match call.attempt {
                    0 => Some(Err(TaskError::new("not yet").recoverable())),
                    _ => Some(Ok(flyte_host::core::literal::Row::from_pairs([(
                        "o0",
                        Literal::Integer(1),
                    )]))),
                })
            },
        ),
        with("a job that fails", Failed, call, |h| {
            h.job("job", |_| Some(Err(TaskError::new("no luck"))))
        }),
        with(
            "a job that takes too long",
            Failed,
            |wf, n| wf.call(job("job").call(n).timeout("2s")),
            endless,
        ),
        with("a job that is ended by command", Aborted, call, |h| {
            endless(h).abort("enough")
        }),
        with(
            "a job that ends with what fails beside it",
            Failed,
            |wf, n| {
                let bad = wf.call(half(n));
                let runs = wf.call(job("job").call(n));
                wf.call(add(bad, runs))
            },
            endless,
        ),
        with("a job whose plugin comes later", Succeeded, call, |h| {
            works(h).missing("job").release()
        }),
        with("a job whose plugin never comes", Aborted, call, |h| {
            works(h).missing("job").abort("enough")
        }),
    ]
}

/// Above a bound of 200 bytes, which numbers are not.
fn values_out_of_band() -> Vec<Case> {
    let away = |h: Harness| h.offload_above(200);
    let with =
        |name, ends, build: fn(&mut WorkflowBuilder, Int) -> Int| with(name, ends, build, away);
    let job = |name, ends, build: fn(&mut WorkflowBuilder, Int) -> Int| {
        let works = |h: Harness| {
            away(h).job("fatten", |call| {
                let n = call.inputs.get("n").and_then(Literal::as_integer)?;
                let text = "x".repeat(n as usize * 100);
                let row = [("o0", Literal::string(text))];
                Some(Ok(flyte_host::core::literal::Row::from_pairs(row)))
            })
        };
        self::with(name, ends, build, works)
    };
    vec![
        with(
            "an attribute of a value out of band, and a branch on it",
            Succeeded,
            |wf, n| {
                let fat = wf.call(fat(n));
                let m = wf
                    .when(fat.n().gt(6), |wf| wf.call(weigh(fat)))
                    .otherwise(|wf| wf.call(inc(fat.n())));
                wf.call(add(m, fat.n()))
            },
        ),
        with("a list out of band, split", Succeeded, |wf, n| {
            let all = wf.call(many(n));
            let all = wf.map(all, inc);
            wf.call(sum(all))
        }),
        with("an item of a list out of band", Succeeded, |wf, n| {
            let all = wf.call(many(n));
            wf.call(add(all.at(3), n));
            all.at(5)
        }),
        with("items out of band, gathered", Succeeded, |wf, n| {
            let all = wf.call(map([n, n], fat));
            wf.call(weigh_all(all))
        }),
        with(
            "out of band and through a sub-workflow",
            Succeeded,
            |wf, n| {
                let inner = Workflow::<i64, _>::build("inner", |wf, n| wf.call(fat(n)))
                    .unwrap_or_else(|e| panic!("{e}"));
                let fat = wf.sub(&inner, n);
                wf.call(inc(fat.n()))
            },
        ),
        with("out of band and from a child", Succeeded, |wf, n| {
            let inner = Workflow::<i64, _>::build("inner", |wf, n| wf.call(fat(n)))
                .unwrap_or_else(|e| panic!("{e}"));
            let fat = wf.launch(&inner, n);
            wf.call(weigh(fat))
        }),
        with("an item that is not there", Failed, |wf, n| {
            let all = wf.call(many(n));
            wf.call(inc(all.at(1_000)))
        }),
        job("a job's output out of band", Succeeded, |wf, n| {
            let text = wf.call(fatten().call(n));
            wf.call(long(text))
        }),
        self::with(
            "out of band and cached",
            Succeeded,
            |wf, n| {
                let first = wf.call(fat_known(n));
                let pause = wf.sleep("1m");
                wf.after(pause, first);
                let second = wf.call(fat_known(n));
                wf.after(second, pause);
                let (a, b) = (wf.call(weigh(first)), wf.call(weigh(second)));
                wf.call(add(a, b))
            },
            |h| h.cached().offload_above(200),
        ),
    ]
}
