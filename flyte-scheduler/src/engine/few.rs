use std::collections::BTreeMap;

/// A map that mostly has one entry or none: a `BTreeMap` of one entry takes room for eleven, which
/// counts where a hundred thousand executions wait.
#[derive(Clone, Debug)]
pub struct Few<K, V>(Form<K, V>);

#[derive(Clone, Debug)]
enum Form<K, V> {
    /// In the order of their keys, at most [`FEW`].
    Sorted(Vec<(K, V)>),
    Tree(BTreeMap<K, V>),
}

/// Beyond this many entries, shifting costs more than the room is worth.
const FEW: usize = 8;

impl<K, V> Default for Few<K, V> {
    fn default() -> Self {
        Self(Form::Sorted(Vec::new()))
    }
}

impl<K: Ord + Copy, V> Few<K, V> {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: K) -> Option<&V> {
        match &self.0 {
            Form::Sorted(all) => {
                let at = all.binary_search_by_key(&key, |e| e.0).ok()?;
                Some(&all[at].1)
            }
            Form::Tree(all) => all.get(&key),
        }
    }

    /// The value of a key, which gets `value` first if it has none.
    pub fn get_or_insert(&mut self, key: K, value: V) -> &mut V {
        if let Form::Sorted(all) = &mut self.0
            && all.len() == FEW
            && all.binary_search_by_key(&key, |e| e.0).is_err()
        {
            self.0 = Form::Tree(std::mem::take(all).into_iter().collect());
        }
        match &mut self.0 {
            Form::Sorted(all) => {
                let at = match all.binary_search_by_key(&key, |e| e.0) {
                    Ok(at) => at,
                    Err(at) => {
                        // `insert` would take room for four.
                        all.reserve_exact(1);
                        all.insert(at, (key, value));
                        at
                    }
                };
                &mut all[at].1
            }
            Form::Tree(all) => all.entry(key).or_insert(value),
        }
    }

    /// The keys in order.
    pub fn keys(&self) -> impl Iterator<Item = K> {
        let (sorted, tree) = match &self.0 {
            Form::Sorted(all) => (Some(all), None),
            Form::Tree(all) => (None, Some(all)),
        };
        let sorted = sorted.into_iter().flatten().map(|e| e.0);
        sorted.chain(tree.into_iter().flat_map(|all| all.keys().copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_map_below_and_above_the_bound() {
        let mut few = Few::default();
        let mut map = BTreeMap::new();
        // 7 is coprime to 23: each key comes once in the first round.
        for i in 0..46 {
            let key = i * 7 % 23;
            let first = *few.get_or_insert(key, i);
            assert_eq!(first, *map.entry(key).or_insert(i));
            assert!(few.keys().eq(map.keys().copied()));
            for key in 0..24 {
                assert_eq!(few.get(key), map.get(&key));
            }
        }
    }
}
