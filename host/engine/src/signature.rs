//! Signatures of plugins: detached, Ed25519, as minisign makes them.
//!
//! A signature is of what was uploaded, byte by byte. It is checked when a plugin comes and each time its code is loaded: a key that is
//! trusted no more takes its plugins with it.

use minisign_verify::{PublicKey, Signature};

/// The longest text of a signature, in bytes: four lines, of which two are comments.
pub const MAX_SIGNATURE_LEN: usize = 4 << 10;

/// What a line begins with that is for people, in files of keys and of signatures.
const COMMENT: &str = "untrusted comment:";

/// The keys that plugins may be signed with.
#[derive(Clone, Debug)]
pub struct TrustedKeys(Vec<(Box<str>, PublicKey)>);

/// A text holds no keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeys {
    /// A line is neither comment nor key.
    #[error("line {0} is no public key of minisign")]
    Line(usize),
    /// There is none.
    #[error("there is no public key in it")]
    Empty,
}

/// A plugin may not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It has no signature.
    #[error(
        "it is not signed, and this server takes what one of its keys has signed: `minisign -Sm FILE` makes FILE.minisig, which `plugins upload`, \
         `plugins push` and `--plugins` take from beside the file"
    )]
    Missing,
    /// Its signature can't be read.
    #[error("its signature can't be read: {0}; it should be the text of a .minisig file that minisign 0.10 or newer made")]
    Unreadable(String),
    /// Its signature is of a key that is not trusted.
    #[error(
        "it is signed with a key that this server does not trust: sign it with another, or add the key to the file of `--plugin-keys`"
    )]
    Untrusted,
    /// Its signature is of something else.
    #[error("its signature is not of this file: sign it again after each change")]
    Wrong,
}

impl TrustedKeys {
    /// Reads keys as minisign writes them, one file after the other: a comment that says whose the next key is, and the key.
    ///
    /// # Errors
    /// See [`InvalidKeys`].
    pub fn read(text: &str) -> Result<Self, InvalidKeys> {
        let (mut keys, mut comment) = (Vec::new(), None);
        for (number, line) in (1..).zip(text.lines().map(str::trim)) {
            if let Some(text) = line.strip_prefix(COMMENT) {
                comment = Some(text.trim()).filter(|text| !text.is_empty());
            } else if !line.is_empty() && !line.starts_with('#') {
                let key = PublicKey::from_base64(line).map_err(|_| InvalidKeys::Line(number))?;
                keys.push((comment.take().unwrap_or(line).into(), key));
            }
        }
        if keys.is_empty() { Err(InvalidKeys::Empty) } else { Ok(Self(keys)) }
    }

    /// Whose key signed a content, by the comment of the key.
    ///
    /// # Errors
    /// See [`SignatureError`].
    pub fn signer(&self, content: &[u8], signature: Option<&str>) -> Result<&str, SignatureError> {
        let text = signature.ok_or(SignatureError::Missing)?;
        if text.len() > MAX_SIGNATURE_LEN {
            return Err(SignatureError::Unreadable(format!("it has more than {MAX_SIGNATURE_LEN} bytes")));
        }
        let signature = Signature::decode(text).map_err(|error| SignatureError::Unreadable(error.to_string()))?;
        let mut worst = SignatureError::Untrusted;
        for (who, key) in &self.0 {
            match key.verify(content, &signature, false) {
                Ok(()) => return Ok(who),
                Err(minisign_verify::Error::UnexpectedKeyId) => {}
                Err(minisign_verify::Error::InvalidSignature) => worst = SignatureError::Wrong,
                Err(error) => worst = SignatureError::Unreadable(error.to_string()),
            }
        }
        Err(worst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with minisign 0.11, of the text `a plugin`.
    const KEY: &str = "RWRb88W+IsTBDlVV0qpxHLxxfxaOpdpVHBqwB5RDlDd7e80hjcFutGmI";
    const SIGNATURE: &str = "untrusted comment: signature from minisign secret key\n\
        RURb88W+IsTBDu5FwNMKWREGaweChVZSqOi0vKioR6INSCan+OWmC1yuMiV5P9+N2cNNUMF818WzkI0kI4FjYNi6RX5OT2cczwU=\n\
        trusted comment: test\n\
        PUnd+J3xlhvg1RIta4K0rhpeUKvKejb+AI03tA631jcWDrLiyNsIsRweXKfPZhuC68Th1CFKcgbsVhRIWyTcCA==\n";
    /// Another key.
    const OTHER: &str = "RWSkaRUOFXUGfSU9GPcwFkJFs+7erWtRZmNZLwvS047naA42Txd9m0in";

    #[test]
    fn who_signed_is_told_by_the_keys_comment() {
        let keys = TrustedKeys::read(&format!("# ours\nuntrusted comment: ann\n{KEY}\n\n{OTHER}\n")).unwrap();
        assert_eq!(keys.signer(b"a plugin", Some(SIGNATURE)), Ok("ann"));
        let keys = TrustedKeys::read(KEY).unwrap();
        assert_eq!(keys.signer(b"a plugin", Some(SIGNATURE)), Ok(KEY));
    }

    #[test]
    fn what_nobody_signed_who_is_trusted_is_refused() {
        let keys = TrustedKeys::read(KEY).unwrap();
        assert_eq!(keys.signer(b"a plugin", None), Err(SignatureError::Missing));
        assert_eq!(keys.signer(b"a plugin!", Some(SIGNATURE)), Err(SignatureError::Wrong));
        assert!(matches!(keys.signer(b"a plugin", Some("x")), Err(SignatureError::Unreadable(_))));
        let forged = SIGNATURE.replace("trusted comment: t", "trusted comment: u");
        assert_ne!(forged, SIGNATURE);
        assert_eq!(keys.signer(b"a plugin", Some(&forged)), Err(SignatureError::Wrong));
        let keys = TrustedKeys::read(OTHER).unwrap();
        assert_eq!(keys.signer(b"a plugin", Some(SIGNATURE)), Err(SignatureError::Untrusted));
    }

    #[test]
    fn what_are_no_keys_is_refused() {
        assert_eq!(TrustedKeys::read("untrusted comment: ann\n").unwrap_err(), InvalidKeys::Empty);
        assert_eq!(TrustedKeys::read(&format!("{KEY}\nkey\n")).unwrap_err(), InvalidKeys::Line(2));
    }
}
