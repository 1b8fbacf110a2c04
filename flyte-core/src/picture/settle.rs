//! Heights: every place as near as its order allows to where its links are straight.

/// A place in a layer: where it wants to be, how much, and how much room it takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    /// The upper edge that it wants.
    pub(super) top: f64,
    pub(super) weight: f64,
    pub(super) height: f64,
}

/// The upper edges that are nearest to the wishes (least squares) with `gap` between neighbours.
///
/// Neighbours that would overlap are joined to blocks that move as one.
pub(super) fn settle(wishes: &[Wish], gap: f64) -> Vec<f64> {
    struct Block {
        first: usize,
        /// Of the wishes, each less the place of its own inside the block.
        sum: f64,
        weight: f64,
    }
    let mut offsets = Vec::with_capacity(wishes.len());
    let mut offset = 0.0;
    for w in wishes {
        offsets.push(offset);
        offset += w.height + gap;
    }
    let mut blocks: Vec<Block> = Vec::new();
    for (i, w) in wishes.iter().enumerate() {
        blocks.push(Block {
            first: i,
            sum: (w.top - offsets[i]) * w.weight,
            weight: w.weight,
        });
        while let [.., a, b] = &mut blocks[..] {
            if a.sum / a.weight <= b.sum / b.weight {
                break;
            }
            a.sum += b.sum;
            a.weight += b.weight;
            blocks.pop();
        }
    }
    let mut out = vec![0.0; wishes.len()];
    let mut end = wishes.len();
    for b in blocks.iter().rev() {
        for i in b.first..end {
            out[i] = b.sum / b.weight + offsets[i];
        }
        end = b.first;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_keep_their_distance_and_share_the_trouble() {
        let wish = |top| Wish {
            top,
            weight: 1.0,
            height: 10.0,
        };
        let got = settle(&[wish(0.0), wish(0.0), wish(100.0)], 4.0);
        assert_eq!(got, [-7.0, 7.0, 100.0]);
        let got = settle(&[wish(50.0), wish(0.0)], 0.0);
        assert_eq!(got, [20.0, 30.0]);
    }
}
