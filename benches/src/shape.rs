/// A graph of integers, the same for every system: what a node adds up, and from where.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// How many executions of the graph run at once.
    pub(crate) executions: u32,
    /// The parents of each node; a node without any takes the input.
    pub(crate) parents: Vec<Vec<u32>>,
}

impl Shape {
    pub(crate) fn fanout(n: u32) -> Self {
        let mut parents = vec![Vec::new()];
        parents.extend((0..n).map(|_| vec![0]));
        parents.push((1..=n).collect());
        Self {
            executions: 1,
            parents,
        }
    }

    pub(crate) fn chain(n: u32) -> Self {
        let parents = (0..n).map(|i| i.checked_sub(1).into_iter().collect());
        Self {
            executions: 1,
            parents: parents.collect(),
        }
    }

    pub(crate) fn layered(width: u32, layers: u32, k: u32) -> Self {
        let mut parents = vec![Vec::new(); width as usize];
        for layer in 1..layers {
            let before = (layer - 1) * width;
            for i in 0..width {
                // Spread the parents over the layer, so that no two nodes share all of them.
                let mut of: Vec<u32> = (0..k.min(width))
                    .map(|j| before + (i + j * (layer % 7 + 1)) % width)
                    .collect();
                of.sort_unstable();
                of.dedup();
                parents.push(of);
            }
        }
        let last = (layers - 1) * width;
        parents.push((last..last + width).collect());
        Self {
            executions: 1,
            parents,
        }
    }

    pub(crate) fn swarm(executions: u32, length: u32) -> Self {
        Self {
            executions,
            ..Self::fanout(length)
        }
    }

    /// Of all executions.
    pub(crate) fn nodes(&self) -> u64 {
        self.parents.len() as u64 * u64::from(self.executions)
    }

    /// What the last node must give for this input: each node adds its parents, and one.
    pub(crate) fn expected(&self, input: i64) -> i64 {
        let mut values: Vec<i64> = Vec::with_capacity(self.parents.len());
        for parents in &self.parents {
            let value = match parents.as_slice() {
                [] => input,
                some => some
                    .iter()
                    .fold(0i64, |sum, p| sum.wrapping_add(values[*p as usize])),
            };
            values.push(value.wrapping_add(1));
        }
        *values.last().expect("a shape has a node")
    }
}
