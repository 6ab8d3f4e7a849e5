//! Sizes of native stacks: wasmtime sets them per engine, so there are a few only.

/// The stacks that guests can have, in bytes. `limits.stack` is rounded up to the next; the last is the most.
const SIZES: [usize; 4] = [128 << 10, 256 << 10, 512 << 10, 1 << 20];

/// What the host's own functions may need of a guest's stack, which they run on.
const HOST_PART: usize = 3 << 19;

/// One of the sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StackClass(u8);

impl StackClass {
    /// How many there are.
    pub(crate) const COUNT: usize = SIZES.len();

    /// The smallest that holds so many bytes.
    pub(crate) fn holding(bytes: u64) -> Self {
        let class = SIZES.iter().position(|&size| size as u64 >= bytes).unwrap_or(SIZES.len() - 1);
        Self(u8::try_from(class).unwrap_or_default())
    }

    /// Its position among all.
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    /// What the guest has of it, in bytes.
    pub(crate) const fn guest_size(self) -> usize {
        SIZES[self.index()]
    }

    /// What is allocated, in bytes.
    pub(crate) const fn full_size(self) -> usize {
        self.guest_size() + HOST_PART
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_rounded_up_to_a_size() {
        assert_eq!(StackClass::holding(0).guest_size(), 128 << 10);
        assert_eq!(StackClass::holding(512 << 10).guest_size(), 512 << 10);
        assert_eq!(StackClass::holding((512 << 10) + 1).guest_size(), 1 << 20);
        assert_eq!(StackClass::holding(u64::MAX).guest_size(), 1 << 20);
    }
}
