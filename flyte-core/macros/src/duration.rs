/// Seconds and nanoseconds of a text like `10m`, `1h30m`, `90s` or `250ms`.
pub(crate) fn parse(text: &str) -> Result<(i64, i32), String> {
    const UNITS: [(&str, u64); 5] = [
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
        ("d", 86_400_000_000_000),
    ];
    let wrong =
        || format!("`{text}` is no length of time: write it as 90s, 10m, 1h30m, 2d or 250ms");
    let mut rest = text.trim();
    let mut nanos: u64 = 0;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, after) = rest.split_at(digits);
        let letters = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let unit = UNITS
            .iter()
            .find(|(u, _)| *u == unit.trim())
            .ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let part = number.checked_mul(unit.1).ok_or_else(wrong)?;
        nanos = nanos.checked_add(part).ok_or_else(wrong)?;
        rest = after;
    }
    if nanos == 0 {
        return Err(format!(
            "`{text}` is no time at all: leave the option out for none"
        ));
    }
    let seconds = i64::try_from(nanos / 1_000_000_000).map_err(|_| wrong())?;
    Ok((seconds, (nanos % 1_000_000_000) as i32))
}

/// The longest delay of a back-off, in seconds: `BACKOFF_SECONDS_MAX` of flyte-core.
const BACKOFF_SECONDS_MAX: i64 = 7 * 86_400;

/// Checks a text like `1s..5m`.
pub(crate) fn range(text: &str) -> Result<(), String> {
    let wrong = |what: &str| {
        format!(
            "`{text}` is no back-off, {what}: write it as 1s..5m, from the first delay to the \
             longest, at most 7d"
        )
    };
    let (base, cap) = text
        .split_once("..")
        .ok_or_else(|| wrong("it is no range"))?;
    let length = |text: &str| parse(text).map_err(|_| wrong("its ends are no lengths of time"));
    let (base, cap) = (length(base)?, length(cap)?);
    if cap < base {
        return Err(wrong("it ends below its first delay"));
    }
    if cap > (BACKOFF_SECONDS_MAX, 0) {
        return Err(wrong("it ends too late"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn lengths_of_time() {
        assert_eq!(parse("10m"), Ok((600, 0)));
        assert_eq!(parse("1h30m"), Ok((5400, 0)));
        assert_eq!(parse("1h 30m"), Ok((5400, 0)));
        assert_eq!(parse("250ms"), Ok((0, 250_000_000)));
        for wrong in ["", "10", "m", "10x", "1.5h", "0s", "99999999999d"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
