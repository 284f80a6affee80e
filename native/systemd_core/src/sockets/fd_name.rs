//! Names of descriptors in systemd's store: see `FDNAME=` in sd_notify(3).

/// A name of 1 to 255 printable ASCII characters, without `:`, which separates names in `$LISTEN_FDNAMES`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FdName<'a>(&'a [u8]);

impl<'a> FdName<'a> {
    const LONGEST: usize = 255;

    /// Returns `None` for a name that systemd would reject, or would not return with the descriptor.
    pub fn parse(name: &'a [u8]) -> Option<Self> {
        let legal = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b':';
        let fits = (1..=Self::LONGEST).contains(&name.len());
        (fits && name.iter().all(legal)).then_some(Self(name))
    }

    /// The bytes of the name.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_manager_takes() {
        for name in ["a", "my socket", "a=b", "http/1.1~", &"x".repeat(255)] {
            assert_eq!(
                FdName::parse(name.as_bytes()).map(FdName::as_bytes),
                Some(name.as_bytes())
            );
        }
        for name in ["", "a:b", "a\nb", "a\tb", "a\0", "\x7f", "ü", &"x".repeat(256)] {
            assert_eq!(FdName::parse(name.as_bytes()), None, "{name:?}");
        }
    }
}
