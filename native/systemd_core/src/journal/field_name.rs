//! The names of journal fields, see systemd.journal-fields(7).

/// A name that journald accepts from a client: upper-case ASCII letters, digits and underscores, with a letter first,
/// and at most 64 characters. journald silently drops fields with other names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldName(Vec<u8>);

impl FieldName {
    const LONGEST: usize = 64;

    /// Keeps a valid name, and makes any other name valid: letters become upper-case, other invalid bytes become
    /// underscores, and a name that does not begin with a letter gets the prefix `X`.
    pub fn from_any(name: &[u8]) -> Self {
        let prefix = match name.first() {
            Some(first) if first.is_ascii_alphabetic() => b"".as_slice(),
            _ => b"X",
        };
        let made_valid = prefix.iter().chain(name).map(|&byte| match byte {
            b'0'..=b'9' => byte,
            _ if byte.is_ascii_alphabetic() => byte.to_ascii_uppercase(),
            _ => b'_',
        });
        Self(made_valid.take(Self::LONGEST).collect())
    }

    /// Returns `None` if the name needs more than upper-case letters to be valid.
    pub fn parse(name: &[u8]) -> Option<Self> {
        let valid = Self::from_any(name);
        valid.0.eq_ignore_ascii_case(name).then_some(valid)
    }

    /// The name itself.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_made_valid() {
        for (name, valid) in [
            ("MESSAGE", "MESSAGE"),
            ("request_id", "REQUEST_ID"),
            ("http.status-code", "HTTP_STATUS_CODE"),
            ("_private", "X_PRIVATE"),
            ("2fa", "X2FA"),
            ("größe", "GR____E"),
            ("", "X"),
            ("a=b\nc\0", "A_B_C_"),
        ] {
            assert_eq!(FieldName::from_any(name.as_bytes()).as_bytes(), valid.as_bytes());
        }
    }

    #[test]
    fn only_letters_may_be_of_the_wrong_case() {
        for name in ["MESSAGE", "request_id", "A1", &"a".repeat(64)] {
            assert!(FieldName::parse(name.as_bytes()).is_some(), "{name}");
        }
        for name in ["", "_A", "1A", "A-B", "A=B", "A\n", "ä", &"a".repeat(65)] {
            assert_eq!(FieldName::parse(name.as_bytes()), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_make_a_valid_name(name: Vec<u8>) {
            let name = FieldName::from_any(&name);
            let bytes = name.as_bytes();
            prop_assert!((1..=64).contains(&bytes.len()) && bytes[0].is_ascii_uppercase());
            prop_assert!(bytes.iter().all(
                |byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_')
            ));
            prop_assert_eq!(FieldName::from_any(bytes), name);
        }
    }
}
