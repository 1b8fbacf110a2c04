use std::fmt;

/// How a program ended, as the wrapper's shell saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exit {
    code: i32,
    by: By,
    /// The signal that a shell's status above 128 stands for, without `SIG`.
    signal: Option<String>,
    /// When it ended, in hundredths of a second since the machine's start.
    centiseconds: Option<u64>,
}

/// A shell gives 128 + N for signal N, and a program can exit with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Status,
    Signal,
    Either,
}

/// What `raise SystemExit(-9)` gives: Flyte takes it for SIGKILL, like 137.
const MINUS_NINE: i32 = 247;

impl Exit {
    /// The first number of a shell's status that is no signal, where the wrapper did not say more.
    const SIGNALS_END: i32 = 128 + 65;

    /// Reads the text of an exit file: the status, `status`, `signal` or `either`, the signal's name, and
    /// the seconds since the machine's start; `-` stands for what is not known.
    pub(crate) fn parse(text: &str) -> Self {
        let mut words = text.split_whitespace();
        let code = words.next().and_then(|c| c.parse().ok()).unwrap_or(1);
        let by = match words.next() {
            Some("signal") => By::Signal,
            // Earlier versions wrote the number only.
            Some("either") | None if (129..Self::SIGNALS_END).contains(&code) => By::Either,
            _ => By::Status,
        };
        let signal = words.next().filter(|s| *s != "-").map(str::to_owned);
        let seconds = words.next().and_then(|s| s.parse::<f64>().ok());
        Self {
            code,
            by,
            signal,
            centiseconds: seconds.map(|s| (s * 100.0) as u64),
        }
    }

    pub(crate) fn centiseconds(&self) -> Option<u64> {
        self.centiseconds
    }

    pub(crate) fn is_success(&self) -> bool {
        self.code == 0
    }

    /// Whether the program, or a command of its shell, was ended by SIGKILL.
    pub(crate) fn is_killed(&self) -> bool {
        matches!(self.code, 137 | MINUS_NINE)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            code, by, signal, ..
        } = self;
        let name = signal.as_ref().map(|s| format!(" (SIG{s})"));
        let name = name.unwrap_or_default();
        match (by, signal) {
            (By::Signal, _) => write!(f, "ended by signal {}{name}", code - 128)?,
            (By::Either, _) => write!(f, "exit status {code}, or signal {}{name}", code - 128)?,
            (By::Status, Some(s)) => write!(
                f,
                "exit status {code} (a shell exits with it when SIG{s} ended its command)"
            )?,
            (By::Status, None) => write!(f, "exit status {code}")?,
        }
        if self.is_killed() {
            f.write_str(
                ". The likely cause is that the machine ran out of memory: run fewer processes at \
                 once, or give them less to do. It is retried as a system failure, also with \
                 `retries=0`; `--system-retries N` of flyte-rs bounds that",
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_no_signal_is_an_exit_status() {
        for (text, shown, killed) in [
            ("0", "exit status 0", false),
            ("3 status - 12.34", "exit status 3", false),
            ("200 status", "exit status 200", false),
            ("200", "exit status 200", false),
            ("255", "exit status 255", false),
            ("134 signal ABRT", "ended by signal 6 (SIGABRT)", false),
            ("143", "exit status 143, or signal 15", false),
            (
                "130 either INT",
                "exit status 130, or signal 2 (SIGINT)",
                false,
            ),
            ("137 signal KILL", "ended by signal 9 (SIGKILL)", true),
            ("137 status KILL", "exit status 137 (a shell exits", true),
            ("137", "exit status 137, or signal 9", true),
            ("247 status", "exit status 247", true),
            ("damaged", "exit status 1", false),
        ] {
            let exit = Exit::parse(text);
            assert!(exit.to_string().starts_with(shown), "{text}: {exit}");
            assert_eq!(exit.is_killed(), killed, "{text}");
            assert_eq!(exit.to_string().contains("memory"), killed, "{text}");
        }
    }
}
