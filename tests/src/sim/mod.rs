//! Deterministic simulation of schedulers.
pub mod author;
pub mod compiled;
pub mod draw;
pub mod oracle;
pub mod spec;
pub mod task;

#[cfg(test)]
mod t {
    #[test]
    fn compiles() {
        for seed in 0..60 {
            let spec = super::author::Author::write(seed);
            let mut c = super::compiled::Compiled::new(&spec);
            for r in &spec.roots { c.plan(*r); }
            for f in 0..3 { c.answer(f, 1); }
            let mut o = super::oracle::Oracle::new(&spec);
            println!("{seed} {:?} {:?}", spec.flows[spec.roots[0]].nodes.len(), o.flow(spec.roots[0], 3));
        }
    }
}
