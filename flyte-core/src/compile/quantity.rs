/// Whether a text is a Kubernetes quantity, such as `500m`, `2Gi` or `1e3`.
pub(super) fn is_quantity(text: &str) -> bool {
    let rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    let numeric = digits > 0 && number.bytes().filter(|b| *b == b'.').count() <= 1;
    let exponent = |s: &str| {
        let s = s.strip_prefix(['+', '-']).unwrap_or(s);
        !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit())
    };
    numeric
        && match suffix {
            "" | "n" | "u" | "m" | "k" | "M" | "G" | "T" | "P" | "E" => true,
            "Ki" | "Mi" | "Gi" | "Ti" | "Pi" | "Ei" => true,
            s => s.strip_prefix(['e', 'E']).is_some_and(exponent),
        }
}

#[cfg(test)]
mod tests {
    use super::is_quantity;

    #[test]
    fn quantities() {
        for good in ["1", "500m", "2Gi", "1.5", "1e3", "1E-3", "+1", ".5", "3E"] {
            assert!(is_quantity(good), "{good}");
        }
        for bad in ["", "m", "1.2.3", "2gi", "1 Gi", "e3", "1e", "-"] {
            assert!(!is_quantity(bad), "{bad}");
        }
    }
}
