use crate::draw::Draw;

/// Bytes of one input at the most.
const BYTES_MAX: usize = 64 * 1024;

/// So many inputs that are like those of the corpus, and somewhere are not.
pub fn mutations(corpus: &[Vec<u8>], count: u64, seed: u64) -> impl Iterator<Item = Vec<u8>> {
    (0..count).map(move |n| {
        let mut draw = Draw::new(seed, n);
        let mut bytes = draw.pick(corpus).clone();
        for _ in 0..draw.range(1, 4) {
            change(&mut bytes, corpus, &mut draw);
        }
        bytes.truncate(BYTES_MAX);
        bytes
    })
}

fn change(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], draw: &mut Draw) {
    let len = bytes.len() as u64;
    let place = draw.below(len.max(1)) as usize;
    match draw.below(7) {
        0 if len > 0 => bytes[place] ^= 1 << draw.below(8),
        1 if len > 0 => bytes[place] = *draw.pick(&[0, 1, 0x7f, 0x80, 0xff, b'"', b'[', b'.']),
        2 => bytes.truncate(place),
        3 => {
            let more = draw.range(1, 8);
            let new: Vec<u8> = (0..more).map(|_| draw.next() as u8).collect();
            let place = place.min(bytes.len());
            bytes.splice(place..place, new);
        }
        4 if len > 0 => {
            let end = (place + draw.range(1, 16) as usize).min(bytes.len());
            bytes.drain(place..end);
        }
        // The same again and again: nesting, and long lists.
        5 if len > 0 => {
            let end = (place + draw.range(1, 16) as usize).min(bytes.len());
            let part = bytes[place..end].to_vec();
            let times = draw.range(1, 200) as usize;
            let repeated = part.repeat(times);
            bytes.splice(place..place, repeated);
        }
        // The beginning of one, the end of another.
        _ => {
            let other = draw.pick(corpus);
            let from = draw.below(other.len() as u64 + 1) as usize;
            bytes.truncate(place);
            bytes.extend_from_slice(&other[from..]);
        }
    }
}
